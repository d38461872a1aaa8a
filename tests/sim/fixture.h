// A world whose nodes do what a test says, one after the other or at the same time.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/world.h"

namespace sg::sim {

class Stage {
 public:
  using Act = std::function<void(Task&, NodeEnv&)>;

  explicit Stage(uint64_t seed = 1, WorldOptions options = {}) : world(seed, options, pools_) {}

  // A running node that performs the acts it is given, and exits when it is told to stop.
  Node& node(const std::string& name) {
    auto actor = std::make_shared<Actor>();
    Node& n = world.add_node(name, [actor](Task& task, NodeEnv& env) {
      actor->env = &env;
      (void)task.park("acts");
      return 0;
    });
    actors_.push_back(actor);
    start(n);
    return n;
  }
  void start(Node& n) {
    n.start();
    world.run_until(world.now() + 10us);
  }
  // Starts an act on a running node; it goes on while the world runs.
  void begin(Node& n, Act act) {
    NodeEnv& env = *actors_[n.index()]->env;
    env.scheduler.spawn("act", [act = std::move(act), &env](Task& task) { act(task, env); });
  }
  // Performs an act to its end.
  void perform(Node& n, Act act) {
    bool done = false;
    begin(n, [&done, act = std::move(act)](Task& task, NodeEnv& env) {
      act(task, env);
      done = true;
    });
    CHECK(world.run_while([&] { return !done; }, world.now() + 60s));
  }
  void run_for(Duration d) { world.run_until(world.now() + d); }

 private:
  struct Actor {
    NodeEnv* env = nullptr;
  };
  Pools pools_;
  std::vector<std::shared_ptr<Actor>> actors_;

 public:
  World world;
};

}  // namespace sg::sim
