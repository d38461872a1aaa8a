#include "broker/kafka/init_producer_id.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void InitProducerIdRequest::describe(Io& io) {
  io.field(transactional_id);
  io.field(transaction_timeout_ms);
  io.field(producer_id, since(3));
  io.field(producer_epoch, since(3));
  io.end();
}

template <class Io>
void InitProducerIdResponse::describe(Io& io) {
  io.field(throttle_time_ms);
  io.field(error_code);
  io.field(producer_id);
  io.field(producer_epoch);
  io.end();
}

SG_KAFKA_MESSAGE(InitProducerIdRequest);
SG_KAFKA_MESSAGE(InitProducerIdResponse);

}  // namespace sg::kafka
