// Carries out a fault plan on a world: resolves targets when a fault strikes, and undoes what has a duration.
//
// Invariant: what a fault does depends on the fault, its resolved targets and the state of the world, never on other faults' random
// numbers; what lasts is an effect of its own (sim/effects.h). After the safety phase nothing more strikes. A fault whose target cannot be
// resolved (nobody leads) is retried for a moment, then counted as skipped. Spec: sim/fault.h.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/fault.h"
#include "sim/people.h"
#include "sim/world.h"

namespace sg::sim {

class FaultExecutor {
 public:
  // For so long after its time a fault is tried whose target nobody is.
  static constexpr Duration kRetriedFor = 1s;

  // The nodes that a symbolic target names now; empty if nobody fits. `draw` decides a choice. Called for what the executor does not
  // know itself: it knows names of nodes, "random" (running), "random_down" and "all" among the candidates.
  using Resolver = std::function<std::vector<Node*>(std::string_view target, uint64_t draw)>;

  // The world outlives the executor, and the executor outlives the run. `candidates`: the nodes that faults may hit (the servers).
  FaultExecutor(World& world, FaultPlan plan, std::vector<Node*> candidates, Resolver resolver = nullptr);

  // Who carries out the faults of people; before start(). A plan that has some needs one.
  void set_operator(Operator& harness) { people_.emplace(world_, harness, candidates_); }

  // Puts the plan into the world's queue.
  void start();
  // Before the liveness phase: what people did wrong is set right.
  void mend() {
    if (people_) people_->mend();
  }
  // Something has happened that holds may wait for (Fault::until): those that do end.
  void happened(std::string_view event);

  const FaultPlan& plan() const { return plan_; }
  // Faults that struck; a crash point once the death has struck there.
  uint64_t executed() const { return executed_; }
  uint64_t skipped() const { return skipped_; }

  // Called for each fault that strikes, with its target.
  void set_on_fault(std::function<void(const Fault&, Node&)> hook) { on_fault_ = std::move(hook); }

 private:
  static constexpr Duration kRetryEvery = 20ms;
  static constexpr int kRetries = kRetriedFor / kRetryEvery;

  std::vector<Node*> resolve(std::string_view target, uint64_t draw) const;
  void back_up(size_t index, int attempt);
  void strike(size_t index, int attempt);
  void strike_at(size_t index, Node& target);
  void apply(const Fault& fault, Node& target);
  void apply_link(const Fault& fault, Node& from, Node& to);
  void down(const Fault& fault, Node& target);
  void kill(Node& target, Death death, Duration down_time);
  void start(Node& target);
  void arm(const Fault& fault, Node& target);
  void watch(std::shared_ptr<const Effects::Id> struck, Duration down_time);
  // For the duration; 0: until healed.
  void begin(Duration duration, std::vector<Effect> effects);
  // From now on; without a down time until it is started by a fault.
  Effects::Id keep_down(Node& target, Death death, Duration down_time);
  // What has a duration ends after it.
  void end_later(Duration duration, std::vector<Effects::Id> effects);
  void later(Duration delay, std::function<void()> undo);

  World& world_;
  FaultPlan plan_;
  std::vector<Node*> candidates_;
  Resolver resolver_;
  std::optional<People> people_;
  std::function<void(const Fault&, Node&)> on_fault_;
  std::map<std::string, std::vector<Effects::Id>, std::less<>> awaiting_;  // holds by the event that ends them
  std::map<uint32_t, std::vector<Effects::Id>> down_until_started_;        // by node
  uint64_t executed_ = 0;
  uint64_t skipped_ = 0;
};

}  // namespace sg::sim
