// What nodes say to each other about partitions. The follower dials the leader; one session per pair carries all their partitions.
//
//   follower -> leader   Subscribe, Unsubscribe, Ack
//   leader -> follower   Data, Diverged, Refused
//
// Every message names its stream, the leader epoch under which it was sent, and the subscription that it belongs to. A subscription
// is numbered by the follower and grows within one broker epoch; what belongs to another subscription or epoch is dropped on receipt.
#pragma once

#include <variant>
#include <vector>

#include "base/ids.h"

namespace sg::replica {

// "My log ends at `offset`, and its last record was written in `last_epoch`": answered by Data (the logs match up to there; possibly
// with no batch), Diverged or Refused. It ends every earlier subscription to the same stream.
struct Subscribe {
  StreamId stream;
  LeaderEpoch leader_epoch;
  BrokerEpoch broker_epoch;  // of the follower
  uint64_t subscription = 0;
  Offset offset;
  LeaderEpoch last_epoch = kNoLeaderEpoch;  // none = the log is empty
  template <class A>
  void serialize(A& a) {
    a(stream, leader_epoch, broker_epoch, subscription, offset, last_epoch);
  }
};

// "Send me no more of it."
struct Unsubscribe {
  StreamId stream;
  uint64_t subscription = 0;
  template <class A>
  void serialize(A& a) {
    a(stream, subscription);
  }
};

// "Everything below `durable_end` is on my disk." A promise: only synced bytes count.
struct Ack {
  StreamId stream;
  LeaderEpoch leader_epoch;
  BrokerEpoch broker_epoch;  // of the follower
  uint64_t subscription = 0;
  Offset durable_end;
  template <class A>
  void serialize(A& a) {
    a(stream, leader_epoch, broker_epoch, subscription, durable_end);
  }
};

// "The largest epoch in my log that is not above yours is `epoch`, and it ends at `end_offset`" (KIP-101, KIP-279). The follower
// truncates and subscribes again, until it fits.
struct Diverged {
  StreamId stream;
  LeaderEpoch leader_epoch;
  uint64_t subscription = 0;
  LeaderEpoch epoch = kNoLeaderEpoch;  // none = no such epoch; then end_offset is the log start
  Offset end_offset;
  template <class A>
  void serialize(A& a) {
    a(stream, leader_epoch, subscription, epoch, end_offset);
  }
};

// Batches in log order from where the previous Data of the subscription ended. The batches follow outside this header as raw bytes,
// one after the other; `batch_bytes` cuts them. The receiver verifies each batch's CRC and reads its header itself.
struct Data {
  StreamId stream;
  LeaderEpoch leader_epoch;
  uint64_t subscription = 0;
  Offset high_watermark;
  Offset log_start;
  std::vector<uint32_t> batch_bytes;
  template <class A>
  void serialize(A& a) {
    a(stream, leader_epoch, subscription, high_watermark, log_start, batch_bytes);
  }
};

enum class RefuseReason : uint8_t {
  not_leader = 0,          // this node does not lead the stream, as far as it knows
  fenced_leader_epoch,     // the follower's leader epoch is older than the leader's
  stale_broker_epoch,      // the follower has registered again since
  not_a_replica,           // the follower is not among the replicas
  offset_below_log_start,  // what the follower needs next has been deleted here
  holds_less,              // than it has acknowledged in this leader epoch: what it had promised is missing
};

// "Not now": the follower asks again later.
struct Refused {
  StreamId stream;
  LeaderEpoch leader_epoch;  // the leader's own
  uint64_t subscription = 0;
  RefuseReason reason = RefuseReason::not_leader;
  template <class A>
  void serialize(A& a) {
    a(stream, leader_epoch, subscription, reason);
  }
};

// Data is not among these: it is built by Partition::sent and leaves with its batches.
using Message = std::variant<Subscribe, Unsubscribe, Ack, Diverged, Refused>;

}  // namespace sg::replica
