#include "broker/kafka/produce.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

bool ProduceRequest::Partition::operator==(const Partition& other) const {
  return index == other.index && records.has_value() == other.records.has_value() &&
         (!records || equal(records->span(), other.records->span()));
}

template <class Io>
void ProduceRequest::describe(Io& io) {
  io.field(transactional_id, since(3));
  io.field(acks);
  io.field(timeout_ms);
  io.field(topic_data);
  io.end();
}

template <class Io>
void ProduceRequest::Topic::describe(Io& io) {
  io.field(name);
  io.field(partition_data);
  io.end();
}

template <class Io>
void ProduceRequest::Partition::describe(Io& io) {
  io.field(index);
  io.field(records);
  io.end();
}

template <class Io>
void ProduceResponse::describe(Io& io) {
  io.field(responses);
  io.field(throttle_time_ms, since(1));
  io.end(tagged(0, node_endpoints, since(10)));
}

template <class Io>
void ProduceResponse::Topic::describe(Io& io) {
  io.field(name);
  io.field(partition_responses);
  io.end();
}

template <class Io>
void ProduceResponse::Partition::describe(Io& io) {
  io.field(index);
  io.field(error_code);
  io.field(base_offset);
  io.field(log_append_time_ms, since(2));
  io.field(log_start_offset, since(5));
  io.field(record_errors, since(8));
  io.field(error_message, since(8));
  io.end(tagged(0, current_leader, since(10)));
}

template <class Io>
void ProduceResponse::RecordError::describe(Io& io) {
  io.field(batch_index);
  io.field(batch_index_error_message);
  io.end();
}

SG_KAFKA_MESSAGE(ProduceRequest);
SG_KAFKA_MESSAGE(ProduceResponse);

}  // namespace sg::kafka
