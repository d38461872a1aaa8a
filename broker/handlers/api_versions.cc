// ApiVersions: what this broker speaks.
#include "broker/kafka/api_versions.h"

#include "broker/handlers/handlers.h"

namespace sg::broker {

Result<> handle_api_versions(Services&, CallPtr call) {
  TRY_DO(kafka::decode<kafka::ApiVersionsRequest>(call->header.api_version, call->body));
  kafka::ApiVersionsResponse response;
  response.api_keys = kafka::advertised_versions();
  call->respond(response);
  return {};
}

}  // namespace sg::broker
