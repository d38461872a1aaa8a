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

Configuration newest_configuration(const Recovered& recovered) {
  for (auto e = recovered.entries.rbegin(); e != recovered.entries.rend(); ++e)
    if (e->kind == EntryKind::configuration) return decode_configuration(e->data).value();
  return recovered.snapshot ? recovered.snapshot->configuration : Configuration{};
}

Raft::Raft(Config config, Recovered recovered, Rng rng) : config_(std::move(config)), rng_(rng), may_lead_(recovered.may_lead) {
  ENSURE(config_.heartbeat_interval.count() > 0 && config_.heartbeat_interval < config_.election_timeout_min);
  ENSURE(config_.election_timeout_min <= config_.election_timeout_max && config_.suspicion_delay_max.count() >= 0);
  ENSURE(!config_.run.is_none() && config_.kept_behind_snapshot >= 0 && config_.voter_silence.count() >= 0);

  hard_ = {recovered.term, recovered.vote};
  if (recovered.snapshot) snapshot_ = *recovered.snapshot;
  log_ = Log(snapshot_.index, snapshot_.term);
  configurations_ = ConfigurationLog(snapshot_.configuration, snapshot_.index);
  commit_ = applied_ = snapshot_.index;  // §3.8: the rest is learned again from a leader
  for (Entry& entry : recovered.entries) {
    if (entry.index <= snapshot_.index) continue;
    if (entry.kind == EntryKind::configuration) configurations_.append(entry.index, decode_configuration(entry.data).value());
    log_.append(std::move(entry));
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
  report("started");
  reset_election_deadline();
  maybe_lead_alone();
  return end();
}

Output Raft::bootstrap(Time now, const Configuration& configuration) {
  begin(now);
  if (log_.last_index().v > 0) return end();
  ENSURE(!configuration.joint(), "{}", to_string(configuration));
  // §3.4: terms of elections begin behind that of this entry, which is the same in every founder's log.
  if (hard_.term.v == 0) set_hard_state(Term(1), kNoVoter);
  append_to_log({Entry{Term(1), LogIndex(1), EntryKind::configuration, encode(configuration)}});
  report("formed with " + to_string(configuration));
  maybe_lead_alone();
  return end();
}

Output Raft::assume(Time now, const Configuration& configuration) {
  begin(now);
  if (this->configuration().known()) return end();
  REACHED("raft.configuration_assumed");
  configurations_ = ConfigurationLog(configuration, log_.base_index());
  unnamed_ = true;
  if (snapshot_.index.v > 0) snapshot_.configuration = configuration;
  report("goes by " + to_string(configuration));
  configuration_changed();
  maybe_lead_alone();
  return end();
}

Output Raft::registered(Time now, Voter voter) {
  begin(now);
  registered_[voter.node] = voter.id;
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
  if (role_ == Role::follower && leader_ != kNoNode) acknowledge(false);
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
    if (is_leader() && now >= heartbeat_deadline_) {
      send_heartbeats();
      maybe_replace_voter();
    }
  } else if (now >= election_deadline_) {
    on_election_deadline();
  }
  return end();
}

Output Raft::suspect(Time now, NodeId node, Run run) {
  begin(now);
  if (node != config_.self && note_run(node, run) && suspected_[node] != run) {
    suspected_[node] = run;
    if (node == leader_) forget_leader();
  }
  return end();
}

Output Raft::link_up(Time now, NodeId node, Run run) {
  begin(now);
  if (node != config_.self && note_run(node, run)) {
    if (auto p = progress_.find(node); p != progress_.end()) p->second.restart_probe();
    bool asking = role_ == Role::candidate || role_ == Role::pre_candidate;
    if (asking && !configuration().voters_of(node).empty()) ask_for_vote(node);
  }
  return end();
}

Output Raft::snapshot_taken(Time now, LogIndex index, SharedBytes data) {
  begin(now);
  ENSURE(index <= applied_ && index > snapshot_.index, "snapshot at {}, applied {}, last snapshot {}", index, applied_, snapshot_.index);
  snapshot_ = Snapshot{index, *log_.term_at(index), configurations_.at(index), std::move(data)};
  persist().snapshot = snapshot_;
  log_.compact(std::max(log_.base_index(), index - config_.kept_behind_snapshot));
  configurations_.compact(index);
  return end();
}

Time Raft::deadline() const {
  if (!is_leader()) return election_deadline_;
  if (progress_.empty()) return Time::never();
  Time deadline = std::min(heartbeat_deadline_, quorum_contact() + config_.election_timeout_max);
  return transferring() ? std::min(deadline, transfer_deadline_) : deadline;
}

Run Raft::run_of(NodeId node) const {
  auto known = peers_.find(node);
  return known == peers_.end() ? Run{} : known->second.run;
}

// --- The frame of an event ---------------------------------------------------------------------------------------------------------

void Raft::begin(Time now) {
  ENSURE(started_, "start() comes first");
  ENSURE(now >= now_, "time went back from {} to {}", now_.ns, now.ns);
  now_ = now;
  out_ = Output{};
}

Output Raft::end() {
  if (is_leader()) {
    advance_commit();
    maybe_finish_change();
  }
  if (out_.persist) pending_.push_back({out_.persist->sequence, log_.last_index()});
  if (is_leader()) {
    maybe_send_timeout_now();
    replicate();
  }
  hand_out_committed();
  return std::move(out_);
}

// The one place where messages of the past end. Requests to an earlier run of this node are as good as new ones; answers to it are not:
// it may have asked something else.
bool Raft::admit(const Message& m) {
  if (m.to != config_.self || m.from == config_.self || m.from.v < 0 || !well_formed(m)) return false;
  if (!note_run(m.from, m.from_run) || !note_sender(m)) {
    REACHED("raft.message_of_an_older_run");
    return false;
  }
  bool is_reply = std::holds_alternative<RequestVoteReply>(m.body) || std::holds_alternative<AppendEntriesReply>(m.body) ||
                  std::holds_alternative<InstallSnapshotReply>(m.body);
  // Requests are answered whoever asks (configuration.h): the sender may know of a change that this node has not heard of.
  return !is_reply || m.to_run == config_.run;
}

// False if it is an older run than one that is known. A run of another directory replaces the known one: who may bear a node's id is the
// shell's to decide, and what a run says is only ever counted for its own voter id.
bool Raft::note_run(NodeId node, Run run) {
  Peer& known = peers_[node];
  if (known.run.newer_than(run)) return false;
  if (run != known.run) {
    bool restarted = !known.run.is_none();
    known = {run, std::nullopt};
    if (auto p = progress_.find(node); restarted && p != progress_.end()) p->second.forget(log_.last_index() + 1);
    if (restarted && node == leader_) forget_leader();  // whatever it was, it leads no longer
  }
  return true;
}

// A run promises under one voter id.
bool Raft::note_sender(const Message& m) {
  std::optional<VoterId>& voter = peers_.at(m.from).voter;
  if (!voter) voter = m.from_voter;
  if (*voter != m.from_voter) return false;
  if (configuration().votes(m.sender())) heard_[m.sender()] = now_;
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
    void operator()(Distrust& d) const { raft.on_distrust(m, d); }
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

void Raft::set_hard_state(Term term, Voter vote) {
  ENSURE(term >= hard_.term, "the term goes back from {} to {}", hard_.term, term);
  hard_ = {term, vote};
  persist().hard_state = hard_;
  hard_state_sequence_ = sequence_;
}

void Raft::append_to_log(std::vector<Entry> entries) {
  std::vector<Entry>& written = persist().entries;
  const LogIndex before = log_.last_index();
  for (Entry& entry : entries) {
    written.push_back(entry);
    if (entry.kind == EntryKind::configuration) configurations_.append(entry.index, decode_configuration(entry.data).value());
    log_.append(std::move(entry));
  }
  if (configurations_.newest_index() > before) configuration_changed();
}

void Raft::truncate_log(LogIndex from) {
  ENSURE(from > commit_, "truncation from {} would lose committed entries up to {}", from, commit_);
  ENSURE(!is_leader(), "a leader never rewrites its log (§3.5)");
  ENSURE(persist().entries.empty());
  persist().truncate_from = from;
  log_.truncate(from);
  durable_index_ = std::min(durable_index_, from - 1);
  for (PendingWrite& write : pending_) write.log_end = std::min(write.log_end, from - 1);
  if (configurations_.truncate(from)) {
    REACHED("raft.configuration_reverted");
    configuration_changed();
  }
}

// Leaves now, or when both the term and `after_sequence` are durable.
void Raft::send(NodeId to, MessageBody body, uint64_t after_sequence) {
  Message m{config_.self, to, config_.voter, config_.run, run_of(to), hard_.term, std::move(body)};
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

}  // namespace sg::raft
