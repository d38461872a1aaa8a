// Forming a cluster (design: identity, Formation), from messages and journals: E27, what a node says of a round is durable when it leaves,
// be it "not formed" or a promise; and a founder's log begins only when the promises of all voters that it names are durable, or were.
// Without either, two clusters may come out of one set of directories, each beginning with what it believes to be everybody's word.
//
// Invariant: what is durable of a machine is the last state of its stream of promises that its ledger says is. Of a disk that people have
// exchanged nothing is known until it is written again.
#pragma once

#include <map>
#include <set>
#include <utility>

#include "broker/raft/formation.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

class FormationChecks {
 public:
  // Both outlive the checks.
  FormationChecks(const Ledgers& ledgers, Judge& judge) : ledgers_(ledgers), judge_(judge) {}

  // A message leaves the machine.
  void on_message(MachineId from, const raft::FormationMessage& message);
  // The machine's journal receives a state; more of its states are durable.
  void on_state(MachineId machine, int64_t position, const raft::FormationState& state);
  void on_durable(MachineId machine);
  // It receives the first entry of Raft's log.
  void on_log_begins(MachineId machine, const raft::Configuration& configuration);
  // The disk is empty; or it is another one, of which nothing is known.
  void emptied(MachineId machine);
  void exchanged(MachineId machine);

 private:
  struct Journal {
    std::map<int64_t, raft::FormationState> states;  // by position, the last ones; some may never become durable
    bool unknown = false;
  };
  raft::FormationState durable_of(MachineId machine) const;

  const Ledgers& ledgers_;
  Judge& judge_;
  std::map<MachineId, Journal> journals_;
  std::set<std::pair<Uuid, raft::Voter>> promised_;  // to be a voter of that cluster: durably, if only for a time
};

}  // namespace sg::scenario
