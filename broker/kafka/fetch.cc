#include "broker/kafka/fetch.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void FetchRequest::describe(Io& io) {
  io.field(replica_id);
  io.field(max_wait_ms);
  io.field(min_bytes);
  io.field(max_bytes, since(3));
  io.field(isolation_level, since(4));
  io.field(session_id, since(7));
  io.field(session_epoch, since(7));
  io.field(topics);
  io.field(forgotten_topics_data, since(7));
  io.field(rack_id, since(11));
  io.end(tagged(0, cluster_id, since(12)));
}

template <class Io>
void FetchRequest::Topic::describe(Io& io) {
  io.field(topic);
  io.field(partitions);
  io.end();
}

template <class Io>
void FetchRequest::Partition::describe(Io& io) {
  io.field(partition);
  io.field(current_leader_epoch, since(9));
  io.field(fetch_offset);
  io.field(last_fetched_epoch, since(12));
  io.field(log_start_offset, since(5));
  io.field(partition_max_bytes);
  io.end();
}

template <class Io>
void FetchRequest::ForgottenTopic::describe(Io& io) {
  io.field(topic);
  io.field(partitions);
  io.end();
}

template <class Io>
void FetchResponse::describe(Io& io) {
  io.field(throttle_time_ms, since(1));
  io.field(error_code, since(7));
  io.field(session_id, since(7));
  io.field(responses);
  io.end();
}

template <class Io>
void FetchResponse::Topic::describe(Io& io) {
  io.field(topic);
  io.field(partitions);
  io.end();
}

template <class Io>
void FetchResponse::Partition::describe(Io& io) {
  io.field(partition_index);
  io.field(error_code);
  io.field(high_watermark);
  io.field(last_stable_offset, since(4));
  io.field(log_start_offset, since(5));
  io.field(aborted_transactions, since(4));
  io.field(preferred_read_replica, since(11));
  io.field(records);
  io.end(tagged(0, diverging_epoch, since(12)), tagged(1, current_leader, since(12)), tagged(2, snapshot_id, since(12)));
}

template <class Io>
void FetchResponse::EpochEndOffset::describe(Io& io) {
  io.field(epoch);
  io.field(end_offset);
  io.end();
}

template <class Io>
void FetchResponse::SnapshotId::describe(Io& io) {
  io.field(end_offset);
  io.field(epoch);
  io.end();
}

template <class Io>
void FetchResponse::AbortedTransaction::describe(Io& io) {
  io.field(producer_id);
  io.field(first_offset);
  io.end();
}

SG_KAFKA_MESSAGE(FetchRequest);
SG_KAFKA_MESSAGE(FetchResponse);

}  // namespace sg::kafka
