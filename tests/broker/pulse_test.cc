// Links that fall silent, in a simulated world: who notices, how soon they are back, and who must not be judged.
#include "broker/peer/pulse.h"

#include <doctest/doctest.h>

#include "broker/peer/peer_server.h"
#include "broker/peer/reach.h"
#include "broker/peer/refusals.h"
#include "tests/base/nth_run.h"
#include "tests/sim/fixture.h"

using namespace sg;
using namespace sg::broker;
using namespace sg::broker::peer;
using sg::test::nth_run;

namespace {

constexpr uint16_t kPort = 9192;
constexpr Duration kTimeout = 1s;

Env env_of(sim::NodeEnv& e) { return {e.scheduler, e.clock, e.network, e.disk, e.rng, e.log}; }

// A node that takes links, and dials those that it is told to. Both kinds of link go on until their node ends.
struct Peer final : LinkEvents, PeerEvents {
  Peer(sim::Stage& s, int n, Duration t = kTimeout) : stage(s), timeout(t), node(s.node(fmt::format("node{}", n))), id(n) {}
  ~Peer() override {
    if (node.running()) node.die(sim::Death::kill);
  }
  void run(std::optional<int> dials, std::optional<int> follows = std::nullopt) {
    stage.begin(node, [this, dials, follows](Task& task, sim::NodeEnv& e) {
      Env env = env_of(e);
      Identity identity{.node = NodeId{id}, .run = nth_run(static_cast<uint64_t>(10 * id))};
      Pulses pulses(env, timeout);
      PeerServer server(env, identity, *this, pulses, 64);
      ControlLinks links(env, identity, *this, pulses);
      pulses_ = &pulses;
      CHECK(server.listen({node.name(), kPort}));
      TaskGroup tasks(task.scheduler());
      tasks.spawn("pulses", [&](Task& t) { pulses.run(t); });
      tasks.spawn("server", [&](Task& t) { server.run(t); });
      if (dials) links.add(tasks, NodeId{*dials}, {{fmt::format("node{}", *dials), kPort}});
      if (follows) tasks.spawn("follow", [&, to = *follows](Task& t) { follow(t, env, identity, pulses, to); });
      (void)task.sleep_for(1h);
      tasks.stop();
      tasks.join(task);
    });
  }
  // A link on which this end only listens, but for its signs of life.
  void follow(Task& task, Env& env, const Identity& identity, Pulses& pulses, int to) {
    while (!task.stopping()) {
      auto greeted = dial(task, env, identity, NodeId{to}, {fmt::format("node{}", to), kPort}, LinkKind::replication, task.now() + 1s);
      if (!greeted) continue;
      sessions.push_back(stage.world.now());
      greeted->connection->watch(pulses, NodeId{to});
      while (greeted->reader->next(task)) {}
    }
  }

  Result<> on_link_up(NodeId, Run, VoterId, const net::Address&) override {
    ups.push_back(stage.world.now());
    return {};
  }
  void on_refused_by(NodeId, Run, VoterId, const net::Address&) override {}
  void on_nobody_at(NodeId, const net::Address&) override {}
  void on_link_down(NodeId, Run) override {}
  void on_suspicion(NodeId, Run) override { ++suspicions; }
  void on_probe_refused(NodeId) override {}
  Result<> admit(const Hello&) override { return {}; }
  void on_hello(NodeId, Run) override {}
  void on_hello_over(NodeId, Run) override {}
  Result<> on_control_frame(NodeId, Run, const Frame&) override {
    ++frames;
    return {};
  }
  Result<> serve_replication(Task& task, LiveConnection&, FrameReader& reader, const Hello&) override {
    ++serving;
    while (reader.next(task)) {}
    --serving;
    return {};
  }

  sim::Stage& stage;
  Duration timeout;
  sim::Node& node;
  int id;
  Pulses* pulses_ = nullptr;
  std::vector<Time> ups;       // of the control link
  std::vector<Time> sessions;  // of the other one
  int suspicions = 0;
  int frames = 0;
  int serving = 0;
};

// A kernel that does not help.
sim::WorldOptions bare() {
  sim::WorldOptions options;
  options.network.has_patience = false;
  return options;
}

}  // namespace

TEST_CASE("given links on which nothing is said, then they stay, and signs of life are no messages") {
  sim::Stage stage(1, bare());
  Peer a(stage, 1);
  Peer b(stage, 2);
  b.run(std::nullopt);
  a.run(2, 2);
  stage.run_for(60s);
  CHECK(a.ups.size() == 1);
  CHECK(a.sessions.size() == 1);
  CHECK(b.serving == 1);
  CHECK(b.frames == 0);
  CHECK(a.pulses_->unheard() == "");
}

TEST_CASE("given a cut of any length in either direction or both, then links of either kind are back at once when it is healed") {
  for (Duration cut : {Duration(2s), Duration(15s), Duration(59s)}) {
    for (int ways : {1, 2, 3}) {
      sim::Stage stage(1, bare());
      Peer a(stage, 1);
      Peer b(stage, 2);
      b.run(std::nullopt);
      a.run(2, 2);
      stage.run_for(1s);
      sim::SimNetwork& net = stage.world.network();
      if (ways & 1) net.cut(a.node.index(), b.node.index());
      if (ways & 2) net.cut(b.node.index(), a.node.index());
      stage.run_for(cut);
      CHECK(a.ups.size() == 1);
      CHECK(b.serving == 0);  // that end has noticed too
      if (ways & 2) CHECK(a.pulses_->unheard().starts_with("2 for "));
      const Time healed = stage.world.now();
      net.heal_all();
      stage.run_for(1s);
      REQUIRE(a.ups.size() == 2);
      REQUIRE(a.sessions.size() == 2);
      CHECK(a.ups.back() - healed < 300ms);
      CHECK(a.sessions.back() - healed < 300ms);
      CHECK(b.serving == 1);
      CHECK(a.suspicions == 0);
    }
  }
}

TEST_CASE("given a peer whose reset was lost, then a link on which nothing is said is dialed again all the same") {
  sim::Stage stage(1, bare());
  Peer a(stage, 1);
  auto b = std::make_unique<Peer>(stage, 2);
  b->run(std::nullopt);
  a.run(std::nullopt, 2);
  stage.run_for(1s);
  stage.world.network().cut(b->node.index(), a.node.index());
  b->node.die(sim::Death::kill);
  stage.run_for(10ms);
  stage.world.network().heal_all();
  stage.start(b->node);
  b->run(std::nullopt);
  stage.run_for(2s);
  CHECK(a.sessions.size() == 2);
}

TEST_CASE("given a node whose loop stalled for longer than the timeout, then it reads before it judges") {
  sim::Stage stage(1, bare());
  Peer a(stage, 1);
  Peer b(stage, 2, 1h);  // is patient with the other one
  b.run(std::nullopt);
  a.run(2, 2);
  stage.run_for(1s);
  a.node.stall(stage.world.now() + 5s, false);
  stage.run_for(20s);
  CHECK(a.ups.size() == 1);
  CHECK(a.sessions.size() == 1);
}

TEST_CASE("given a peer that stands still for longer than the timeout, then the link is closed, and nobody is suspected") {
  sim::Stage stage(1, bare());
  Peer a(stage, 1);
  Peer b(stage, 2);
  b.run(std::nullopt);
  a.run(2);
  stage.run_for(1s);
  const Time end = stage.world.now() + 5s;
  b.node.stall(end, false);
  stage.run_for(6s);
  CHECK(a.ups.size() == 2);
  CHECK(a.ups.back() - end < 100ms);
  CHECK(a.suspicions == 0);
}

TEST_CASE("given a silent host, when it can be reached, then a connect succeeds within a step; before, it ends at its deadline") {
  sim::Stage stage;
  sim::Node& a = stage.node("a");
  sim::Node& b = stage.node("b");
  std::unique_ptr<net::Listener> listener;
  stage.perform(b, [&](Task&, sim::NodeEnv& env) { listener = std::move(*env.network.listen({"b", kPort})); });
  stage.world.network().cut(a.index(), b.index());
  stage.perform(a, [&](Task& task, sim::NodeEnv& env) {
    const Time begin = task.now();
    CHECK(reach(task, env.network, {"b", kPort}, begin + 1s).is(Errc::timeout));
    CHECK(task.now() - begin == 1s);
    CHECK(reach(task, env.network, {"nobody", kPort}, task.now() + 1s).is(Errc::unavailable));
  });
  const Time healed = stage.world.now() + 350ms;
  stage.world.schedule(healed, [&] { stage.world.network().heal_all(); });
  stage.perform(a, [&](Task& task, sim::NodeEnv& env) {
    CHECK(reach(task, env.network, {"b", kPort}, task.now() + 1s));
    CHECK(stage.world.now() - healed < kReachStep);
  });
  stage.perform(b, [&](Task&, sim::NodeEnv&) { listener.reset(); });
  stage.perform(a, [&](Task& task, sim::NodeEnv& env) {
    CHECK(reach(task, env.network, {"b", kPort}, task.now() + 1s).is(Errc::refused));
  });
}

TEST_CASE("given an answer that takes longer than a step, then it is waited for none the less") {
  sim::WorldOptions options;
  options.network.link.latency_min = options.network.link.latency_max = 3 * kReachStep / 2;
  sim::Stage stage(1, options);
  sim::Node& a = stage.node("a");
  sim::Node& b = stage.node("b");
  std::unique_ptr<net::Listener> listener;
  stage.perform(b, [&](Task&, sim::NodeEnv& env) { listener = std::move(*env.network.listen({"b", kPort})); });
  stage.perform(a, [&](Task& task, sim::NodeEnv& env) {
    const Time begin = task.now();
    CHECK(reach(task, env.network, {"b", kPort}, begin + 1s));
    CHECK(task.now() - begin == 3 * kReachStep);
  });
  stage.perform(b, [&](Task&, sim::NodeEnv&) { listener.reset(); });
  stage.run_for(1s);
  CHECK(stage.world.network().open_connections() == 0);
}

TEST_CASE("given refusals again and again, then a line is due for each new reason, and for the end with their number") {
  Refusals refusals;
  CHECK(refusals.refused("2", "another cluster"));
  CHECK_FALSE(refusals.refused("2", "another cluster"));
  CHECK(refusals.refused("3", "another cluster"));
  CHECK(refusals.refused("2", "two processes"));
  CHECK(refusals.taken("2") == std::optional<uint64_t>(3));
  CHECK_FALSE(refusals.taken("2").has_value());
  CHECK(refusals.refused("2", "two processes"));
}

TEST_CASE("given more peers than are kept, then the memory of refusals stays bounded") {
  Refusals refusals;
  for (int i = 0; i < 1000; ++i) CHECK(refusals.refused(fmt::format("{:04}", i), "why"));
  CHECK_FALSE(refusals.refused("0999", "why"));
  CHECK_FALSE(refusals.taken("0000").has_value());
}
