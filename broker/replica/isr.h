// The in-sync replicas as a leader must count them: the set that the catalogue has committed, and every member that it may have added
// since at this leader's own wish (the *maximal* ISR).
//
// Invariant: maximal() contains every ISR that may be committed under this leader epoch. Only the leader adds members, so the committed
// set and all additions whose fate is open make up that set. A proposal that was not answered may still be committed at any later time,
// until the partition epoch grows: from then on every copy of it is void.
#pragma once

#include <optional>

#include "broker/replica/state.h"

namespace sg::replica {

class InSync {
 public:
  InSync(StreamId stream, const PartitionState& state);

  // Newer state of the same leader epoch.
  void update(const PartitionState& state);

  const std::vector<NodeId>& committed() const { return committed_; }
  // Sorted.
  const std::vector<NodeId>& maximal() const { return maximal_; }
  bool enough() const { return enough_; }
  int32_t min() const { return min_; }
  PartitionEpoch partition_epoch() const { return partition_epoch_; }

  // A proposal may be made now: none is under way, and none was turned away a moment ago.
  bool may_propose(Time now) const { return !under_way_ && now >= retry_at_; }
  // Some addition's fate is open. Any committed proposal settles it, also one that changes nothing.
  bool unsettled() const { return !under_way_ && maximal_.size() > committed_.size(); }
  IsrProposal propose(std::vector<IsrMember> members);

  void refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Duration retry);
  // When a proposal may be made again; never() while one is under way, and once that time has come.
  Time retry_at(Time now) const { return !under_way_ && retry_at_ > now ? retry_at_ : Time::never(); }

 private:
  void settle();

  StreamId stream_;
  LeaderEpoch leader_epoch_;
  PartitionEpoch partition_epoch_;
  std::vector<NodeId> committed_;
  std::vector<NodeId> maximal_;
  bool enough_ = false;
  int32_t min_ = 0;

  bool under_way_ = false;
  bool uncertain_ = false;  // some proposal of this partition epoch may still be committed, although it was answered or given up
  Time retry_at_{};
};

}  // namespace sg::replica
