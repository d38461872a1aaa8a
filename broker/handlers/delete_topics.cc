// DeleteTopics: any node takes the request and asks the controller; the answer waits until this node has dropped the topics.
#include "broker/kafka/delete_topics.h"

#include "base/probe.h"
#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"

namespace sg::broker {

namespace {

// The ids of the topics, as far as this node knows them now.
std::vector<Uuid> ids_of(const metadata::Catalogue& catalogue, const metadata::DeleteTopicsRequest& request) {
  std::vector<Uuid> out;
  for (const metadata::DeleteTopicItem& item : request.topics) {
    const metadata::Topic* topic = item.name.empty() ? catalogue.topic(item.topic_id) : catalogue.topic(item.name);
    out.push_back(topic ? topic->id : Uuid{});
  }
  return out;
}

// The controller was asked more than once, and there is no such topic now: an earlier attempt may have deleted it, and its answer was lost.
// What was there when the client asked is gone, so that is done; otherwise nobody knows whether anything was.
void settle(kafka::DeleteTopicsResponse::Topic& out, const Uuid& known) {
  REACHED("delete topics: gone when the controller is asked again");
  out.error_code = known.is_zero() ? kafka::ErrorCode::request_timed_out : kafka::ErrorCode::none;
  out.topic_id = known;
  out.error_message.reset();
}

}  // namespace

Result<> handle_delete_topics(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<kafka::DeleteTopicsRequest>(call->header.api_version, call->body));
  spawn_for(call, "delete topics", [&services, call, request = std::move(request)](Task& task) {
    const Time deadline = task.now() + std::chrono::milliseconds(std::clamp(request.timeout_ms, 0, 600'000));
    metadata::DeleteTopicsRequest wanted;
    for (const std::string& name : request.topic_names) wanted.topics.push_back({name, Uuid{}});
    for (const auto& topic : request.topics) wanted.topics.push_back({topic.name.value_or(""), topic.topic_id});
    const std::vector<Uuid> known = ids_of(services.catalogue(), wanted);
    bool asked_before = false;
    auto reply = services.membership.request(task, wanted, deadline, &asked_before);
    kafka::DeleteTopicsResponse response;
    const auto* deleted = reply ? std::get_if<metadata::DeleteTopicsReply>(&reply->body) : nullptr;
    const bool answered = deleted && reply->error == metadata::ControllerError::none;
    for (size_t i = 0; i < wanted.topics.size(); ++i) {
      kafka::DeleteTopicsResponse::Topic out;
      if (answered && i < deleted->topics.size()) {
        const metadata::DeleteTopicResult& result = deleted->topics[i];
        if (!result.name.empty() || call->header.api_version < 6) out.name = result.name;
        out.topic_id = result.topic_id;
        out.error_code = to_kafka(result.error);
        // By id, Kafka has a code of its own.
        if (result.error == metadata::ControllerError::not_found && wanted.topics[i].name.empty())
          out.error_code = kafka::ErrorCode::unknown_topic_id;
        if (!result.message.empty()) out.error_message = result.message;
        if (result.error == metadata::ControllerError::not_found && asked_before) settle(out, known[i]);
      } else {
        if (!wanted.topics[i].name.empty()) out.name = wanted.topics[i].name;
        out.topic_id = wanted.topics[i].topic_id;
        out.error_code = reply ? to_kafka(reply->error) : kafka::ErrorCode::request_timed_out;
        out.error_message = reply ? reply->message : reply.error().what;
      }
      response.responses.push_back(std::move(out));
    }
    if (answered) (void)services.machine.wait_applied(task, deleted->applied, deadline);
    call->respond(response);
  });
  return {};
}

}  // namespace sg::broker
