#include "broker/replica/invariants.h"

#include <algorithm>

#include "base/ensure.h"

namespace sg::replica {

namespace {

void check_log(const PartitionView& v) {
  ENSURE(v.log_start <= v.high_watermark && v.high_watermark <= v.log_end, "log [{}, {}), high watermark {}", v.log_start, v.log_end,
         v.high_watermark);
  ENSURE(v.log_start <= v.durable_end && v.durable_end <= v.log_end, "log [{}, {}), durable to {}", v.log_start, v.log_end, v.durable_end);
  for (size_t i = 0; i < v.epochs.size(); ++i) {
    ENSURE(v.epochs[i].start < v.log_end, "epoch {} starts at {}, the log ends at {}", v.epochs[i].epoch, v.epochs[i].start, v.log_end);
    if (i == 0) continue;
    ENSURE(v.epochs[i - 1].epoch < v.epochs[i].epoch && v.epochs[i - 1].start < v.epochs[i].start, "epochs out of order");
  }
  if (!v.epochs.empty()) ENSURE(v.epochs.back().epoch <= v.leader_epoch || v.role == Role::none, "a record of a later epoch");
}

void check_leader(const PartitionView& v) {
  ENSURE(!v.faulted && v.epoch_start <= v.log_end, "epoch starts at {}, log ends at {}", v.epoch_start, v.log_end);
  ENSURE(std::ranges::includes(v.maximal_isr, v.isr), "the maximal ISR lacks a member of the committed one");
  for (const auto& p : v.peers) {
    ENSURE(!p.subscribed || p.next <= v.log_end, "node {} was sent {} of {}", p.node, p.next, v.log_end);
    if (!p.durable_end) continue;
    ENSURE(*p.durable_end <= v.log_end && (!p.subscribed || *p.durable_end <= p.next), "node {} acknowledged {}", p.node, *p.durable_end);
  }
}

// E10: what moved the high watermark is durable on every member of the maximal ISR, and these are enough.
void check_commit(const PartitionView& v) {
  ENSURE(static_cast<int32_t>(v.isr.size()) >= v.min_isr, "committed with {} in sync of {}", v.isr.size(), v.min_isr);
  ENSURE(v.high_watermark <= v.durable_end, "committed {}, durable here {}", v.high_watermark, v.durable_end);
  for (const auto& p : v.peers) {
    if (!std::ranges::binary_search(v.maximal_isr, p.node)) continue;
    ENSURE(p.durable_end && *p.durable_end >= v.high_watermark, "committed {} without node {}", v.high_watermark, p.node);
  }
}

void check_step(const PartitionView& from, const PartitionView& to) {
  ENSURE(from.leader_epoch <= to.leader_epoch && from.partition_epoch <= to.partition_epoch, "an epoch went back");
  ENSURE(from.high_watermark <= to.high_watermark, "high watermark {} after {}", to.high_watermark, from.high_watermark);
  ENSURE(from.log_start <= to.log_start, "log start {} after {}", to.log_start, from.log_start);
  ENSURE(from.generation <= to.generation);
  ENSURE(!from.faulted || to.faulted, "a faulted replica came back");
  bool truncated = to.generation > from.generation;
  ENSURE(truncated || (from.log_end <= to.log_end && from.durable_end <= to.durable_end), "the log shrank without a truncation");
  ENSURE(!truncated || to.log_end >= from.high_watermark, "truncated to {} below the high watermark {}", to.log_end, from.high_watermark);
  bool same_leadership = from.role == Role::leader && to.role == Role::leader && from.leader_epoch == to.leader_epoch;
  if (!same_leadership) return;
  ENSURE(!truncated && from.epoch_start == to.epoch_start, "a leader truncated its own log");
  if (to.high_watermark > from.high_watermark) check_commit(to);
}

}  // namespace

void Invariants::check(const Partition& partition) {
  PartitionView now = partition.view();
  check_log(now);
  if (now.role == Role::leader) check_leader(now);
  if (before_) check_step(*before_, now);
  before_ = std::move(now);
}

}  // namespace sg::replica
