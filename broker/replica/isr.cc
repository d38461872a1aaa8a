#include "broker/replica/isr.h"

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::replica {

InSync::InSync(StreamId stream, const PartitionState& state) : stream_(stream), leader_epoch_(state.leader_epoch) { update(state); }

void InSync::update(const PartitionState& state) {
  ENSURE(state.leader_epoch == leader_epoch_, "state of leader epoch {} for {}", state.leader_epoch, leader_epoch_);
  ENSURE(state.partition_epoch >= partition_epoch_, "partition epoch {} after {}", state.partition_epoch, partition_epoch_);
  bool settled = state.partition_epoch > partition_epoch_ || committed_.empty();
  partition_epoch_ = state.partition_epoch;
  committed_ = state.isr;
  std::ranges::sort(committed_);
  enough_ = state.enough_in_sync();
  min_ = state.effective_min_isr();
  if (settled) settle();
}

void InSync::settle() {
  maximal_ = committed_;
  under_way_ = false;
  uncertain_ = false;
  retry_at_ = Time{};
}

IsrProposal InSync::propose(std::vector<IsrMember> members) {
  ENSURE(!under_way_);
  under_way_ = true;
  for (const IsrMember& m : members)
    if (!std::ranges::binary_search(maximal_, m.node)) maximal_.insert(std::ranges::upper_bound(maximal_, m.node), m.node);
  return {stream_, leader_epoch_, partition_epoch_, std::move(members)};
}

void InSync::refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Duration retry) {
  if (!under_way_ || partition_epoch != partition_epoch_) return;
  under_way_ = false;
  retry_at_ = now + retry;
  // "Ineligible" is an answer to the only copy there is, unless an earlier one went unanswered: that one may yet find the replica eligible.
  if (why != IsrRefusal::ineligible) uncertain_ = true;
  if (uncertain_) {
    REACHED("replica: the fate of an ISR proposal is open");
    return;
  }
  maximal_ = committed_;
}

}  // namespace sg::replica
