// How a voter that may have forgotten its promises becomes a voter again. Why it is safe: raft.h, Damaged or wiped voters.
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/raft.h"

namespace sg::raft {

// Makes every other voter answer, and so tell its term to this run. Goes on until readmission, leader or not.
void Raft::probe_voters() {
  ENSURE(barred_ && !is_leader());
  reset_election_deadline();
  for (NodeId voter : config_.voters) {
    if (!heard_voters_.contains(voter)) ask_for_vote(voter);
  }
}

void Raft::maybe_readmit() {
  if (!barred_ || role_ != Role::follower || leader_ == kNoNode) return;
  bool heard_all = std::ranges::all_of(config_.voters, [&](NodeId v) { return v == config_.self || heard_voters_.contains(v); });
  LogIndex caught_up = std::min(durable_index_, verified_);
  bool caught_up_with_commit = leader_commit_to_me_ <= caught_up && log_.term_at(leader_commit_to_me_) == hard_.term;
  if (!heard_all || !caught_up_with_commit) return;
  REACHED("raft.readmitted");
  barred_ = false;
  set_hard_state(hard_.term, leader_);
  reset_election_deadline();
  report(fmt::format("readmitted as a voter at index {}", caught_up));
  acknowledge(true);  // held back until the new hard state is durable, as everything now is
}

}  // namespace sg::raft
