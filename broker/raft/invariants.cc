#include "broker/raft/invariants.h"

#include <algorithm>

#define REQUIRE_THAT(condition, ...)                                                                              \
  do {                                                                                                            \
    if (!(condition)) return fail(Errc::invalid, fmt::format("{}: {}", #condition, fmt::format("" __VA_ARGS__))); \
  } while (0)

namespace sg::raft {

ShadowDisk::ShadowDisk(const Recovered& recovered) : hard_{recovered.term, recovered.vote} {
  if (recovered.snapshot) snapshot_ = *recovered.snapshot;
  for (const Entry& e : recovered.entries) entries_.emplace(e.index, e);
}

void ShadowDisk::write(const Persist& step) {
  if (step.hard_state) hard_ = *step.hard_state;
  if (step.snapshot) {
    snapshot_ = *step.snapshot;
    entries_.erase(entries_.begin(), entries_.upper_bound(snapshot_.index));
  }
  if (step.truncate_from) entries_.erase(entries_.lower_bound(*step.truncate_from), entries_.end());
  for (const Entry& e : step.entries) entries_.insert_or_assign(e.index, e);
}

bool ShadowDisk::holds(LogIndex index, Term term) const {
  if (index == snapshot_.index) return term == snapshot_.term;
  if (index < snapshot_.index) return true;
  auto found = entries_.find(index);
  return found != entries_.end() && found->second.term == term;
}

Recovered ShadowDisk::recover() const {
  Recovered r;
  r.term = hard_.term;
  r.vote = hard_.vote;
  if (snapshot_.index.v > 0) r.snapshot = snapshot_;
  for (const auto& [index, entry] : entries_) r.entries.push_back(entry);
  return r;
}

Result<> Invariants::check(const Raft& raft, const Output& output) {
  TRY_DO(check_persist(raft, output));
  while (!not_durable_.empty() && not_durable_.front().sequence <= raft.durable_sequence()) {
    disk_.write(not_durable_.front());
    not_durable_.pop_front();
  }
  TRY_DO(check_state(raft));
  if (before_) TRY_DO(check_transition(raft, output));
  TRY_DO(check_committed(raft, output));
  for (const Message& m : output.messages) TRY_DO(check_message(raft, m));
  before_ = Seen{{raft.term(), raft.vote()}, raft.role(), raft.commit(), raft.log().last_index(), raft.applied(), raft.last_sequence()};
  return {};
}

Result<> Invariants::check_state(const Raft& raft) const {
  const Log& log = raft.log();
  REQUIRE_THAT(log.base_index() <= raft.snapshot().index, "base {}, snapshot {}", log.base_index(), raft.snapshot().index);
  REQUIRE_THAT(raft.snapshot().index <= raft.commit(), "snapshot {}, commit {}", raft.snapshot().index, raft.commit());
  REQUIRE_THAT(raft.applied() == raft.commit(), "applied {}, commit {}", raft.applied(), raft.commit());
  REQUIRE_THAT(raft.commit() <= log.last_index(), "commit {}, last {}", raft.commit(), log.last_index());
  REQUIRE_THAT(log.last_term() <= raft.term(), "entry of term {} in term {}", log.last_term(), raft.term());
  // A leader that is to leave the voters leads until that is committed.
  REQUIRE_THAT(raft.role() == Role::follower || raft.is_leader() || raft.stands(), "{} stands for election", raft.self());
  REQUIRE_THAT(!raft.stands() || raft.is_leader() || raft.deadline() != Time::never(), "a voter waits for nothing");
  if (raft.role() == Role::candidate) REQUIRE_THAT(raft.vote() == raft.self(), "a candidate voted for {}", raft.vote());
  if (!raft.is_leader()) {
    REQUIRE_THAT(raft.progress().empty() && !raft.transferring() && raft.leader() != raft.config().self, "leftovers of a leader");
    return {};
  }
  REQUIRE_THAT(raft.leader() == raft.config().self && raft.vote() == raft.self(), "leads, and voted for {}", raft.vote());
  REQUIRE_THAT((disk_.hard_state() == HardState{raft.term(), raft.self()}), "leads term {} that is not durable", raft.term());
  REQUIRE_THAT(log.last_term() == raft.term(), "leads without an entry of its term");
  for (const auto& [node, p] : raft.progress()) {
    REQUIRE_THAT(p.match() < p.next() && p.next() <= log.last_index() + 1, "node {}: {} {} of {}", node, p.match(), p.next(),
                 log.last_index());
    // The last message may overshoot the bound in bytes, never the one in messages.
    REQUIRE_THAT(p.in_flight_messages() <= raft.config().limits.in_flight_max_messages, "node {}: {}", node, p.in_flight_messages());
  }
  return {};
}

Result<> Invariants::check_transition(const Raft& raft, const Output& output) const {
  const Seen& was = *before_;
  REQUIRE_THAT(raft.term() >= was.hard.term, "term {} after {}", raft.term(), was.hard.term);
  bool vote_changed = raft.term() == was.hard.term && raft.vote() != was.hard.vote;
  REQUIRE_THAT(!vote_changed || was.hard.vote == kNoVoter, "second vote {} after {} in term {}", raft.vote(), was.hard.vote, raft.term());
  REQUIRE_THAT(raft.commit() >= was.commit, "commit {} after {}", raft.commit(), was.commit);
  if (was.role == Role::leader && raft.is_leader()) {
    REQUIRE_THAT(raft.term() == was.hard.term, "leads term {} right after term {}", raft.term(), was.hard.term);
    LogIndex last = raft.log().last_index();
    REQUIRE_THAT(last >= was.last_index, "a leader's log shrinks to {} from {}", last, was.last_index);
    REQUIRE_THAT(!output.persist || !output.persist->truncate_from, "a leader rewrites its log");
  }
  if (was.role != Role::leader && raft.is_leader()) REQUIRE_THAT(was.role == Role::candidate, "leads without an election");
  if (output.persist && output.persist->truncate_from) {
    LogIndex from = *output.persist->truncate_from;
    REQUIRE_THAT(from > was.commit, "truncates from {}, committed {}", from, was.commit);
  }
  bool state_changed = raft.role() != was.role || raft.term() != was.hard.term;
  REQUIRE_THAT(!state_changed || !output.changes.empty(), "role or term changed in silence");
  return {};
}

Result<> Invariants::check_persist(const Raft& raft, const Output& output) {
  bool hard_changed = before_ && !(before_->hard == HardState{raft.term(), raft.vote()});
  REQUIRE_THAT(!hard_changed || (output.persist && output.persist->hard_state), "term or vote changed only in memory");
  if (!output.persist) return {};
  const Persist& step = *output.persist;
  uint64_t expected = (before_ ? before_->sequence : 0) + 1;
  REQUIRE_THAT(step.sequence == expected && raft.last_sequence() == expected, "step {}, expected {}", step.sequence, expected);
  if (step.hard_state) REQUIRE_THAT((*step.hard_state == HardState{raft.term(), raft.vote()}), "persists another state than its own");
  LogIndex end = before_ ? before_->last_index : disk_.last_index();
  if (step.truncate_from) end = *step.truncate_from - 1;
  Term term;
  for (const Entry& e : step.entries) {
    REQUIRE_THAT(e.index == end + 1 && e.term >= term, "entry {}/{} behind {}", e.index, e.term, end);
    end = e.index;
    term = e.term;
  }
  not_durable_.push_back(step);
  bool concerns_configuration = step.snapshot || step.truncate_from;
  for (const Entry& e : step.entries) concerns_configuration = concerns_configuration || e.kind == EntryKind::configuration;
  return concerns_configuration ? check_configuration(raft) : Result<>();
}

// What is in force is what the log says: the newest of its entries, or else what came with the snapshot.
Result<> Invariants::check_configuration(const Raft& raft) const {
  const Log& log = raft.log();
  for (LogIndex i = log.last_index(); i > std::max(log.base_index(), raft.snapshot().index); i = i - 1) {
    if (log.at(i).kind != EntryKind::configuration) continue;
    REQUIRE_THAT(decode_configuration(log.at(i).data).value() == raft.configuration(), "{} is in force, {} says otherwise",
                 to_string(raft.configuration()), i);
    return {};
  }
  if (raft.snapshot().configuration.known())
    REQUIRE_THAT(raft.snapshot().configuration == raft.configuration(), "{} is in force, the snapshot says otherwise",
                 to_string(raft.configuration()));
  return {};
}

Result<> Invariants::check_committed(const Raft& raft, const Output& output) const {
  LogIndex applied = before_ ? before_->applied : LogIndex{};
  if (output.restore) {
    REQUIRE_THAT(output.restore->index > applied, "restores {} over {}", output.restore->index, applied);
    applied = output.restore->index;
  }
  for (const Entry& e : output.committed) {
    REQUIRE_THAT(e.index == applied + 1, "hands out {} after {}", e.index, applied);
    applied = e.index;
  }
  REQUIRE_THAT(applied == raft.applied(), "handed out {}, says {}", applied, raft.applied());
  return {};
}

Result<> Invariants::check_message(const Raft& raft, const Message& m) const {
  NodeId self = raft.config().self;
  REQUIRE_THAT(m.sender() == raft.self() && m.to != self && m.from_run == raft.config().run, "{}", to_string(m));
  REQUIRE_THAT(well_formed(m), "{}", to_string(m));
  const HardState& hard = disk_.hard_state();
  REQUIRE_THAT(m.term <= hard.term, "{} with durable term {}", to_string(m), hard.term);
  if (const auto* r = std::get_if<RequestVote>(&m.body); r && !r->pre_vote) {
    REQUIRE_THAT((hard == HardState{m.term, raft.self()}), "{} with durable vote {}/{}", to_string(m), hard.term, hard.vote);
  }
  if (const auto* r = std::get_if<RequestVoteReply>(&m.body); r && !r->pre_vote && r->granted) {
    REQUIRE_THAT(hard.term == m.term && hard.vote.node == m.to, "{} with durable vote {}/{}", to_string(m), hard.term, hard.vote);
  }
  bool leads = std::holds_alternative<AppendEntries>(m.body) || std::holds_alternative<InstallSnapshot>(m.body);
  REQUIRE_THAT(!leads || (raft.is_leader() && m.term == raft.term()), "{} from a {}", to_string(m), to_string(raft.role()));
  std::optional<LogIndex> promised;
  if (const auto* r = std::get_if<AppendEntriesReply>(&m.body); r && r->success) promised = r->match;
  if (const auto* r = std::get_if<InstallSnapshotReply>(&m.body)) promised = r->match;
  if (!promised) return {};
  // Below a snapshot that is installed and not yet durable the log no longer knows the terms; what was committed there is still durable.
  std::optional<Term> term = raft.log().term_at(*promised);
  bool durable = term ? disk_.holds(*promised, *term) : *promised < raft.log().base_index() && *promised <= disk_.last_index();
  REQUIRE_THAT(durable, "{}, durable up to {}", to_string(m), disk_.last_index());
  return {};
}

}  // namespace sg::raft
