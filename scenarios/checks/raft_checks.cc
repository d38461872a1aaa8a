#include "scenarios/checks/raft_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sg::scenario {
// --- Messages --------------------------------------------------------------------------------------------------------------------

void RaftChecks::on_message(MachineId from, MachineId to, const raft::Message& m) {
  const Ledger* ledger = ledgers_.find(from);
  if (!ledger || is_elsewhere(from)) return;
  auto lost = given_up_.find(m.from_voter);
  judge_.check(Check::e5, lost == given_up_.end(), [&] {
    return fmt::format(
        "node {} sends {} as voter {:016x}, which held the committed index {} and has given it up as damaged; expected: "
        "it goes on as another voter",
        from, to_string(m), m.from_voter.v, lost->second);
  });
  speaks_as_[m.from_voter] = from;
  gone_.erase(m.from_voter);
  judge_.check(Check::e2, m.term <= ledger->hard_state().term || ledger->damaged(), [&] {
    return fmt::format("node {} sends {}, and its disk would keep term {}; expected: a term is durable before it is used", from,
                       to_string(m), ledger->hard_state().term);
  });
  if (const auto* r = std::get_if<raft::RequestVote>(&m.body); r && !r->pre_vote) {
    if (!r->transfer) check_candidacy(from, m);
    check_vote(from, m, {m.term, m.from, m.from_voter});
  }
  if (const auto* r = std::get_if<raft::RequestVoteReply>(&m.body); r && r->pre_vote && r->granted) ++pre_votes_[to];
  if (const auto* r = std::get_if<raft::RequestVoteReply>(&m.body); r && !r->pre_vote && r->granted)
    check_vote(from, m, {m.term, m.to, ledger->hard_state().vote_id});
  if (const auto* r = std::get_if<raft::AppendEntries>(&m.body)) {
    check_leader(from, m);
    check_commit(from, m, r->commit);
  }
  if (const auto* r = std::get_if<raft::InstallSnapshot>(&m.body)) {
    snapshots_sent_.insert({to, r->snapshot.index});
    check_leader(from, m);
    check_commit(from, m, r->commit);
    judge_.check(Check::e5, r->snapshot.index <= ghost_.commit(), [&] {
      return fmt::format("node {} sends a snapshot of index {}; expected: at most {}, which is what is committed", from, r->snapshot.index,
                         ghost_.commit());
    });
  }
  if (const auto* r = std::get_if<raft::AppendEntriesReply>(&m.body); r && r->success) check_match(from, to, m, r->match);
  if (const auto* r = std::get_if<raft::InstallSnapshotReply>(&m.body)) check_match(from, to, m, r->match);
}

// L1, no term storm: a term begins where a majority said that it would vote for it, or by a handover. So a node that was cut off comes
// back in the term in which it left. What was said may be under way for long; each word counts for one election.
void RaftChecks::check_candidacy(MachineId from, const raft::Message& m) {
  Term& last = candidacies_[from];
  if (m.term <= last) return;
  last = m.term;
  size_t& granted = pre_votes_[from];
  const Voters voters = newest_of(from);
  const size_t needed = voters ? std::max(voters->voters.size(), voters->next.size()) / 2 : 0;
  judge_.check(Check::l1, granted >= needed, [&] {
    return fmt::format("node {} begins term {} ({}), though of the other voters {} said that they would vote for it; needed are {}", from,
                       m.term, to_string(m), granted, needed);
  });
  granted -= std::min(granted, needed);
}

// A vote may leave late, in a later term; then it is worthless and nobody can check it any more.
void RaftChecks::check_vote(MachineId from, const raft::Message& m, const wal::HardState& vote) {
  Ledger& ledger = *ledgers_.find(from);
  ledger.check_promise("a vote");
  const wal::HardState& hard = ledger.hard_state();
  if (hard.term > m.term || ledger.damaged()) return;
  judge_.check(Check::e2, hard == vote, [&] {
    return fmt::format("node {} sends {}, a vote for {} in term {}; expected: durable when it leaves; its disk would keep term {} vote {}",
                       from, to_string(m), vote.vote, m.term, hard.term, hard.vote);
  });
}

void RaftChecks::check_match(MachineId from, MachineId to, const raft::Message& m, LogIndex match) {
  Ledger& ledger = *ledgers_.find(from);
  ledger.check_promise("an acknowledged Raft index");
  // Promises of an older term may leave after a truncation; no leader of that term listens.
  if (ledger.hard_state().term > m.term || ledger.damaged()) return;
  const DurableLog* log = ledger.log(wal::kRaftLog);
  const int64_t end = log ? log->end() : 1;
  bool durable = match.v < end || match.v <= ledger.snapshot_index();
  judge_.check(Check::e5, durable, [&] {
    return fmt::format("node {} sends {}: it acknowledges index {}, durable is its log up to {} and a snapshot of {}", from, to_string(m),
                       match, end - 1, ledger.snapshot_index());
  });
  auto leader = leaders_.find(m.term);
  if (!durable || leader == leaders_.end() || leader->second != to) return;
  const Ledger* other = ledgers_.find(to);
  const DurableLog* theirs = other ? other->written_log(wal::kRaftLog) : nullptr;
  if (!theirs || other->hard_state().term != m.term || !log) return;
  auto mine = log->chain_at(match.v + 1);
  auto expected = theirs->chain_at(match.v + 1);
  if (!mine || !expected) return;
  judge_.check(Check::e4, *mine == *expected, [&] {
    return fmt::format(
        "node {} tells leader {} of term {} that their logs are equal up to index {}; expected: so they are, but they differ at or before "
        "it",
        from, m.to, m.term, match);
  });
}

void RaftChecks::check_leader(MachineId from, const raft::Message& m) {
  auto [leader, is_new] = leaders_.emplace(m.term, from);
  judge_.check(Check::e1, leader->second == from, [&] {
    return fmt::format("node {} acts as leader of term {} ({}), and node {} did so before; expected: one leader per term", from, m.term,
                       to_string(m), leader->second);
  });
  if (!is_new) return;
  const Ledger& ledger = *ledgers_.find(from);
  const DurableLog* log = ledger.log(wal::kRaftLog);
  // Leader completeness is about what leaders of earlier terms have committed: a leader whose votes came late may speak up when a later
  // one has committed more already.
  int64_t last = ghost_.commit().v;
  while (last > 0 && ghost_.entries[static_cast<size_t>(last - 1)].committed_in >= m.term) --last;
  bool holds = last == 0 || ledger.snapshot_index() >= last || (log && log->chain_at(last + 1) == ghost_.chain(LogIndex(last)));
  judge_.check(Check::e6, holds || ledger.damaged(), [&] {
    return fmt::format("node {} leads term {} without holding what is committed up to index {} (term {}); its durable log ends at {}", from,
                       m.term, last, ghost_.entries[static_cast<size_t>(last - 1)].term, log ? log->end() - 1 : 0);
  });
}

void RaftChecks::check_commit(MachineId from, const raft::Message& m, LogIndex commit) {
  if (commit <= ghost_.commit()) {
    judge_.check(Check::e5, true, [] { return std::string(); });
    return;
  }
  auto proposal = proposals_.find({commit.v, m.term.v});
  bool own_term = proposal != proposals_.end();
  const bool decided = own_term && is_decided(proposal);
  judge_.check(Check::e5, decided, [&] {
    if (!own_term)
      return fmt::format("node {} says that index {} is committed ({}), but no entry of its own term {} has that index", from, commit,
                         to_string(m), m.term);
    std::vector<int32_t> nodes;
    if (proposal->second.in_force)
      for (NodeId node : proposal->second.in_force->members())
        for (const raft::Voter& voter : proposal->second.in_force->voters_of(node))
          if (holds(voter, commit, proposal->second.chain)) nodes.push_back(node.v);
    return fmt::format(
        "node {} says that index {} of term {} is committed, but it is durable on nodes {{{}}} only, and that is no majority of {}", from,
        commit, m.term, fmt::join(nodes, ", "), proposal->second.in_force ? raft::to_string(*proposal->second.in_force) : "nobody");
  });
  if (decided) commit_to(commit, proposal->second.chain);
}

void RaftChecks::on_believed(MachineId machine, LogIndex index) {
  if (index <= ghost_.commit()) return;
  const Ledger* ledger = ledgers_.find(machine);
  const DurableLog* log = ledger ? ledger->log(wal::kRaftLog) : nullptr;
  if (!log) return;
  for (int64_t at = log->end() - 1; at >= index.v; --at) {
    const LogEntry* entry = log->ending_at(at + 1);
    auto leader = entry ? leaders_.find(Term(entry->epoch)) : leaders_.end();
    if (leader == leaders_.end() || leader->second != machine) return;
    auto proposal = proposals_.find({at, entry->epoch});
    if (proposal != proposals_.end() && is_decided(proposal)) return commit_to(LogIndex(at), proposal->second.chain);
  }
}

// --- Journals --------------------------------------------------------------------------------------------------------------------

void RaftChecks::on_append(MachineId node, const LogEntry& entry, raft::EntryKind kind, ByteSpan data) {
  const LogIndex index(entry.first);
  if (forms_alone(entry, kind, data)) elsewhere_.insert(node);
  if (is_elsewhere(node)) return;
  if (index <= ghost_.commit()) {
    const RaftGhost::Entry& committed = ghost_.entries[static_cast<size_t>(index.v - 1)];
    judge_.check(Check::e4, committed.term.v != entry.epoch || committed.chain == entry.chain, [&] {
      return fmt::format(
          "node {} writes an entry {} of term {} that differs, itself or before it, from the committed one of that index and term", node,
          index, entry.epoch);
    });
    return;
  }
  auto [known, is_new] = proposals_.try_emplace({index.v, entry.epoch}, Proposal{entry.chain, kind, {}, nullptr});
  if (is_new) {
    known->second.data.assign(data.begin(), data.end());
    known->second.in_force = in_force_behind(node, index - 1);
    if (kind == raft::EntryKind::configuration) {
      auto configuration = raft::decode_configuration(data);
      judge_.check(Check::e4, configuration.has_value(),
                   [&] { return fmt::format("node {} writes an impossible configuration at {}", node, index); });
      if (configuration) known->second.in_force = std::make_shared<const raft::Configuration>(std::move(*configuration));
    }
    judge_.check(Check::e4, true, [] { return std::string(); });
    return;
  }
  auto leader = leaders_.find(Term(entry.epoch));
  const bool own = leader != leaders_.end() && leader->second == node;
  judge_.check(own ? Check::e3 : Check::e4, known->second.chain == entry.chain, [&] {
    return fmt::format(
        "node {} writes an entry {} of term {} that differs, itself or before it, from the one that was written under that index and term",
        node, index, entry.epoch);
  });
}

void RaftChecks::on_truncate(MachineId node, int64_t new_end, const wal::HardState& hard) {
  if (is_elsewhere(node)) return;
  if (ledgers_.find(node)->rotten()) return give_up(node, new_end);
  auto leader = leaders_.find(hard.term);
  judge_.check(Check::e3, leader == leaders_.end() || leader->second != node, [&] {
    return fmt::format("node {} leads term {} and cuts its own log to end at index {}; expected: a leader only appends", node, hard.term,
                       new_end - 1);
  });
  const DurableLog* log = ledgers_.find(node)->written_log(wal::kRaftLog);
  const LogIndex first_cut(new_end);
  if (!log || first_cut > ghost_.commit()) return;
  bool is_committed = log->chain_at(new_end + 1) == ghost_.chain(first_cut);
  judge_.check(Check::e5, !is_committed, [&] {
    return fmt::format("node {} cuts its log to end at index {}, but it holds index {} as it is committed (up to {})", node, new_end - 1,
                       first_cut, ghost_.commit());
  });
}

// Recovery cuts what it cannot read any more; from then on the node is another voter.
void RaftChecks::give_up(MachineId node, int64_t new_end) {
  const DurableLog* log = ledgers_.find(node)->log(wal::kRaftLog);
  const int64_t first_cut = std::max<int64_t>({new_end, 1, log ? log->start() : 1});
  if (!log || LogIndex(first_cut) > ghost_.commit() || log->chain_at(first_cut + 1) != ghost_.chain(LogIndex(first_cut))) return;
  // What was there before it became another voter may have been lost then: that the former one held, and nobody else.
  const LogEntry* entry = log->ending_at(first_cut + 1);
  const auto reborn = reborn_.find(node);
  const bool former = entry && reborn != reborn_.end() && entry->generation < reborn->second;
  for (const auto& [voter, machine] : speaks_as_)
    if (machine == node && (!former || gone_.contains(voter))) given_up_.emplace(voter, LogIndex(first_cut));
}

void RaftChecks::on_durable() {
  // The greatest index that anybody holds, then downwards: what is not decided is short.
  int64_t last = 0;
  for (const auto& [id, machine] : speaks_as_)
    if (const Ledger* l = ledgers_.find(machine)) last = std::max(last, l->durable_end(wal::kRaftLog) - 1);
  for (int64_t index = last; index > ghost_.commit().v; --index) {
    for (auto p = proposals_.lower_bound({index, 0}); p != proposals_.end() && p->first.first == index; ++p) {
      const uint64_t chain = p->second.chain;
      auto wrote_it = [&](const raft::Voter& voter) {
        const Ledger* l = memory_of(voter);
        const DurableLog* log = l ? l->log(wal::kRaftLog) : nullptr;
        const LogEntry* entry = log ? log->ending_at(index + 1) : nullptr;
        return entry && entry->term == entry->epoch && entry->chain == chain;
      };
      if (is_decided(p, wrote_it)) return commit_to(LogIndex(index), chain);
    }
  }
}

// --- Who votes -------------------------------------------------------------------------------------------------------------------

// Its first entry names it alone, and the committed first entry names others.
bool RaftChecks::forms_alone(const LogEntry& entry, raft::EntryKind kind, ByteSpan data) const {
  if (entry.first != 1 || kind != raft::EntryKind::configuration || ghost_.commit().v == 0) return false;
  auto configuration = raft::decode_configuration(data);
  auto formed = committed_voters_.find(LogIndex(1));
  return configuration && configuration->founders.size() == 1 && formed != committed_voters_.end() && formed->second->founders.size() > 1;
}

void RaftChecks::forgotten(MachineId machine) {
  elsewhere_.erase(machine);
  reborn_.erase(machine);
  const DurableLog* log = ledgers_.find(machine)->log(wal::kRaftLog);
  for (auto it = speaks_as_.begin(); it != speaks_as_.end();) {
    if (it->second == machine) gone_.insert_or_assign(it->first, log ? *log : DurableLog());
    it = it->second == machine ? speaks_as_.erase(it) : std::next(it);
  }
}

void RaftChecks::outlived(MachineId machine) {
  const Ledger& ledger = *ledgers_.find(machine);
  reborn_[machine] = ledger.generation();
  const DurableLog* log = ledger.log(wal::kRaftLog);
  for (const auto& [voter, speaker] : speaks_as_)
    if (speaker == machine) gone_.insert_or_assign(voter, log ? *log : DurableLog());
}

bool RaftChecks::majority_remembers() const {
  auto remembers = [&](const Voters& voters) {
    return !voters || majority(voters, [&](const raft::Voter& voter) { return !gone_.contains(voter.id); });
  };
  if (!committed_voters_.empty() && !remembers(committed_voters_.rbegin()->second)) return false;
  return std::ranges::all_of(proposals_, [&](const auto& p) { return remembers(p.second.in_force); });
}

// In force behind the entry at `index` of what the machine has written.
RaftChecks::Voters RaftChecks::in_force_behind(MachineId node, LogIndex index) const {
  const DurableLog* log = ledgers_.find(node)->written_log(wal::kRaftLog);
  if (index > ghost_.commit() && log) {
    const LogEntry* entry = log->ending_at(index.v + 1);
    auto known = entry ? proposals_.find({index.v, entry->epoch}) : proposals_.end();
    if (known != proposals_.end()) return known->second.in_force;
  }
  auto behind = committed_voters_.upper_bound(index);
  return behind == committed_voters_.begin() ? nullptr : std::prev(behind)->second;
}

// What is in force at this entry is a joint configuration which both sets have committed: from the append of its final entry on, which the
// leader may have appended meanwhile and not written yet, the new set alone counts, also for what stands between the two (§4.3).
bool RaftChecks::joint_is_committed(Proposals::const_iterator entry) const {
  const Voters& joint = entry->second.in_force;
  if (!joint || !joint->joint()) return false;
  auto brought = entry;
  while (brought != proposals_.begin() && std::prev(brought)->second.in_force == joint) --brought;
  if (brought->second.kind != raft::EntryKind::configuration) return true;  // at or below what is known to be committed
  const LogIndex index(brought->first.first);
  return majority(joint, [&](const raft::Voter& voter) { return holds(voter, index, brought->second.chain); });
}

bool RaftChecks::is_decided(Proposals::const_iterator entry, const std::function<bool(const raft::Voter&)>& says) const {
  const Voters& voters = entry->second.in_force;
  return majority(voters, says) || (joint_is_committed(entry) && majority(final_of(voters), says));
}

bool RaftChecks::is_decided(Proposals::const_iterator entry) const {
  const LogIndex index(entry->first.first);
  return is_decided(entry, [&](const raft::Voter& voter) { return holds(voter, index, entry->second.chain); });
}

RaftChecks::Voters RaftChecks::final_of(const Voters& joint) {
  auto final = std::make_shared<raft::Configuration>(*joint);
  final->voters = std::move(final->next);
  final->next.clear();
  return final;
}

RaftChecks::Voters RaftChecks::newest_of(MachineId node) const {
  const DurableLog* log = ledgers_.find(node)->written_log(wal::kRaftLog);
  return log ? in_force_behind(node, LogIndex(log->end() - 1)) : nullptr;
}

bool RaftChecks::majority(const Voters& voters, const std::function<bool(const raft::Voter&)>& says) {
  auto of = [&](const std::vector<raft::Voter>& set) { return 2 * static_cast<size_t>(std::ranges::count_if(set, says)) > set.size(); };
  return voters && of(voters->voters) && (voters->next.empty() || of(voters->next));
}

const Ledger* RaftChecks::memory_of(const raft::Voter& voter) const {
  auto machine = speaks_as_.find(voter.id);
  return machine == speaks_as_.end() ? nullptr : ledgers_.find(machine->second);
}

bool RaftChecks::holds(const raft::Voter& voter, LogIndex index, uint64_t chain) const {
  const Ledger* l = memory_of(voter);
  if (!l) {
    auto gone = gone_.find(voter.id);
    return gone != gone_.end() && gone->second.chain_at(index.v + 1) == chain;
  }
  return l->damaged() || l->chain_at(wal::kRaftLog, index.v + 1) == chain;
}

void RaftChecks::commit_to(LogIndex index, uint64_t chain) {
  const DurableLog* log = nullptr;
  for (const auto& [machine, l] : ledgers_.all())
    if (const DurableLog* candidate = l->log(wal::kRaftLog); candidate && candidate->chain_at(index.v + 1) == chain)
      if (!log || candidate->start() < log->start()) log = candidate;
  const LogEntry* next = log ? log->ending_at(ghost_.commit().v + 2) : nullptr;
  if (!next) return;  // nobody who holds it has the beginning any more: it cannot be followed from here
  judge_.check(Check::e5, log->chain_at(ghost_.commit().v + 1) == ghost_.chain(ghost_.commit()), [&] {
    return fmt::format("index {} is committed in a log that differs from what was committed up to {} before", index, ghost_.commit());
  });
  const LogEntry* newest = log->ending_at(index.v + 1);
  ENSURE(newest, "a log that reaches index {} has no entry there", index);
  while (ghost_.commit() < index) {
    const LogEntry* entry = log->ending_at(ghost_.commit().v + 2);
    auto proposal = proposals_.find({entry->first, entry->epoch});
    if (proposal == proposals_.end()) return;
    ghost_.entries.push_back({Term(entry->epoch), entry->chain, Term(newest->epoch)});
    if (proposal->second.kind == raft::EntryKind::configuration) committed_voters_[ghost_.commit()] = proposal->second.in_force;
    on_committed_(ghost_.commit(), proposal->second.kind, proposal->second.data);
  }
  proposals_.erase(proposals_.begin(), proposals_.lower_bound({index.v + 1, 0}));
}

}  // namespace sg::scenario
