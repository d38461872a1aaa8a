// The follower's half of replication (§3.5) and of snapshots (ch. 5). Acknowledgements speak of what is durable: they are computed when
// the disk has answered, and one stands for all messages before it.
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/raft.h"

namespace sg::raft {

// A message of the leader of this term has come.
void Raft::follow(NodeId leader) {
  ENSURE(!is_leader(), "nodes {} and {} both lead in term {}", leader, config_.self, hard_.term);
  ENSURE(leader_ == kNoNode || leader_ == leader, "nodes {} and {} both lead in term {}", leader, leader_, hard_.term);
  if (role_ != Role::follower) become_follower(hard_.term, kNoNode, fmt::format("node {} won the election", leader));
  if (leader_ != leader) {
    leader_ = leader;
    leader_round_ = 0;
    report("follows");
  }
  leader_heard_ = true;
  leader_contact_ = now_;
  attempts_ = 0;
  reset_election_deadline();
}

void Raft::on_append_entries(const Message& m, AppendEntries& r) {
  follow(m.from);
  leader_round_ = std::max(leader_round_, r.round);
  LogIndex end = r.prev_index + static_cast<int64_t>(r.entries.size());
  // What is committed here is in the leader's log (§3.6.3): an older prev_index needs no comparison, and may be compacted away.
  bool behind_commit = r.prev_index < commit_;
  if (!behind_commit && log_.term_at(r.prev_index) != r.prev_term) return refuse_append(m.from, r.prev_index);
  accept_entries(std::move(r.entries));
  verified_ = std::max({verified_, end, commit_});
  set_commit(std::min(r.commit, verified_));
  // New entries are acknowledged when they are durable; everything else is answered at once: the leader wants to know that we live.
  bool wrote = out_.persist && !out_.persist->entries.empty();
  acknowledge(!wrote);
}

// §3.5: an entry of another term at the same index, and all behind it, goes; what is there already stays, so that an old message does
// not shorten the log.
void Raft::accept_entries(std::vector<Entry> entries) {
  auto fresh = entries.begin();
  for (; fresh != entries.end() && fresh->index <= log_.last_index(); ++fresh) {
    if (fresh->index <= commit_ || log_.term_at(fresh->index) == fresh->term) continue;
    ENSURE(fresh->index > verified_, "entry {} differs, though the log was equal to the leader's up to {}", fresh->index, verified_);
    truncate_log(fresh->index);
    break;
  }
  entries.erase(entries.begin(), fresh);
  if (!entries.empty()) append_to_log(std::move(entries));
}

void Raft::refuse_append(NodeId leader, LogIndex rejected) {
  AppendEntriesReply reply;
  reply.round = leader_round_;
  reply.rejected = rejected;
  if (rejected > log_.last_index()) {
    reply.conflict_index = log_.last_index() + 1;
  } else {
    reply.conflict_term = *log_.term_at(rejected);
    // What is committed cannot be in conflict.
    LogIndex first = rejected > log_.base_index() ? log_.first_of_term_at(rejected) : rejected;
    reply.conflict_index = std::max(first, commit_ + 1);
  }
  send(leader, std::move(reply));
}

void Raft::acknowledge(bool even_if_unchanged) {
  LogIndex match = std::min(durable_index_, verified_);
  if (match <= acknowledged_ && !even_if_unchanged) return;
  acknowledged_ = std::max(acknowledged_, match);
  AppendEntriesReply reply;
  reply.success = true;
  reply.round = leader_round_;
  reply.match = match;
  send(leader_, std::move(reply));
}

// Figure 5.3, in one chunk.
void Raft::on_install_snapshot(const Message& m, InstallSnapshot& r) {
  follow(m.from);
  if (r.offset != 0 || !r.done) return;  // no leader of this version sends chunks
  Snapshot& snapshot = r.snapshot;
  bool has_it = snapshot.index <= commit_ || log_.term_at(snapshot.index) == snapshot.term;
  if (has_it) {
    // The log holds what the snapshot describes (log matching, §3.5): it is committed, and nothing has to be replaced.
    REACHED("raft.snapshot_not_needed");
    verified_ = std::max({verified_, commit_, snapshot.index});
    set_commit(snapshot.index);
    acknowledged_ = std::min(durable_index_, verified_);
    send(m.from, InstallSnapshotReply{acknowledged_});
    return;
  }
  REACHED("raft.snapshot_installed");
  // Until the snapshot is durable, what is durable and agreed is what was committed before.
  durable_index_ = std::min(durable_index_, commit_);
  for (PendingWrite& write : pending_) write.log_end = std::min(write.log_end, commit_);
  log_.reset(snapshot.index, snapshot.term);
  configurations_ = ConfigurationLog(snapshot.configuration, snapshot.index);
  configuration_changed();
  commit_ = applied_ = verified_ = acknowledged_ = snapshot.index;
  persist().snapshot = snapshot;
  persist().truncate_from = snapshot.index + 1;
  snapshot_ = std::move(snapshot);
  out_.restore = snapshot_;
  send(m.from, InstallSnapshotReply{snapshot_.index}, persist().sequence);
}

}  // namespace sg::raft
