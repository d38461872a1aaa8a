// The leader's half: replication with a pipeline per follower (§3.5, §10.2.1), commitment (§3.6.2), heartbeats and check-quorum (§6.2),
// handover (§3.10), snapshots for those who are too far behind (ch. 5).
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/quorum.h"
#include "broker/raft/raft.h"

namespace sg::raft {

void Raft::add_follower(NodeId node) {
  if (node != config_.self) progress_.try_emplace(node, log_.last_index() + 1, now_);
}

// --- Answers ---------------------------------------------------------------------------------------------------------------------

void Raft::on_append_entries_reply(const Message& m, const AppendEntriesReply& r) {
  auto found = progress_.find(m.from);
  if (found == progress_.end()) return;
  Progress& p = found->second;
  p.heard(now_);
  if (r.success) return note_match(m.from, r.match, r.counts);
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
  note_match(m.from, r.match, r.counts);
}

void Raft::note_match(NodeId node, LogIndex match, bool counts) {
  ENSURE(match <= log_.last_index(), "node {} acknowledges {}, the log ends at {}", node, match, log_.last_index());
  progress_.at(node).acknowledged(match, counts);
}

// §3.6.2: an index is committed when a majority of the voters holds it durably and its entry is of this term; what stands below it is
// then committed too. §10.2.1: the leader's own copy counts when it is durable, which may be later than those of others.
void Raft::advance_commit() {
  std::vector<LogIndex> durable_at;
  for (NodeId voter : config_.voters) {
    durable_at.push_back(voter == config_.self ? durable_index_ : progress_.at(voter).counted());
  }
  LogIndex reached = majority_reached(std::move(durable_at));
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

// Also to a follower that has much in flight: its next answer says whether something was lost. (§6.4: the round of answers to these is
// what a read-index will wait for.)
void Raft::send_heartbeats() {
  heartbeat_deadline_ = now_ + config_.heartbeat_interval;
  for (auto& [node, p] : progress_) {
    bool snapshot_lost = p.state() == ProgressState::snapshot && now_ - p.snapshot_sent() >= config_.election_timeout_max;
    if (snapshot_lost && answers(p)) {
      send_snapshot(node, p);
    } else if (p.state() == ProgressState::snapshot || p.next() <= log_.base_index()) {
      // It cannot match yet; it is only to be told that the leader lives, and to answer.
      send(node, AppendEntries{log_.base_index(), log_.base_term(), std::min(commit_, log_.base_index()), {}});
    } else {
      send_append(node, p, 0);
    }
  }
}

// A snapshot is large: it goes only to who has been heard lately.
bool Raft::answers(const Progress& p) const { return now_ < p.last_contact() + config_.election_timeout_max; }

// --- Staying leader --------------------------------------------------------------------------------------------------------------

// Since when a majority, this node included, has not been silent.
Time Raft::quorum_contact() const {
  std::vector<Time> contacts;
  for (NodeId voter : config_.voters) contacts.push_back(voter == config_.self ? Time::never() : progress_.at(voter).last_contact());
  return majority_reached(std::move(contacts));
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
  for (NodeId voter : config_.voters) {
    if (voter == config_.self || (target != kNoNode && voter != target)) continue;
    const Progress& p = progress_.at(voter);
    bool alive = now_ < p.last_contact() + config_.election_timeout_min && p.counted().v > 0;
    if (alive && (best == kNoNode || p.counted() > progress_.at(best).counted())) best = voter;
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
  if (!transferring() || timeout_now_sent_ || progress_.at(transfer_target_).counted() != log_.last_index()) return;
  timeout_now_sent_ = true;
  send(transfer_target_, TimeoutNow{});
}

}  // namespace sg::raft
