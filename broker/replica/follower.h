// A partition's follower under one leader epoch: subscribes where its log ends, truncates by epoch until its log fits the leader's
// (KIP-101, KIP-279), then takes what comes and acknowledges what is on its disk.
//
// Invariant: once streaming, this log is a prefix of the leader's; before that, nothing is written and nothing is acknowledged.
#pragma once

#include <span>

#include "base/result.h"
#include "broker/replica/log.h"
#include "broker/replica/output.h"

namespace sg::replica {

class Follower {
 public:
  // `log`, `config` and `last_subscription` (which outlives each epoch: numbers are never used twice) outlive it.
  Follower(StreamId stream, const Config& config, ReplicaLog& log, uint64_t& last_subscription, NodeId leader, LeaderEpoch leader_epoch,
           BrokerEpoch own);

  void session_opened(Time now, Output& out);
  void session_closed();
  // Errc::invalid: the leader broke the protocol; end the session.
  Result<> data(Time now, const Data& message, std::span<const Descriptor> batches, Output& out);
  // Errc::corrupt: committed records here are not in the leader's log. Nothing was changed; this replica must not go on.
  Result<> diverged(Time now, const Diverged& message, Output& out);
  // Errc::corrupt: this copy lacks what it has promised.
  Result<> refused(Time now, const Refused& message);
  // The log's durable end moved.
  void durable(Output& out);

  void wake(Time now, Output& out);
  Time deadline() const { return retry_at_; }
  // The epoch is over.
  void resign(Output& out);

  NodeId leader() const { return leader_; }

 private:
  // disconnected -> asking -> streaming; asking -> pausing -> asking. Any -> disconnected.
  enum class Phase : uint8_t { disconnected, asking, streaming, pausing };

  void ask(Time now, Output& out);
  void acknowledge(Output& out);
  bool is_current(LeaderEpoch leader_epoch, uint64_t subscription) const;
  Result<> check(const Data& message, std::span<const Descriptor> batches) const;

  StreamId stream_;
  const Config& config_;
  ReplicaLog& log_;
  uint64_t& last_subscription_;
  NodeId leader_;
  LeaderEpoch leader_epoch_;
  BrokerEpoch own_;
  Phase phase_ = Phase::disconnected;
  Time retry_at_ = Time::never();  // asking: when the answer is overdue; pausing: when to ask again
};

}  // namespace sg::replica
