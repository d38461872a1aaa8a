// The checks that look at the cluster from outside after every event (correctness.md part 2): they decode each peer and Kafka message
// as it leaves a node and each journal write as the simulated disk receives it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scenarios/checks/liveness.h"
#include "scenarios/observe/copies.h"
#include "scenarios/world/cluster.h"
#include "sim/world.h"

namespace sg::scenario {

class Observers {
 public:
  // Attaches to the world's network and to the disks of the cluster's nodes; violations fail the world's run. Both outlive it.
  Observers(sim::World& world, Cluster& cluster);
  ~Observers();

  // The machine's monotonic clock stands still until then, at the latest: its process cannot know that time has passed.
  void suspended(const sim::Node& machine, Time until);
  // A fault has struck it.
  void struck(const sim::Node& machine);
  // The run is over and everything is healed: what is judged at the end.
  void finish();
  // Every partition as it lies on the disks now, for check_idle.
  std::vector<IdlePartition> idle() const;
  const std::vector<LateAck>& late_acks() const;
  // What the faults have destroyed.
  const Copies& copies() const;
  // Some machine has that data directory, or its disk is out of it for a while.
  bool is_anywhere(const Uuid& directory) const;
  // What is committed, whoever runs.
  const metadata::Catalogue& catalogue() const;
  // The simulator took something from the node's machine, and it has not registered since.
  bool damaged(NodeId node) const;
  // The greatest term that a node has made durable.
  Term term() const;
  // What was answered: "Produce v9 NONE".
  std::set<std::string> answered() const;
  // Every request of a client that waits for an answer, a line each.
  std::vector<std::string> outstanding() const;
  // How many facts each check has judged, by its name.
  std::map<std::string, uint64_t> judged() const;
  // The name of a check that never had anything to look at; empty if each had. `owes_silence`: as in Scenario.
  std::string idle_check(bool owes_silence) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sg::scenario
