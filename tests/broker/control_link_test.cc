// Suspicion: how soon a node hears that the process at the other end of a link is gone, in a simulated world.
#include "broker/peer/control_link.h"

#include <doctest/doctest.h>

#include "broker/peer/peer_server.h"
#include "tests/sim/fixture.h"

using namespace sg;
using namespace sg::broker;
using namespace sg::broker::peer;

namespace {

constexpr uint16_t kPort = 9192;

struct Heard final : LinkEvents {
  explicit Heard(sim::World& w) : world(w) {}
  void on_link_up(NodeId, Incarnation) override { up = true; }
  void on_suspicion(NodeId, Incarnation incarnation) override { suspected = {world.now(), incarnation}; }
  void on_probe_refused(NodeId) override {}
  sim::World& world;
  bool up = false;
  std::optional<std::pair<Time, Incarnation>> suspected;
};

struct Silent final : PeerEvents {
  void on_hello(NodeId, Incarnation) override {}
  Result<> on_control_frame(NodeId, Incarnation, const Frame&) override { return {}; }
  Result<> serve_replication(Task&, LiveConnection&, FrameReader&, const Hello&) override { return {}; }
};

Env env_of(sim::NodeEnv& e) { return {e.scheduler, e.clock, e.network, e.disk, e.rng, e.log}; }

// How long node 1 takes to suspect node 2 after node 2 was killed; nothing: it does not within a second.
std::optional<Duration> suspicion_after_kill(uint64_t seed) {
  sim::Stage stage(seed);
  sim::Node& watcher = stage.node("node1");
  sim::Node& victim = stage.node("node2");
  Heard heard(stage.world);
  stage.begin(victim, [](Task& task, sim::NodeEnv& e) {
    Env env = env_of(e);
    Identity identity{NodeId{2}, Incarnation{20}, {}};
    Silent events;
    Pulses pulses(env, 100ms, 1s);
    PeerServer server(env, identity, events, pulses, 8);
    CHECK(server.listen({"node2", kPort}));
    server.run(task);
  });
  stage.begin(watcher, [&heard](Task& task, sim::NodeEnv& e) {
    Env env = env_of(e);
    Identity identity{NodeId{1}, Incarnation{10}, {}};
    Pulses pulses(env, 100ms, 1s);
    ControlLinks links(env, identity, heard, pulses);
    TaskGroup tasks(task.scheduler());
    links.add(tasks, NodeId{2}, {"node2", kPort});
    (void)task.sleep_for(1h);
    tasks.stop();
    tasks.join(task);
  });
  CHECK(stage.world.run_while([&] { return !heard.up; }, stage.world.now() + 5s));
  stage.run_for(50ms);
  const Time killed = stage.world.now();
  victim.die(sim::Death::kill);
  stage.world.run_while([&] { return !heard.suspected; }, killed + 1s);
  std::optional<Duration> out;
  if (heard.suspected) {
    CHECK(heard.suspected->second == Incarnation{20});
    out = heard.suspected->first - killed;
  }
  watcher.die(sim::Death::kill);
  return out;
}

}  // namespace

TEST_CASE("given a killed process, whether its listener closes at once or takes a reconnect first, then it is suspected soon") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    auto took = suspicion_after_kill(seed);
    REQUIRE(took.has_value());
    CHECK(*took < 30ms);
  }
}
