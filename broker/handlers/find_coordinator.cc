// FindCoordinator: groups and transactions are not served yet, and the answer says so. It is served at all because librdkafka ties
// its LZ4 support to version 0 of it.
#include "broker/kafka/find_coordinator.h"

#include "broker/handlers/handlers.h"

namespace sg::broker {

Result<> handle_find_coordinator(Services&, CallPtr call) {
  TRY(auto request, kafka::decode<kafka::FindCoordinatorRequest>(call->header.api_version, call->body));
  const std::string why = "consumer groups and transactions are not served by this version of Stormglass";
  kafka::FindCoordinatorResponse response;
  response.error_code = kafka::ErrorCode::coordinator_not_available;
  response.error_message = why;
  response.node_id = kNoNode;
  response.port = -1;
  for (std::string& key : request.coordinator_keys)
    response.coordinators.push_back({.key = std::move(key),
                                     .node_id = kNoNode,
                                     .host = "",
                                     .port = -1,
                                     .error_code = kafka::ErrorCode::coordinator_not_available,
                                     .error_message = why});
  call->respond(response);
  return {};
}

}  // namespace sg::broker
