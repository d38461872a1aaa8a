// The simulated world: one event queue, one virtual time, one tree of random streams split by name from the seed; nodes with a disk
// each, and the network between them. The front door of sim/.
//
// Invariant: a run is a function of (program, options, seed). Nothing else is a source of choice: no wall clock, no address, no hash
// order. Everything happens inside run_until / run_while, on one thread. It can test any program: it knows nothing of the broker.
// Spec: architecture §2 and §8; correctness.md part 1.
//
//   sim::Pools pools;                                   // once per thread, across runs
//   sim::World world(seed, {}, pools);
//   sim::Node& node = world.add_node("node1", [](Task& task, sim::NodeEnv& env) { …; return 0; });
//   node.start();
//   world.schedule(Time{0} + 5s, [&] { node.die(sim::Death::kill); });
//   world.run_until(Time{0} + 10s);
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "base/scheduler.h"
#include "sim/effects.h"
#include "sim/event_queue.h"
#include "sim/network.h"
#include "sim/node.h"
#include "sim/page.h"
#include "sim/trace.h"

namespace sg::sim {

// What is worth keeping from run to run: mapped stacks and pages.
struct Pools {
  StackPool stacks;
  PagePool pages;
};

struct WorldOptions {
  NetworkOptions network;
  NodeOptions node;                      // for add_node without its own
  uint64_t max_events_per_ms = 100'000;  // of simulated time; more is a livelock and fails the run
};

// Safety: anything may fail. Liveness: what was healed stays healed, and progress is owed.
enum class Phase : uint8_t { safety, liveness };

struct Failure {
  std::string check;
  std::string text;
  Time time;
  uint64_t event = 0;  // how many trace events came before it
};

class World final : private EventHandler {
 public:
  World(uint64_t seed, const WorldOptions& options, Pools& pools);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  uint64_t seed() const { return seed_; }
  Time now() const { return queue_.now(); }
  // An independent stream that depends on the seed and the name only.
  Rng rng(std::string_view name) const { return root_.split(name); }

  // The name is the host name too. The node is down until start().
  Node& add_node(std::string name, Program program);
  Node& add_node(std::string name, Program program, const NodeOptions& options);
  size_t node_count() const { return nodes_.size(); }
  Node& node(size_t index) { return *nodes_[index]; }
  Node* find(std::string_view name);

  SimNetwork& network() { return network_; }
  const SimNetwork& network() const { return network_; }
  Trace& trace() { return trace_; }
  const Trace& trace() const { return trace_; }
  EventQueue& queue() { return queue_; }
  Effects& effects() { return effects_; }
  const Effects& effects() const { return effects_; }
  Pools& pools() { return pools_; }

  // Harness code at a time of the world (at once if it has passed). Not for hot paths.
  void schedule(Time time, std::function<void()> callback);

  // Runs events up to and including `time`, or until the run has failed. True if time was reached.
  bool run_until(Time time);
  // Runs while pred() holds, at most until `limit`. True if it ended because pred() did not hold.
  bool run_while(const std::function<bool()>& pred, Time limit);

  // The run has failed; the first failure counts, and no further event runs.
  void fail(std::string check, std::string text);
  const std::optional<Failure>& failure() const { return failure_; }

  Phase phase() const { return phase_; }
  // Heals everything and starts those of `nodes` that are down; from now on faults are refused by their executor.
  void begin_liveness(std::span<Node* const> nodes);
  // From now on faults are refused by their executor; nothing is healed.
  void end_faults() { phase_ = Phase::liveness; }
  // What is armed and has not struck never will: crash points, failures of writes and syncs.
  void disarm();
  // What faults do for a time ends: links, latencies, stalls, drifts, armed crash points and failures. Nodes that are down stay down,
  // damage and a wall clock that was moved stay.
  void heal_all();

  uint64_t events() const { return queue_.executed(); }

 private:
  friend class Node;

  void on_event(uint64_t slot) override;
  bool step();

  uint64_t seed_;
  WorldOptions options_;
  Pools& pools_;
  Rng root_;
  EventQueue queue_;
  Trace trace_;
  SimNetwork network_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Effects effects_{*this};
  std::vector<std::function<void()>> callbacks_;
  std::vector<uint32_t> free_callbacks_;
  std::optional<Failure> failure_;
  Phase phase_ = Phase::safety;
  int64_t current_ms_ = -1;
  uint64_t events_in_ms_ = 0;
};

}  // namespace sg::sim
