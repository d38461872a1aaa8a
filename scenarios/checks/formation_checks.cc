#include "scenarios/checks/formation_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sg::scenario {

raft::FormationState FormationChecks::durable_of(MachineId machine) const {
  auto journal = journals_.find(machine);
  if (journal == journals_.end()) return {};
  auto behind = journal->second.states.lower_bound(ledgers_.find(machine)->durable_end(wal::kRaftFormation));
  return behind == journal->second.states.begin() ? raft::FormationState{} : std::prev(behind)->second;
}

void FormationChecks::on_message(MachineId from, const raft::FormationMessage& message) {
  const Ledger* ledger = ledgers_.find(from);
  auto journal = journals_.find(from);
  if (!ledger || ledger->rotten() || (journal != journals_.end() && journal->second.unknown)) return;
  const raft::FormationState durable = durable_of(from);
  if (const auto* m = std::get_if<raft::Answer>(&message); m && m->standing != raft::Standing::formed)
    judge_.check(Check::e27, durable.answered >= std::max(m->round, m->answered), [&] {
      return fmt::format(
          "node {} answers \"not formed\" in round {} of node {}; its disk would keep that it takes part in no round below "
          "{} of node {}; expected: durable when it leaves",
          from, m->round.number, m->round.proposer, durable.answered.number, durable.answered.proposer);
    });
  if (const auto* m = std::get_if<raft::Promised>(&message)) {
    const bool promised = durable.promise && durable.promise->round == m->round;
    judge_.check(Check::e27, promised || durable.answered > m->round, [&] {
      return fmt::format(
          "node {} says that it has promised round {} of node {}, and its disk would not keep it; expected: durable when it "
          "leaves",
          from, m->round.number, m->round.proposer);
    });
  }
}

void FormationChecks::on_state(MachineId machine, int64_t position, const raft::FormationState& state) {
  Journal& journal = journals_[machine];
  journal.unknown = false;
  // What stood there was never durable, and is not going to be.
  journal.states.erase(journal.states.lower_bound(position), journal.states.end());
  journal.states[position] = state;
}

void FormationChecks::on_durable(MachineId machine) {
  Journal& journal = journals_[machine];
  const raft::FormationState durable = durable_of(machine);
  const int64_t end = ledgers_.find(machine)->durable_end(wal::kRaftFormation);
  while (journal.states.size() > 1 && std::next(journal.states.begin())->first < end) journal.states.erase(journal.states.begin());
  if (!durable.promise) return;
  for (const raft::Voter& voter : durable.promise->configuration.voters)
    if (voter.node == machine) promised_.emplace(durable.promise->cluster_id, voter);
}

// Whoever forms the cluster goes by its own promise; whoever is sent the entry by a leader may have another one, or none.
void FormationChecks::on_log_begins(MachineId machine, const raft::Configuration& configuration) {
  auto journal = journals_.find(machine);
  if (journal == journals_.end() || journal->second.states.empty()) return;
  const std::optional<raft::Promise>& own = journal->second.states.rbegin()->second.promise;
  if (!own || own->configuration != configuration) return;
  const raft::Round& answered = journal->second.states.rbegin()->second.answered;
  judge_.check(Check::e27, own->round.proposer != machine || answered == own->round, [&] {
    return fmt::format(
        "node {} forms cluster {} in its round {}, and has answered in round {} of node {} that it is not formed; expected: the "
        "higher round decides",
        machine, own->cluster_id, own->round.number, answered.number, answered.proposer);
  });
  std::vector<int32_t> missing;
  for (const raft::Voter& voter : configuration.voters)
    if (!promised_.contains({own->cluster_id, voter})) missing.push_back(voter.node.v);
  judge_.check(Check::e27, missing.empty(), [&] {
    return fmt::format("node {} begins the log of cluster {} ({}), and nodes {} have not durably promised it; expected: all have", machine,
                       own->cluster_id, raft::to_string(configuration), fmt::join(missing, ", "));
  });
}

void FormationChecks::emptied(MachineId machine) { journals_.erase(machine); }

void FormationChecks::exchanged(MachineId machine) { journals_[machine] = {.states = {}, .unknown = true}; }

}  // namespace sg::scenario
