// Links between nodes in a simulated world: how soon a node hears that the process at the other end is gone, and who may speak for whom.
#include "broker/peer/control_link.h"

#include <doctest/doctest.h>

#include "broker/peer/peer_server.h"
#include "tests/base/nth_run.h"
#include "tests/sim/fixture.h"

using namespace sg;
using namespace sg::broker;
using namespace sg::broker::peer;
using sg::test::nth_run;

namespace {

constexpr uint16_t kPort = 9192;

struct Heard final : LinkEvents {
  explicit Heard(sim::World& w) : world(w) {}
  Result<> on_link_up(NodeId, Run, VoterId, const net::Address&) override {
    ++ups;
    return {};
  }
  void on_refused_by(NodeId, Run run, VoterId, const net::Address&) override { refuser = run; }
  void on_nobody_at(NodeId, const net::Address&) override {}
  void on_link_down(NodeId, Run) override {}
  void on_suspicion(NodeId, Run run) override { suspected = {world.now(), run}; }
  void on_probe_refused(NodeId) override {}
  sim::World& world;
  int ups = 0;
  std::optional<Run> refuser;
  std::optional<std::pair<Time, Run>> suspected;
};

struct Silent final : PeerEvents {
  Result<> admit(const Hello& hello) override {
    greetings.push_back(hello);
    return refusal.empty() ? Result<>() : fail(Errc::invalid, refusal);
  }
  void on_hello(NodeId, Run) override { ++open; }
  void on_hello_over(NodeId, Run) override { --open; }
  Result<> on_control_frame(NodeId, Run, const Frame&) override { return {}; }
  Result<> serve_replication(Task&, LiveConnection&, FrameReader&, const Hello&) override { return {}; }
  std::string refusal;
  std::vector<Hello> greetings;
  int open = 0;
};

Env env_of(sim::NodeEnv& e) { return {e.scheduler, e.clock, e.network, e.disk, e.rng, e.log}; }

// Node 2 listens, until it is killed.
void serve(Task& task, sim::NodeEnv& e, const Identity& identity, Silent& events) {
  Env env = env_of(e);
  Pulses pulses(env, 1s);
  PeerServer server(env, identity, events, pulses, 8);
  CHECK(server.listen({"node2", kPort}));
  server.run(task);
}

// How long node 1 takes to suspect node 2 after node 2 was killed; nothing: it does not within a second.
std::optional<Duration> suspicion_after_kill(uint64_t seed) {
  sim::Stage stage(seed);
  sim::Node& watcher = stage.node("node1");
  sim::Node& victim = stage.node("node2");
  Heard heard(stage.world);
  stage.begin(victim, [](Task& task, sim::NodeEnv& e) {
    Silent events;
    serve(task, e, {.node = NodeId{2}, .run = nth_run(20)}, events);
  });
  stage.begin(watcher, [&heard](Task& task, sim::NodeEnv& e) {
    Env env = env_of(e);
    Identity identity{.node = NodeId{1}, .run = nth_run(10)};
    Pulses pulses(env, 1s);
    ControlLinks links(env, identity, heard, pulses);
    TaskGroup tasks(task.scheduler());
    links.add(tasks, NodeId{2}, {{"node2", kPort}});
    (void)task.sleep_for(1h);
    tasks.stop();
    tasks.join(task);
  });
  CHECK(stage.world.run_while([&] { return heard.ups == 0; }, stage.world.now() + 5s));
  stage.run_for(50ms);
  const Time killed = stage.world.now();
  victim.die(sim::Death::kill);
  stage.world.run_while([&] { return !heard.suspected; }, killed + 1s);
  std::optional<Duration> out;
  if (heard.suspected) {
    CHECK(heard.suspected->second == nth_run(20));
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

namespace {

// Node 1 dials node 2, which has this to say to greetings; for a while.
struct Pair {
  explicit Pair(Identity dialer) : one(stage.node("node1")), two(stage.node("node2")), heard(stage.world), self(std::move(dialer)) {
    stage.begin(two, [this](Task& task, sim::NodeEnv& e) { serve(task, e, other, silent); });
  }
  void dial() {
    stage.begin(one, [this](Task& task, sim::NodeEnv& e) {
      Env env = env_of(e);
      Pulses pulses(env, 1s);
      ControlLinks links(env, self, heard, pulses);
      TaskGroup tasks(task.scheduler());
      links.add(tasks, NodeId{2}, {{"node2", kPort}});
      if (Result<metadata::Answer> a = links.inquire(task, NodeId{2}, {"node2", kPort})) answer = *a;
      (void)task.sleep_for(1h);
      tasks.stop();
      tasks.join(task);
    });
  }
  ~Pair() {
    one.die(sim::Death::kill);
    two.die(sim::Death::kill);
  }
  sim::Stage stage{7};
  sim::Node& one;
  sim::Node& two;
  Heard heard;
  Silent silent;
  Identity self;
  Identity other{.node = NodeId{2}, .run = nth_run(20), .cluster_id = Uuid{1, 1}, .lineage = 4};
  metadata::Answer answer;
};

}  // namespace

TEST_CASE("given a greeting that is refused, when it is tried again, then ever more slowly, and an inquiry is answered all the same") {
  Pair p({.node = NodeId{1}, .run = nth_run(10)});
  p.silent.refusal = "node 1 is another process";
  p.dial();
  p.stage.run_for(10s);
  CHECK(p.heard.ups == 0);
  CHECK(p.silent.open == 0);
  CHECK(p.silent.greetings.size() >= 10);
  CHECK(p.silent.greetings.size() <= 16);
  CHECK(p.answer.node == NodeId{2});
  CHECK(p.answer.run == nth_run(20));
  p.silent.refusal.clear();  // the other one has gone
  p.stage.run_for(2s);
  CHECK(p.heard.ups == 1);
  CHECK(p.silent.open == 1);
}

TEST_CASE("given a process that greets its own twin, when it does, then it is refused, and the twin's links are what they were") {
  Pair p({.node = NodeId{2}, .run = nth_run(1, 9)});
  p.dial();
  p.stage.run_for(2s);
  CHECK(p.heard.ups == 0);
  CHECK(p.silent.greetings.empty());  // nothing but the refusal came of it
}

TEST_CASE("given nodes of one cluster, when they belong to different histories of it, then they refuse each other; else they do not") {
  for (uint64_t lineage : {3, 4}) {
    for (bool knows_cluster : {false, true}) {
      Pair p({.node = NodeId{1}, .run = nth_run(10), .cluster_id = knows_cluster ? Uuid{1, 1} : Uuid{}, .lineage = lineage});
      p.dial();
      p.stage.run_for(2s);
      CHECK(p.heard.ups == (lineage == 4 || !knows_cluster ? 1 : 0));
    }
  }
}

// Two nodes that came back on other disks each know the other by a former run, and refuse it: who refuses says who it is.
TEST_CASE("given a refusal from no other cluster, then it says who is there; one from elsewhere says nothing") {
  struct Case {
    Uuid cluster;
    uint64_t lineage;
    bool heard;
  };
  for (const Case& c : {Case{{1, 1}, 4, true}, Case{{1, 1}, 3, false}, Case{{1, 2}, 4, false}, Case{{}, 0, true}}) {
    Pair p({.node = NodeId{1}, .run = nth_run(10), .cluster_id = c.cluster, .lineage = c.lineage});
    p.silent.refusal = "node 1 is another process";
    p.dial();
    p.stage.run_for(2s);
    CHECK(p.heard.ups == 0);
    CHECK(p.heard.refuser == (c.heard ? std::optional(nth_run(20)) : std::nullopt));
  }
}

namespace {

// Node 1 looks for node 2 at these hosts, in this order. Node 2 listens at its own, and nobody at that of node 3.
struct Addresses {
  explicit Addresses(std::vector<std::string> hosts)
      : one(stage.node("node1")), two(stage.node("node2")), three(stage.node("node3")), heard(stage.world) {
    stage.begin(two, [this](Task& task, sim::NodeEnv& e) { serve(task, e, other, silent); });
    stage.begin(three, [](Task& task, sim::NodeEnv&) { (void)task.sleep_for(1h); });
    stage.begin(one, [this, hosts](Task& task, sim::NodeEnv& e) {
      Env env = env_of(e);
      Pulses pulses(env, 1s);
      Identity self{.node = NodeId{1}, .run = nth_run(10)};
      ControlLinks links(env, self, heard, pulses);
      TaskGroup tasks(task.scheduler());
      tasks.spawn("pulses", [&](Task& t) { pulses.run(t); });
      std::vector<net::Address> addresses;
      for (const std::string& host : hosts) addresses.push_back({host, kPort});
      links.add(tasks, NodeId{2}, addresses);
      (void)task.sleep_for(1h);
      tasks.stop();
      tasks.join(task);
    });
  }
  ~Addresses() {
    for (sim::Node* n : {&one, &two, &three}) n->die(sim::Death::kill);
  }
  sim::Stage stage{11};
  sim::Node& one;
  sim::Node& two;
  sim::Node& three;
  Heard heard;
  Silent silent;
  Identity other{.node = NodeId{2}, .run = nth_run(20)};
};

}  // namespace

TEST_CASE("given an address that leads nowhere before the one where the node is, then the node is met within a moment") {
  Addresses a({"node3", "node2"});
  a.stage.world.network().cut(a.one.index(), a.three.index());
  const Time began = a.stage.world.now();
  CHECK(a.stage.world.run_while([&] { return a.heard.ups == 0; }, began + 5s));
  CHECK(a.stage.world.now() - began < 500ms);
}

TEST_CASE("given a node that is cut off, when another of its addresses refuses, then it is not suspected") {
  Addresses a({"node3", "node2"});
  CHECK(a.stage.world.run_while([&] { return a.heard.ups == 0; }, a.stage.world.now() + 5s));
  a.stage.world.network().cut(a.one.index(), a.two.index());
  a.stage.world.network().cut(a.two.index(), a.one.index());
  a.stage.run_for(20s);
  CHECK_FALSE(a.heard.suspected);
  a.two.die(sim::Death::kill);
  a.stage.world.network().heal(a.one.index(), a.two.index());
  a.stage.world.network().heal(a.two.index(), a.one.index());
  a.stage.run_for(5s);
  CHECK(a.heard.suspected);
}
