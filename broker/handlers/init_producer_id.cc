// InitProducerId for idempotent producers: a fresh id with epoch 0, also where the producer names the one it has (KIP-360 lets it
// continue with a higher epoch; a fresh id serves it as well).
#include "broker/kafka/init_producer_id.h"

#include "broker/handlers/handlers.h"

namespace sg::broker {

Result<> handle_init_producer_id(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<kafka::InitProducerIdRequest>(call->header.api_version, call->body));
  if (request.transactional_id) {
    kafka::InitProducerIdResponse refused;
    refused.error_code = kafka::ErrorCode::coordinator_not_available;  // transactions are not served yet; see FindCoordinator
    call->respond(refused);
    return {};
  }
  spawn_for(call, "init producer id", [&services, call](Task& task) {
    kafka::InitProducerIdResponse response;
    Result<ProducerId> id = services.producer_ids.next(task, task.now() + kPatience);
    if (id) {
      response.producer_id = *id;
    } else {
      response.error_code = kafka::ErrorCode::coordinator_load_in_progress;  // retriable for every client
    }
    call->respond(response);
  });
  return {};
}

}  // namespace sg::broker
