// A partition's leader in one leader epoch: appends, followers, high watermark, in-sync set, and the requests that wait.
// partition.h states the invariants; this class holds the state that ends with the epoch.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "broker/replica/first_sequences.h"
#include "broker/replica/isr.h"
#include "broker/replica/partition.h"
#include "broker/replica/progress.h"
#include "broker/replica/waits.h"

namespace sg::replica {

class Leader {
 public:
  // `log` and `config` outlive it.
  Leader(NodeId self, StreamId stream, const Config& config, ReplicaLog& log, const PartitionState& state, Standing standing, Time now);

  // Newer state of the same leader epoch.
  void update(Time now, const PartitionState& state, Output& out);
  void isr_refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Output& out);
  void set_standing(Time now, Standing standing, Output& out);

  // The log's durable end moved.
  void durable(Time now, Output& out);
  Appended append(Time now, const BatchInfo& batch, Acks acks, Token token, Time deadline, bool log_full, Output& out);
  OffsetAnswer latest() const;
  ReadAnswer read(const ReadFrom& from) const;

  // A current replica under its current broker epoch subscribes.
  void subscribe(Time now, NodeId from, const Subscribe& message, Output& out);
  void unsubscribe(Time now, NodeId from, uint64_t subscription);
  Result<> ack(Time now, NodeId from, const Ack& message, Output& out);
  void follower_lost(Time now, NodeId node);
  std::optional<SendPlan> next_to_send(NodeId to) const;
  std::optional<Data> sent(NodeId to, const SendPlan& plan, Offset end, std::vector<uint32_t> batch_bytes);

  void wake(Time now, Output& out);
  Time deadline() const;
  // The epoch is over.
  void resign(Output& out);

  Offset epoch_start() const { return epoch_start_; }
  void describe(PartitionView& view) const;

 private:
  Progress* find(NodeId node);
  const Progress* find(NodeId node) const;
  void sync_peers(Time now);
  bool lags(const Progress& peer, Time now) const;
  bool may_join(const Progress& peer) const;
  void consider_isr(Time now, Output& out);
  void let_go(Time now, Output& out);
  bool is_gap(Time now, const BatchInfo& batch);
  void advance_high_watermark(Time now, Output& out);

  NodeId self_;
  StreamId stream_;
  const Config& config_;
  ReplicaLog& log_;
  PartitionState state_;
  Offset epoch_start_;
  InSync in_sync_;
  Standing standing_;
  FirstSequences first_sequences_;
  std::vector<Progress> peers_;   // the other replicas, in the catalogue's order
  Waits commit_waits_;            // acks=all
  Waits durable_waits_;           // acks=1
  Time news_at_ = Time::never();  // when a high watermark that found no data to ride with goes alone
  Time now_{};                    // of the newest event
};

}  // namespace sg::replica
