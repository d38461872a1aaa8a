// The frame around every rule: one event in, one Output out; the terms (§3.3), the runs, and what must wait for the disk.
#include "broker/raft/raft.h"

#include <algorithm>

#include "base/probe.h"

namespace sg::raft {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::follower: return "follower";
    case Role::pre_candidate: return "pre-candidate";
    case Role::candidate: return "candidate";
    case Role::leader: return "leader";
  }
  return "?";
}

Raft::Raft(Config config, Recovered recovered, Rng rng) : config_(std::move(config)), rng_(rng) {
  size_t voters = config_.voters.size();
  ENSURE(voters == 1 || voters == 3 || voters == 5 || voters == 7, "{} voters; 1, 3, 5 or 7 are possible", voters);
  ENSURE(config_.heartbeat_interval.count() > 0 && config_.heartbeat_interval < config_.election_timeout_min);
  ENSURE(config_.election_timeout_min <= config_.election_timeout_max && config_.suspicion_delay_max.count() >= 0);
  ENSURE(!config_.run.is_none() && config_.kept_behind_snapshot >= 0);
  for (NodeId observer : config_.observers) ENSURE(!is_voter(observer), "voter {} cannot be an observer", observer);

  hard_ = {recovered.term, recovered.vote};
  barred_ = is_voter(config_.self) && (!recovered.may_vote || recovered.vote == kBarredVote);
  if (recovered.snapshot) snapshot_ = *recovered.snapshot;
  log_ = Log(snapshot_.index, snapshot_.term);
  commit_ = applied_ = snapshot_.index;  // §3.8: the rest is learned again from a leader
  for (Entry& entry : recovered.entries) {
    if (entry.index > snapshot_.index) log_.append(std::move(entry));
  }
  durable_index_ = log_.last_index();
  ENSURE(log_.last_term() <= hard_.term, "recovered an entry of term {} in term {}", log_.last_term(), hard_.term);
}

// --- Events ----------------------------------------------------------------------------------------------------------------------

Output Raft::start(Time now) {
  ENSURE(!started_, "start() comes once");
  started_ = true;
  now_ = now;
  begin(now);
  if (snapshot_.index.v > 0) out_.restore = snapshot_;
  if (barred_ && hard_.vote != kBarredVote) set_hard_state(hard_.term, kBarredVote);
  report(barred_ ? "started, barred: storage was damaged or lost" : "started");
  reset_election_deadline();
  if (barred_) probe_voters();
  if (is_voter(config_.self) && !barred_ && config_.voters.size() == 1) become_candidate(false, "the only voter");
  return end();
}

Output Raft::receive(Time now, Message message) {
  begin(now);
  if (admit(message)) dispatch(message);
  return end();
}

Output Raft::propose(Time now, std::span<const SharedBytes> commands) {
  begin(now);
  if (is_leader() && !transferring() && !commands.empty()) {
    std::vector<Entry> entries;
    LogIndex first = log_.last_index() + 1;
    for (const SharedBytes& command : commands) {
      entries.push_back({hard_.term, first + static_cast<int64_t>(entries.size()), EntryKind::command, command});
    }
    append_to_log(std::move(entries));
    out_.proposed = Proposed{hard_.term, first, static_cast<int64_t>(commands.size())};
  }
  return end();
}

Output Raft::durable(Time now, uint64_t sequence) {
  begin(now);
  ENSURE(sequence <= sequence_, "step {} is durable, but only {} were asked for", sequence, sequence_);
  if (sequence <= durable_sequence_) return end();
  durable_sequence_ = sequence;
  while (!pending_.empty() && pending_.front().sequence <= sequence) {
    durable_index_ = std::max(durable_index_, pending_.front().log_end);
    pending_.pop_front();
  }
  std::erase_if(held_, [&](HeldMessage& held) {
    if (held.sequence > sequence) return false;
    out_.messages.push_back(std::move(held.message));
    return true;
  });
  if (role_ == Role::candidate) count_votes();
  if (role_ == Role::follower && leader_ != kNoNode) {
    acknowledge(false);
    maybe_readmit();
  }
  return end();
}

Output Raft::tick(Time now) {
  begin(now);
  if (is_leader()) {
    check_quorum();
    if (is_leader() && transferring() && now >= transfer_deadline_) {
      REACHED("raft.transfer_given_up");
      transfer_target_ = kNoNode;
      report("the handover took too long");
    }
    if (is_leader() && now >= heartbeat_deadline_) send_heartbeats();
  } else if (now >= election_deadline_) {
    on_election_deadline();
  }
  return end();
}

Output Raft::suspect(Time now, NodeId node, Run run) {
  begin(now);
  if (is_peer(node) && note_run(node, run) && suspected_[node] != run) {
    suspected_[node] = run;
    if (node == leader_) forget_leader();
  }
  return end();
}

Output Raft::link_up(Time now, NodeId node, Run run) {
  begin(now);
  if (is_peer(node) && note_run(node, run)) {
    if (auto p = progress_.find(node); p != progress_.end()) p->second.restart_probe();
    bool asking = role_ == Role::candidate || role_ == Role::pre_candidate;
    if (is_voter(node) && (barred_ ? !heard_voters_.contains(node) : asking && !votes_.contains(node))) ask_for_vote(node);
  }
  return end();
}

Output Raft::snapshot_taken(Time now, LogIndex index, SharedBytes data) {
  begin(now);
  ENSURE(index <= applied_ && index > snapshot_.index, "snapshot at {}, applied {}, last snapshot {}", index, applied_, snapshot_.index);
  snapshot_ = Snapshot{index, *log_.term_at(index), std::move(data)};
  persist().snapshot = snapshot_;
  log_.compact(std::max(log_.base_index(), index - config_.kept_behind_snapshot));
  return end();
}

Output Raft::set_observers(Time now, std::vector<NodeId> observers) {
  begin(now);
  for (NodeId observer : observers) ENSURE(!is_voter(observer) && observer != config_.self, "{} cannot be an observer", observer);
  config_.observers = std::move(observers);
  if (is_leader()) {
    std::erase_if(progress_, [&](const auto& p) { return !is_peer(p.first); });
    for (NodeId observer : config_.observers) add_follower(observer);
  }
  return end();
}

Time Raft::deadline() const {
  if (!is_leader()) return election_deadline_;
  if (progress_.empty()) return Time::never();
  Time deadline = std::min(heartbeat_deadline_, quorum_contact() + config_.election_timeout_max);
  return transferring() ? std::min(deadline, transfer_deadline_) : deadline;
}

Run Raft::run_of(NodeId node) const {
  auto known = runs_.find(node);
  return known == runs_.end() ? Run{} : known->second;
}

// --- The frame of an event ---------------------------------------------------------------------------------------------------------

void Raft::begin(Time now) {
  ENSURE(started_, "start() comes first");
  ENSURE(now >= now_, "time went back from {} to {}", now_.ns, now.ns);
  now_ = now;
  out_ = Output{};
}

Output Raft::end() {
  if (out_.persist) pending_.push_back({out_.persist->sequence, log_.last_index()});
  if (is_leader()) {
    advance_commit();
    maybe_send_timeout_now();
    replicate();
  }
  hand_out_committed();
  return std::move(out_);
}

// The one place where messages of the past end. Requests to an earlier run of this node are as good as new ones; answers to it are not:
// it may have asked something else.
bool Raft::admit(const Message& m) {
  if (m.to != config_.self || !is_peer(m.from) || !well_formed(m)) return false;
  if (!note_run(m.from, m.from_run)) {
    REACHED("raft.message_of_an_older_run");
    return false;
  }
  bool is_reply = std::holds_alternative<RequestVoteReply>(m.body) || std::holds_alternative<AppendEntriesReply>(m.body) ||
                  std::holds_alternative<InstallSnapshotReply>(m.body);
  // Only voters lead and hold elections.
  return is_reply ? m.to_run == config_.run : is_voter(m.from);
}

// False if it is an older run than one that is known. A run of another directory replaces the known one: who may bear a node's id is the
// shell's to decide, and what a run says is only ever counted for its own voter id.
bool Raft::note_run(NodeId node, Run run) {
  Run& known = runs_[node];
  if (known.newer_than(run)) return false;
  if (run != known) {
    bool restarted = !known.is_none();
    known = run;
    if (auto p = progress_.find(node); restarted && p != progress_.end()) p->second.forget(log_.last_index() + 1);
    if (restarted && node == leader_) forget_leader();  // whatever it was, it leads no longer
  }
  return true;
}

// §3.3: terms. A greater one makes a follower of anybody; a smaller one is answered, so that its sender learns.
void Raft::dispatch(Message& m) {
  auto* vote_request = std::get_if<RequestVote>(&m.body);
  auto* vote_reply = std::get_if<RequestVoteReply>(&m.body);
  // §9.6: a pre-vote changes nobody's state.
  if (vote_request && vote_request->pre_vote) return on_request_vote(m, *vote_request);
  if (m.term > hard_.term) {
    // §4.2.3: who hears a leader neither votes nor takes over the term of whoever wants to depose it.
    if (vote_request && !vote_request->transfer && protects_leader()) {
      REACHED("raft.leader_protected");
      return;
    }
    become_follower(m.term, kNoNode, fmt::format("term {} of node {}", m.term, m.from));
  }
  if (m.to_run == config_.run && is_voter(m.from)) heard_voters_.insert(m.from);
  if (m.term < hard_.term && !(vote_reply && vote_reply->pre_vote)) {
    if (vote_request) send(m.from, RequestVoteReply{false, false});
    bool of_a_leader = std::holds_alternative<AppendEntries>(m.body) || std::holds_alternative<InstallSnapshot>(m.body);
    if (of_a_leader) send(m.from, AppendEntriesReply{});
    return;
  }
  struct Handler {
    Raft& raft;
    Message& m;
    void operator()(RequestVote& r) const { raft.on_request_vote(m, r); }
    void operator()(RequestVoteReply& r) const { raft.on_request_vote_reply(m, r); }
    void operator()(AppendEntries& r) const { raft.on_append_entries(m, r); }
    void operator()(AppendEntriesReply& r) const { raft.on_append_entries_reply(m, r); }
    void operator()(InstallSnapshot& r) const { raft.on_install_snapshot(m, r); }
    void operator()(InstallSnapshotReply& r) const { raft.on_install_snapshot_reply(m, r); }
    void operator()(TimeoutNow&) const { raft.on_timeout_now(m); }
  };
  std::visit(Handler{*this, m}, m.body);
}

// --- Durable state -------------------------------------------------------------------------------------------------------------------

Persist& Raft::persist() {
  if (!out_.persist) {
    out_.persist.emplace();
    out_.persist->sequence = ++sequence_;
  }
  return *out_.persist;
}

void Raft::set_hard_state(Term term, NodeId vote) {
  ENSURE(term >= hard_.term, "the term goes back from {} to {}", hard_.term, term);
  hard_ = {term, vote};
  persist().hard_state = hard_;
  hard_state_sequence_ = sequence_;
}

void Raft::append_to_log(std::vector<Entry> entries) {
  std::vector<Entry>& written = persist().entries;
  for (Entry& entry : entries) {
    written.push_back(entry);
    log_.append(std::move(entry));
  }
}

void Raft::truncate_log(LogIndex from) {
  ENSURE(from > commit_, "truncation from {} would lose committed entries up to {}", from, commit_);
  ENSURE(!is_leader(), "a leader never rewrites its log (§3.5)");
  ENSURE(persist().entries.empty());
  persist().truncate_from = from;
  log_.truncate(from);
  durable_index_ = std::min(durable_index_, from - 1);
  for (PendingWrite& write : pending_) write.log_end = std::min(write.log_end, from - 1);
}

// Leaves now, or when both the term and `after_sequence` are durable.
void Raft::send(NodeId to, MessageBody body, uint64_t after_sequence) {
  Message m{config_.self, to, config_.run, run_of(to), hard_.term, std::move(body)};
  uint64_t sequence = std::max(after_sequence, hard_state_sequence_);
  if (sequence <= durable_sequence_) {
    out_.messages.push_back(std::move(m));
  } else {
    held_.push_back({sequence, std::move(m)});
  }
}

void Raft::report(std::string reason) { out_.changes.push_back({role_, hard_.term, leader_, std::move(reason)}); }

void Raft::set_commit(LogIndex index) {
  if (index <= commit_) return;
  ENSURE(index <= log_.last_index(), "commit {} beyond the log's end {}", index, log_.last_index());
  commit_ = index;
}

void Raft::hand_out_committed() {
  while (applied_ < commit_) out_.committed.push_back(log_.at(++applied_));
}

bool Raft::is_voter(NodeId node) const { return std::ranges::find(config_.voters, node) != config_.voters.end(); }
bool Raft::is_peer(NodeId node) const {
  return node != config_.self && (is_voter(node) || std::ranges::find(config_.observers, node) != config_.observers.end());
}

}  // namespace sg::raft
