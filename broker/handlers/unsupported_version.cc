// Requests of a known API in a version that is not served. ApiVersions answers in version 0 with what is spoken (KIP-511). Produce 0-2
// are advertised, because old clients switch compression on by their presence, and answered partition by partition. For the rest Kafka
// has no answer: the connection ends.
#include "broker/handlers/handlers.h"
#include "broker/kafka/api_versions.h"
#include "broker/kafka/produce.h"

namespace sg::broker {
namespace {

Result<> answer_old_produce(Call& call) {
  TRY(const auto request, kafka::decode<kafka::ProduceRequest>(call.header.api_version, call.body));
  if (request.acks == 0) return fail(Errc::invalid, "Produce below version 3 is not served");
  kafka::ProduceResponse response;
  for (const auto& topic : request.topic_data) {
    auto& answer = response.responses.emplace_back();
    answer.name = topic.name;
    for (const auto& p : topic.partition_data) {
      auto& out = answer.partition_responses.emplace_back();
      out.index = p.index;
      out.error_code = kafka::ErrorCode::unsupported_version;
      out.base_offset = Offset(-1);
    }
  }
  call.respond(response);
  return {};
}

}  // namespace

Result<> handle_unsupported_version(Services&, CallPtr call) {
  if (call->header.api_key == kafka::ApiKey::api_versions) {
    kafka::ApiVersionsResponse response;
    response.error_code = kafka::ErrorCode::unsupported_version;
    response.api_keys = kafka::advertised_versions();
    call->slot->complete(kafka::response_frame(0, call->header.correlation_id, response));
    return {};
  }
  const kafka::Api* api = kafka::find_api(call->header.api_key);
  if (call->header.api_key == kafka::ApiKey::produce && api->advertised.contains(call->header.api_version))
    return answer_old_produce(*call);
  return fail(Errc::invalid, fmt::format("{} version {} is not served", kafka::to_string(call->header.api_key), call->header.api_version));
}

}  // namespace sg::broker
