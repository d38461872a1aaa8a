// CreateTopics: any node takes the request and asks the controller; the answer waits until this node knows the topics.
#include "broker/kafka/create_topics.h"

#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"

namespace sg::broker {
namespace {

metadata::CreateTopicItem to_item(const kafka::CreateTopicsRequest::Topic& topic, Rng& rng) {
  // The controller may be asked more than once, and may have made it before its answer was lost.
  Uuid id;
  id.high = rng.next();
  id.low = rng.next();
  metadata::CreateTopicItem item{.name = topic.name,
                                 .topic_id = id,
                                 .num_partitions = topic.num_partitions,
                                 .replication_factor = topic.replication_factor,
                                 .assignment = {},
                                 .configs = {}};
  item.assignment.resize(topic.assignments.size());
  for (const auto& a : topic.assignments)
    if (a.partition_index >= 0 && static_cast<size_t>(a.partition_index) < item.assignment.size())
      item.assignment[static_cast<size_t>(a.partition_index)] = a.broker_ids;  // a gap stays empty, and is refused
  for (const auto& c : topic.configs) item.configs.push_back({c.name, c.value.value_or("")});
  return item;
}

kafka::CreateTopicsResponse::Topic to_answer(const metadata::CreateTopicResult& result) {
  kafka::CreateTopicsResponse::Topic out;
  out.name = result.name;
  out.topic_id = result.topic_id;
  out.error_code = to_kafka(result.error);
  if (!result.message.empty()) out.error_message = result.message;
  if (result.error == metadata::ControllerError::none) {
    out.num_partitions = result.num_partitions;
    out.replication_factor = static_cast<int16_t>(result.replication_factor);
    out.configs.emplace();
  }
  return out;
}

}  // namespace

Result<> handle_create_topics(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<kafka::CreateTopicsRequest>(call->header.api_version, call->body));
  spawn_for(call, "create topics", [&services, call, request = std::move(request)](Task& task) {
    const Time deadline = task.now() + std::chrono::milliseconds(std::clamp(request.timeout_ms, 0, 600'000));
    metadata::CreateTopicsRequest wanted{.topics = {}, .validate_only = request.validate_only};
    for (const auto& topic : request.topics) wanted.topics.push_back(to_item(topic, services.env.rng));
    auto reply = services.membership.request(task, wanted, deadline);
    kafka::CreateTopicsResponse response;
    const auto* created = reply ? std::get_if<metadata::CreateTopicsReply>(&reply->body) : nullptr;
    if (created && reply->error == metadata::ControllerError::none) {
      for (const auto& result : created->topics) response.topics.push_back(to_answer(result));
      (void)services.machine.wait_applied(task, created->applied, deadline);
    } else {
      for (const auto& topic : request.topics) {
        kafka::CreateTopicsResponse::Topic failed;
        failed.name = topic.name;
        failed.error_code = reply ? to_kafka(reply->error) : kafka::ErrorCode::request_timed_out;
        failed.error_message = reply ? reply->message : reply.error().what;
        response.topics.push_back(std::move(failed));
      }
    }
    call->respond(response);
  });
  return {};
}

}  // namespace sg::broker
