// The leader's half: replication with a pipeline per follower (§3.5, §10.2.1), commitment (§3.6.2), heartbeats and check-quorum (§6.2),
// handover (§3.10), snapshots for those who are too far behind (ch. 5).
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/quorum.h"
#include "broker/raft/raft.h"

namespace sg::raft {
namespace {

constexpr size_t kRounds = 256;  // an answer to an older one says too little

}  // namespace

void Raft::add_follower(NodeId node) {
  if (node != config_.self) progress_.try_emplace(node, log_.last_index() + 1, now_);
}

// --- Answers ---------------------------------------------------------------------------------------------------------------------

void Raft::on_append_entries_reply(const Message& m, const AppendEntriesReply& r) {
  auto found = progress_.find(m.from);
  if (found == progress_.end()) return;
  Progress& p = found->second;
  p.heard(now_);
  if (r.round > 0 && r.round <= round_ && round_ - r.round < rounds_.size()) p.answered(rounds_[rounds_.size() - 1 - (round_ - r.round)]);
  if (distrusted_.contains(m.sender())) return;
  if (r.success) return note_match(m, r.match);
  if (states_less(m, r)) return;
  // §3.5: skip the terms that the follower has and this log has not, one round trip per term.
  LogIndex try_next = r.conflict_index;
  if (r.conflict_term.v > 0) {
    LogIndex last = log_.last_at_or_below_term(r.conflict_term);
    if (log_.term_at(last) == r.conflict_term) try_next = last + 1;
  }
  if (p.refused(r.rejected, try_next)) REACHED("raft.append_refused");
}

void Raft::on_install_snapshot_reply(const Message& m, const InstallSnapshotReply& r) {
  auto found = progress_.find(m.from);
  if (found == progress_.end()) return;
  found->second.heard(now_);
  if (!distrusted_.contains(m.sender())) note_match(m, r.match);
}

void Raft::note_match(const Message& m, LogIndex match) {
  ENSURE(match <= log_.last_index(), "node {} acknowledges {}, the log ends at {}", m.from, match, log_.last_index());
  progress_.at(m.from).acknowledged(match);
  Promised& promised = promised_[m.sender()];
  promised = {m.from_run, std::max(promised.match, match)};
}

// What was acknowledged in this term was durable and equal to this log there. A later run of that very memory that refuses it has lost
// it without knowing.
bool Raft::states_less(const Message& m, const AppendEntriesReply& r) {
  auto promised = promised_.find(m.sender());
  if (promised == promised_.end() || !m.from_run.newer_than(promised->second.run)) return false;
  const LogIndex counted = promised->second.match;
  // Its log ends before that, or differs there. (The hint of a longer log may name the first index of a term that lies below.)
  const bool ends_before = r.conflict_term.v == 0 && r.conflict_index <= counted;
  if (r.rejected > counted && !ends_before) return false;
  REACHED("raft.voter_distrusted");
  distrusted_.insert(m.sender());
  send(m.from, Distrust{counted});
  report(fmt::format("node {} has come back with less than the {} that it had acknowledged: it counts no longer", m.from, counted));
  return true;
}

// How far a voter is known to hold this log durably. §10.2.1: the leader's own copy counts when it is durable.
LogIndex Raft::counted(const Voter& voter) const {
  if (voter == self()) return durable_index_;
  auto peer = peers_.find(voter.node);
  auto p = progress_.find(voter.node);
  bool present = peer != peers_.end() && peer->second.voter == voter.id && p != progress_.end();
  return present ? p->second.match() : LogIndex{};
}

// §3.6.2: an index is committed when a majority of the voters holds it durably and its entry is of this term; what stands below it is
// then committed too. §4.3: of a joint configuration, a majority of both sets.
void Raft::advance_commit() {
  LogIndex reached = reached_by_majority(configuration(), [&](const Voter& voter) { return counted(voter); });
  if (reached > commit_ && log_.term_at(reached) == hard_.term) set_commit(reached);
}

// --- Sending ---------------------------------------------------------------------------------------------------------------------

void Raft::replicate() {
  for (auto& [node, p] : progress_) replicate_to(node, p);
}

void Raft::replicate_to(NodeId node, Progress& p) {
  if (p.state() == ProgressState::snapshot) return;
  if (p.next() <= log_.base_index()) {
    if (answers(p)) send_snapshot(node, p);
    return;
  }
  while (p.next() <= log_.last_index() && p.may_send_entries(config_.limits)) send_append(node, p, config_.limits.append_max_entries);
  if (p.state() == ProgressState::probe) {
    if (p.may_send_entries(config_.limits)) send_append(node, p, 0);
  } else if (p.sent_commit() < std::min(commit_, p.next() - 1)) {
    send_append(node, p, 0);  // a broker acts on what is committed: do not let it wait for the next heartbeat
  }
}

void Raft::send_append(NodeId node, Progress& p, size_t max_entries) {
  AppendEntries request;
  request.round = round_;
  request.prev_index = p.next() - 1;
  request.prev_term = log_.term_at(request.prev_index).value();
  request.commit = commit_;
  size_t bytes = 0;
  if (max_entries > 0) request.entries = log_.slice(p.next(), max_entries, config_.limits.append_max_bytes);
  for (const Entry& entry : request.entries) bytes += entry.data.size();
  LogIndex end = request.prev_index + static_cast<int64_t>(request.entries.size());
  p.sent_commit(std::max(p.sent_commit(), std::min(commit_, end)));
  if (request.entries.empty()) {
    p.probe_sent();
  } else {
    p.sent_entries(end, bytes);
  }
  send(node, std::move(request));
}

void Raft::send_snapshot(NodeId node, Progress& p) {
  ENSURE(snapshot_.index >= log_.base_index() && snapshot_.index.v > 0);
  p.sent_snapshot(snapshot_.index, now_);
  send(node, InstallSnapshot{0, true, commit_, snapshot_});
}

// Also to a follower that has much in flight: its next answer says whether something was lost. (§6.4: who answers a round has followed
// this leader since it began.)
void Raft::send_heartbeats() {
  ++round_;
  rounds_.push_back(now_);
  if (rounds_.size() > kRounds) rounds_.pop_front();
  heartbeat_deadline_ = now_ + config_.heartbeat_interval;
  for (auto& [node, p] : progress_) {
    bool snapshot_lost = p.state() == ProgressState::snapshot && now_ - p.snapshot_sent() >= config_.election_timeout_max;
    if (snapshot_lost && answers(p)) {
      send_snapshot(node, p);
    } else if (p.state() == ProgressState::snapshot || p.next() <= log_.base_index()) {
      // It cannot match yet; it is only to be told that the leader lives, and to answer.
      send(node, AppendEntries{log_.base_index(), log_.base_term(), std::min(commit_, log_.base_index()), {}, round_});
    } else {
      send_append(node, p, 0);
    }
  }
}

// A snapshot is large: it goes only to who has been heard lately.
bool Raft::answers(const Progress& p) const { return now_ < p.last_contact() + config_.election_timeout_max; }

// --- Staying leader --------------------------------------------------------------------------------------------------------------

template <class When>
Time Raft::of_a_majority(When&& when) const {
  return reached_by_majority(configuration(), [&](const Voter& voter) {
    if (voter == self()) return Time::never();
    auto peer = peers_.find(voter.node);
    // A node that has never answered in this run has been given until an election timeout after the election; one that answers under
    // another voter id is not this voter.
    bool other = voter.node == config_.self || (peer != peers_.end() && peer->second.voter && *peer->second.voter != voter.id);
    return other ? leads_since_ : when(progress_.at(voter.node));
  });
}

// Since when a majority, this node included, has not been silent.
Time Raft::quorum_contact() const {
  return of_a_majority([](const Progress& p) { return p.last_contact(); });
}

Time Raft::confirmed() const {
  return of_a_majority([](const Progress& p) { return p.answered(); });
}

// §6.2: a leader that no majority answers within an election timeout steps down, so that its clients go elsewhere.
void Raft::check_quorum() {
  if (now_ < quorum_contact() + config_.election_timeout_max) return;
  REACHED("raft.quorum_lost");
  become_follower(hard_.term, kNoNode, "no majority answers");
}

Output Raft::transfer_leadership(Time now, NodeId target) {
  begin(now);
  if (!is_leader() || transferring()) return end();
  NodeId best = kNoNode;
  LogIndex best_match;
  for (const Voter& voter : configuration().joint() ? configuration().next : configuration().voters) {
    if (voter == self() || (target != kNoNode && voter.node != target)) continue;
    LogIndex match = counted(voter);
    bool alive = match.v > 0 && now_ < progress_.at(voter.node).last_contact() + config_.election_timeout_min;
    if (!alive || match <= best_match) continue;
    best = voter.node;
    best_match = match;
  }
  if (best == kNoNode) return end();
  transfer_target_ = best;
  transfer_deadline_ = now_ + config_.election_timeout_max;
  timeout_now_sent_ = false;
  report(fmt::format("hands over to node {}", best));
  return end();
}

// §3.10: the target's log is first made as long as this one.
void Raft::maybe_send_timeout_now() {
  if (!transferring() || timeout_now_sent_ || progress_.at(transfer_target_).match() != log_.last_index()) return;
  timeout_now_sent_ = true;
  send(transfer_target_, TimeoutNow{});
}

}  // namespace sg::raft
