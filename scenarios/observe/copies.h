// What the simulator itself has destroyed: which partitions have no whole copy left, and whether a majority of the voters has lost what it
// promised. Beyond that nobody owes progress, nor what was destroyed; all the rest is owed as ever (correctness.md part 2, "After the
// faults stop").
//
// Invariant: only what was taken by a fault counts, judged at the moment when it was taken; of damage, when its node has drawn another
// voter id. A copy that a node itself gave up is not destroyed but lost, and that is for other checks.
#pragma once

#include <map>
#include <set>

#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

class Copies {
 public:
  // The references outlive it.
  Copies(const Ledgers& ledgers, const Ghost& ghost) : ledgers_(ledgers), ghost_(ghost) {}

  // A fault has taken what the machine's disk held; its ledger tells so already. `majority_remembers`: of the voters, after that. `kept`:
  // disks that are out of their machines now and will be back.
  void taken(MachineId machine, bool majority_remembers, const std::map<MachineId, Ledger>& kept = {});

  // At some moment fewer than a majority of the voters knew what they had promised.
  bool quorum_destroyed() const { return quorum_destroyed_; }
  // Nobody has all that was committed there.
  bool destroyed(StreamId stream) const { return destroyed_.contains(stream); }
  bool any_destroyed() const { return quorum_destroyed_ || !destroyed_.empty(); }

 private:
  const Ledgers& ledgers_;
  const Ghost& ghost_;
  bool quorum_destroyed_ = false;
  std::set<StreamId> destroyed_;
};

}  // namespace sg::scenario
