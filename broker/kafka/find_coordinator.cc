#include "broker/kafka/find_coordinator.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void FindCoordinatorRequest::describe(Io& io) {
  io.field(key, between(0, 3));
  io.field(key_type, since(1));
  io.field(coordinator_keys, since(4));
  io.end();
}

template <class Io>
void FindCoordinatorResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(1));
  io.field(error_code, between(0, 3));
  io.field(error_message, between(1, 3));
  io.field(node_id, between(0, 3));
  io.field(host, between(0, 3));
  io.field(port, between(0, 3));
  io.field(coordinators, since(4));
  io.end();
}

template <class Io>
void FindCoordinatorResponse::Coordinator::describe(Io& io) {
  io.field(key);
  io.field(node_id);
  io.field(host);
  io.field(port);
  io.field(error_code);
  io.field(error_message);
  io.end();
}

SG_KAFKA_MESSAGE(FindCoordinatorRequest);
SG_KAFKA_MESSAGE(FindCoordinatorResponse);

}  // namespace sg::kafka
