#include "broker/kafka/list_offsets.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void ListOffsetsRequest::describe(Io& io) {
  io.field(replica_id);
  io.field(isolation_level, since(2));
  io.field(topics);
  io.end();
}

template <class Io>
void ListOffsetsRequest::Topic::describe(Io& io) {
  io.field(name);
  io.field(partitions);
  io.end();
}

template <class Io>
void ListOffsetsRequest::Partition::describe(Io& io) {
  io.field(partition_index);
  io.field(current_leader_epoch, since(4));
  io.field(timestamp);
  io.end();
}

template <class Io>
void ListOffsetsResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(2));
  io.field(topics);
  io.end();
}

template <class Io>
void ListOffsetsResponse::Topic::describe(Io& io) {
  io.field(name);
  io.field(partitions);
  io.end();
}

template <class Io>
void ListOffsetsResponse::Partition::describe(Io& io) {
  io.field(partition_index);
  io.field(error_code);
  io.field(timestamp, since(1));
  io.field(offset, since(1));
  io.field(leader_epoch, since(4));
  io.end();
}

SG_KAFKA_MESSAGE(ListOffsetsRequest);
SG_KAFKA_MESSAGE(ListOffsetsResponse);

}  // namespace sg::kafka
