// The simulated world of a run: draws network, cluster and fault plan from the seed, carries the faults out, starts again what a broken
// disk has ended, and shows the cluster to the checks that look at it from outside.
// Invariant: what happens is a function of (scenario, seed, plan), whatever is judged.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scenarios/checks/observers.h"
#include "scenarios/world/cluster.h"
#include "scenarios/world/ending.h"
#include "scenarios/world/holds.h"
#include "scenarios/world/world.h"
#include "sim/fault_executor.h"
#include "sim/trace.h"
#include "sim/world.h"

namespace sg::scenario {

// When a run's phases end.
struct PhaseTimes {
  Time safety_begin;
  Time safety_end;
};

class SimulatedWorld final : public World {
 public:
  struct Options {
    const sim::FaultPlan* plan = nullptr;  // instead of the drawn one
    sim::TraceSink* trace = nullptr;
    bool observed = true;  // by the checks that look from outside
  };
  // Draws the times of the phases too. The scenario and the pools outlive it.
  SimulatedWorld(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const Options& options);
  ~SimulatedWorld() override;

  const PhaseTimes& times() const { return times_; }

  Time now() const override { return world_.now(); }
  bool run_until(Time until) override { return world_.run_until(until) && !failed(); }
  bool run_while(const std::function<bool()>& condition, Time limit) override;
  void schedule(Time time, std::function<void()> callback) override { world_.schedule(time, std::move(callback)); }
  uint64_t events() const override { return world_.events(); }
  Rng rng(std::string_view name) const override { return world_.rng(name); }

  void start() override;
  ClientHost& add_client(std::string name, ClientProgram program) override;
  void heal() override;
  Ending ending() const override { return ending_; }
  Duration still_under_way() const override;
  Duration still_stopping() const override;
  bool somebody_moved() const override;
  ClusterTiming timing() const override { return cluster_.timing(); }
  size_t faults_planned() const override { return plan_.faults.size(); }
  bool may_be_stale(Time time) const override;

  ClusterView view() const override;
  std::vector<ReplicaContents> read_replicas() override;
  std::vector<LateAck> late_acks() const override { return observers_ ? observers_->late_acks() : std::vector<LateAck>(); }
  std::optional<Violation> judge_outside() override;
  std::string vacuous() const override;

  void fail(std::string check, std::string text) override { world_.fail(std::move(check), std::move(text)); }
  void note_waiting() override { how_it_stands_ = how_it_stands(); }
  bool failed() const override { return world_.failure().has_value(); }
  void shut_down() override;
  void describe(RunRecord& record) const override;

 private:
  class Host;
  bool quorum_destroyed() const;
  bool is_away(const sim::Node& node) const;
  void note_cuts(ClusterView& view) const;
  bool destroyed(StreamId stream) const;
  bool nobody_left(const metadata::Partition& p) const;
  std::vector<std::string> how_it_stands() const;
  bool touched(const std::vector<NodeId>& members) const;
  Duration longest_fault() const;
  void supervise();
  void await_hold_ends();
  std::optional<Violation> check_holdings();
  std::optional<Violation> check_idleness();
  bool is_stopping(const sim::Node& node) const;
  void await_stop(sim::Node& node, uint64_t incarnation, Time since);
  std::string_view role_of(const sim::Node& node) const;

  const Scenario& scenario_;
  HeldMessages held_{Cluster::kPeerPort, Cluster::kKafkaPort};
  sim::World world_;
  Cluster cluster_;
  HoldEnds hold_ends_{cluster_};
  std::optional<Observers> observers_;
  PhaseTimes times_;
  sim::FaultPlan plan_;
  Ending ending_ = Ending::healed;
  std::vector<Broken> broken_;  // for ever, once everything else was healed
  std::unique_ptr<sim::FaultExecutor> executor_;
  std::vector<std::unique_ptr<Host>> clients_;
  std::map<uint32_t, uint64_t> stopping_;      // in an orderly way: nodes by the world's number, and which of their incarnations
  std::set<std::string> taken_;                // machines whose disks faults have emptied or exchanged
  std::vector<std::pair<Time, Time>> sleeps_;  // suspended from, to
  std::map<std::string, uint64_t> struck_;
  std::set<std::string> seen_;              // faults by what they struck
  std::vector<std::string> how_it_stands_;  // when progress was owed and did not come
  uint64_t leader_changes_ = 0;
  uint64_t idle_partitions_ = 0;  // that were judged
};

}  // namespace sg::scenario
