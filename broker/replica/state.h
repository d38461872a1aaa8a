// What the catalogue says about one partition, as of one applied index, and what the operator configured.
#pragma once

#include <algorithm>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace sg::replica {

struct ReplicaState {
  NodeId node;
  BrokerEpoch broker_epoch = kNoBrokerEpoch;  // of its newest registration
  bool fenced = true;                         // may not join the ISR: its broker is taken for dead, or its copy is known to be damaged
  Uuid directory{};                           // in which that registration keeps its copy
  bool operator==(const ReplicaState&) const = default;
};

struct PartitionState {
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;  // grows with each change of leader or ISR
  std::vector<ReplicaState> replicas;
  std::vector<NodeId> isr;
  int32_t min_isr = 1;  // min.insync.replicas, as configured
  bool operator==(const PartitionState&) const = default;

  const ReplicaState* replica(NodeId node) const {
    auto it = std::ranges::find(replicas, node, &ReplicaState::node);
    return it == replicas.end() ? nullptr : &*it;
  }
  bool in_isr(NodeId node) const { return std::ranges::find(isr, node) != isr.end(); }
  // The minimum that counts: never more than there are replicas.
  int32_t effective_min_isr() const { return std::min<int32_t>(min_isr, static_cast<int32_t>(replicas.size())); }
  bool enough_in_sync() const { return static_cast<int32_t>(isr.size()) >= effective_min_isr(); }
};

struct IsrMember {
  NodeId node;
  BrokerEpoch broker_epoch;  // under which the leader knows it to be in sync
  bool operator==(const IsrMember&) const = default;
};

// A leader's wish. The catalogue commits it only if leader epoch and partition epoch are the current ones, and every member that it
// adds is unfenced under the given broker epoch. A committed proposal always grows the partition epoch, even if the set is the same:
// that voids every other copy still under way.
struct IsrProposal {
  StreamId stream;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  std::vector<IsrMember> members;
  bool operator==(const IsrProposal&) const = default;
};

// What became of a proposal, where the catalogue's log has not told it yet.
enum class IsrRefusal : uint8_t {
  ineligible,  // the controller looked at it under the current epochs and will not have it
  stale,       // an epoch was not the current one: newer state is on its way
  unknown,     // no answer: it may have been committed, or may yet be
};

struct Config {
  Duration lag_time_max = 10s;             // replica.lag.time.max.ms
  Duration isr_retry = 200ms;              // pause before a refused or unanswered ISR proposal is made again
  Duration subscribe_retry = 100ms;        // pause after Refused
  Duration subscribe_timeout = 2s;         // a Subscribe without any answer is sent again
  Duration high_watermark_linger = 100ms;  // how long a new high watermark waits for data to ride with; nobody is answered later for it
  Duration silent_wait = 1s;               // acks=all waits for at most so long while no controller is heard
  uint64_t window_bytes = 4u << 20;        // unacknowledged bytes per follower
};

}  // namespace sg::replica
