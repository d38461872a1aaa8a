// DeleteTopics: any node takes the request and asks the controller; the answer waits until this node has dropped the topics.
#include "broker/kafka/delete_topics.h"

#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"

namespace sg::broker {

Result<> handle_delete_topics(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<kafka::DeleteTopicsRequest>(call->header.api_version, call->body));
  spawn_for(call, "delete topics", [&services, call, request = std::move(request)](Task& task) {
    const Time deadline = task.now() + std::chrono::milliseconds(std::clamp(request.timeout_ms, 0, 600'000));
    metadata::DeleteTopicsRequest wanted;
    for (const std::string& name : request.topic_names) wanted.topics.push_back({name, Uuid{}});
    for (const auto& topic : request.topics) wanted.topics.push_back({topic.name.value_or(""), topic.topic_id});
    auto reply = services.membership.request(task, wanted, deadline);
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
