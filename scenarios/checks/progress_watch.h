// Looks at a simulated cluster a few times a second, for the checks on progress while faults last. What is wrong with a node or a link is
// what the simulator does to it. A disk that was damaged or exchanged stays wrong: what its node may do is for other checks.
#pragma once

#include <map>

#include "scenarios/checks/progress_checks.h"
#include "scenarios/observe/observer.h"
#include "sim/world.h"

namespace sg::scenario {

class ProgressWatch final : public Observer {
 public:
  ProgressWatch(const Seen& seen, Judge& judge, const sim::World& world, const ClusterTiming& timing)
      : seen_(seen), judge_(judge), world_(world), checks_(progress_bounds_of(timing)) {}

  // A fault has struck the machine just now.
  void struck(MachineId machine) { struck_.insert(machine); }
  void on_any_event() override;

 private:
  ProgressView view() const;
  bool is_whole(const sim::Node& node, MachineId id) const;
  bool is_whole(const sim::Node& a, const sim::Node& b) const;

  const Seen& seen_;
  Judge& judge_;
  const sim::World& world_;
  ProgressChecks checks_;
  std::set<MachineId> struck_;  // since the last look
  Time next_look_;
};

}  // namespace sg::scenario
