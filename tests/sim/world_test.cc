// The world as a whole: determinism, time, and how a node dies (architecture §2).
#include "sim/world.h"

#include <doctest/doctest.h>

#include "base/probe.h"
#include "base/sync.h"

namespace sg::sim {
namespace {

constexpr uint16_t kPort = 9000;

// Echoes every connection's bytes until it is stopped, and writes them to a file.
int echo_server(Task& task, NodeEnv& env) {
  auto listener = env.network.listen({env.host, kPort});
  if (!listener) return 1;
  TaskGroup group(env.scheduler);
  env.on_stop = [&] { (*listener)->close(); };
  auto file = env.disk.open(task, "echo", disk::OpenMode::create);
  uint64_t at = 0;
  while (file) {
    auto accepted = (*listener)->accept(task);
    if (!accepted) break;
    std::shared_ptr<net::Connection> connection = std::move(*accepted);
    group.spawn("echo", [connection, &file, &at](Task& child) {
      uint8_t buffer[256];
      for (;;) {
        auto n = connection->read(child, buffer);
        if (!n || *n == 0) return;
        ByteSpan bytes(buffer, *n);
        uint64_t offset = std::exchange(at, at + *n);
        if (!(*file)->write(child, offset, bytes, disk::Durability::synced)) return;
        if (!connection->write(child, bytes)) return;
      }
    });
  }
  group.stop();
  group.join(task);
  return 0;
}

// Sends numbers one by one to node "server" and counts the answers; reconnects after an error.
struct Client {
  uint64_t answers = 0;
  int operator()(Task& task, NodeEnv& env) {
    while (!task.stopping()) {
      auto connection = env.network.connect(task, {"server", kPort}, task.now() + 100ms);
      while (connection) {
        uint8_t number[8];
        store_be<uint64_t>(number, env.rng.next());
        uint8_t reply[8];
        if (!(*connection)->write(task, ByteSpan(number), task.now() + 100ms)) break;
        auto n = (*connection)->read(task, reply, task.now() + 100ms);
        if (!n || *n != 8 || !equal(number, reply)) break;
        ++answers;
        if (!task.sleep_for(1ms)) break;
      }
      (void)task.sleep_for(10ms);
    }
    return 0;
  }
};

struct Outcome {
  uint64_t hash, events, answers;
};

Outcome run(uint64_t seed, Pools& pools, TraceSink* sink = nullptr) {
  World world(seed, {}, pools);
  world.trace().record_to(sink);
  Client client;
  Node& server = world.add_node("server", echo_server);
  Node& dialer = world.add_node("client", [&client](Task& task, NodeEnv& env) { return client(task, env); });
  server.start();
  dialer.start();
  for (Death death : {Death::kill, Death::power_cut, Death::wipe}) {
    world.schedule(world.now() + 300ms * (1 + static_cast<int>(death)), [&server, death] { server.die(death); });
    world.schedule(world.now() + 300ms * (1 + static_cast<int>(death)) + 50ms, [&server] { server.start(); });
  }
  CHECK(world.run_until(Time{0} + 2s));
  return {world.trace().hash(), world.events(), client.answers};
}

TEST_CASE("same seed, same hash; another seed, another hash") {
  Pools pools;
  Outcome a = run(1, pools);
  Outcome b = run(1, pools);
  Outcome c = run(2, pools);
  CHECK(a.hash == b.hash);
  CHECK(a.events == b.events);
  CHECK(a.answers == b.answers);
  CHECK(a.hash != c.hash);
  CHECK(a.answers > 300);
}

TEST_CASE("recording a run does not change it, and two recorded runs do not differ") {
  Pools pools;
  MemoryTrace first, second, other;
  Outcome plain = run(7, pools);
  CHECK(run(7, pools, &first).hash == plain.hash);
  run(7, pools, &second);
  run(8, pools, &other);
  CHECK(first.records().size() > 1000);
  CHECK_FALSE(first_difference(first, second).has_value());
  auto difference = first_difference(first, other);
  REQUIRE(difference.has_value());
  CHECK(describe_difference(first, other, *difference).find("> ") != std::string::npos);
}

TEST_CASE("nothing of a run stays in the pools") {
  Pools pools;
  run(3, pools);
  CHECK(pools.stacks.in_use() == 0);
  CHECK(pools.pages.in_use() == 0);
}

TEST_CASE("an orderly stop lets the program exit with its code") {
  Pools pools;
  World world(1, {}, pools);
  Node& server = world.add_node("server", echo_server);
  std::optional<int> seen;
  server.set_on_end([&](Node&, std::optional<int> code) { seen = code; });
  server.start();
  world.run_until(Time{0} + 10ms);
  CHECK(server.running());
  server.stop();
  world.run_until(Time{0} + 20ms);
  CHECK_FALSE(server.running());
  CHECK(seen == 0);
  CHECK(server.exit_code() == 0);
}

TEST_CASE("a program that returns takes its other fibers along") {
  Pools pools;
  World world(1, {}, pools);
  bool stopped = false;
  Node& node = world.add_node("n", [&](Task&, NodeEnv& env) {
    env.scheduler.spawn("left over", [&](Task& task) { stopped = task.sleep_for(1h).is(Errc::stopped); });
    return 3;
  });
  node.start();
  world.run_until(Time{0} + 1ms);
  CHECK_FALSE(node.running());
  CHECK(node.exit_code() == 3);
  CHECK(stopped);
}

TEST_CASE("death: every fiber returns by ordinary means, its objects are destroyed, its handles refuse and change nothing") {
  for (Death death : {Death::kill, Death::power_cut, Death::wipe}) {
    CAPTURE(to_string(death));
    Pools pools;
    World world(5, {}, pools);
    int destroyed = 0;
    struct Counter {
      int& count;
      ~Counter() { ++count; }
    };
    bool refused_everywhere = false;
    Node& node = world.add_node("n", [&](Task& task, NodeEnv& env) {
      Counter counter{destroyed};
      auto file = env.disk.open(task, "f", disk::OpenMode::create);
      if (!file || !(*file)->sync(task) || !env.disk.sync_directory(task, "")) return 1;
      auto listener = env.network.listen({env.host, kPort});
      TaskGroup group(env.scheduler);
      for (int i = 0; i < 3; ++i)
        group.spawn("child", [&](Task& child) {
          Counter mine{destroyed};
          (void)child.sleep_for(1h);
        });
      bool stopped = task.sleep_for(1h).is(Errc::stopped);
      // What a careless shutdown path does must not be seen by anybody.
      bool refused = (*file)->write(task, 0, as_bytes("late"), disk::Durability::synced).is(Errc::stopped);
      refused &= (*file)->sync(task).is(Errc::stopped);
      refused &= env.disk.open(task, "g", disk::OpenMode::create).error().code == Errc::stopped;
      refused &= env.network.listen({env.host, 1}).error().code == Errc::stopped;
      refused &= env.network.connect(task, {"n", kPort}, Time::never()).error().code == Errc::stopped;
      refused &= (*listener)->accept(task).error().code == Errc::stopped;
      refused_everywhere = stopped && refused;
      group.join(task);
      return 0;
    });
    bool ended = false;
    node.set_on_end([&](Node&, std::optional<int> code) { ended = !code.has_value(); });
    node.start();
    world.run_until(Time{0} + 100ms);
    uint64_t traced = world.trace().count();
    uint64_t operations = node.disk().operations_in_flight();
    node.die(death);
    CHECK(ended);
    CHECK_FALSE(node.running());
    CHECK(destroyed == 4);
    CHECK(refused_everywhere);
    CHECK(operations == 0);
    CHECK(world.trace().count() - traced <= 2);  // the death itself and the disk's decision
    CHECK(node.disk().exists("f") == (death != Death::wipe));
    CHECK_FALSE(node.disk().exists("g"));
    CHECK(g_probes_enabled);
    CHECK(pools.stacks.in_use() == 0);
  }
}

TEST_CASE("an armed death strikes exactly at its crash point") {
  struct Case {
    CrashPoint point;
    uint64_t countdown;
    bool file_there, content_there;
  };
  for (Case c : {Case{CrashPoint::after_name, 1, true, false}, Case{CrashPoint::before_sync, 1, true, true},
                 Case{CrashPoint::after_write, 1, true, true}, Case{CrashPoint::any_storage, 1, true, false},
                 Case{CrashPoint::any_storage, 3, true, true}}) {
    CAPTURE(to_string(c.point));
    Pools pools;
    World world(5, {}, pools);
    int reached = 0;
    Node& node = world.add_node("n", [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, "f", disk::OpenMode::create);
      if (!file) return 1;
      ++reached;
      if (!(*file)->write(task, 0, as_bytes("x"), disk::Durability::buffered)) return 1;
      ++reached;
      if (!(*file)->sync(task)) return 1;
      ++reached;
      return 0;
    });
    node.start();
    node.arm({c.point, Death::kill, c.countdown});
    world.run_until(Time{0} + 1s);
    CHECK_FALSE(node.running());
    CHECK_FALSE(node.exit_code().has_value());
    CHECK(node.disk().exists("f") == c.file_there);
    CHECK(node.disk().contents("f").size() == (c.content_there ? 1 : 0));
    CHECK(reached == (c.point == CrashPoint::before_sync ? 2 : c.content_there ? 1 : 0));
  }
}

TEST_CASE("a stall delays the turn; a suspension stops the monotonic clock too") {
  for (bool suspend : {false, true}) {
    Pools pools;
    World world(1, {}, pools);
    Duration slept{0};
    Node& node = world.add_node("n", [&](Task& task, NodeEnv&) {
      Time before = task.now();
      (void)task.sleep_for(10ms);
      slept = task.now() - before;
      return 0;
    });
    node.start();
    world.run_until(Time{0} + 5ms);
    node.stall(world.now() + 1s, suspend);
    world.run_until(Time{0} + 900ms);
    CHECK(node.running());
    world.run_until(Time{0} + 2s);
    CHECK_FALSE(node.running());
    if (suspend)
      CHECK(slept < 12ms);
    else
      CHECK(slept > 1s);
  }
}

TEST_CASE("a drifting clock reaches a deadline when it shows it, not before") {
  for (int64_t ppm : {-200'000, -137, 0, 991, 300'000}) {
    Pools pools;
    World world(1, {}, pools);
    NodeOptions options;
    options.clock_drift_ppm = ppm;
    Duration slept{0};
    Node& node = world.add_node(
        "n",
        [&](Task& task, NodeEnv&) {
          Time before = task.now();
          (void)task.sleep_for(1s);
          slept = task.now() - before;
          return 0;
        },
        options);
    node.start();
    world.run_while([&] { return node.running(); }, Time{0} + 10s);
    CHECK_FALSE(node.running());
    CHECK(slept >= 1s);
    CHECK(slept < 1s + 10us);
    int64_t expected_ns = 1'000'000'000'000'000 / (1'000'000 + ppm);
    CHECK(std::abs(world.now().ns - expected_ns) < 20'000);
  }
}

TEST_CASE("a livelock fails the run instead of hanging it") {
  Pools pools;
  WorldOptions options;
  options.max_events_per_ms = 1000;
  World world(1, options, pools);
  std::function<void()> again = [&] { world.schedule(world.now(), again); };
  world.schedule(Time{0}, again);
  CHECK_FALSE(world.run_until(Time{0} + 1s));
  REQUIRE(world.failure().has_value());
  CHECK(world.failure()->check == "livelock");
}

TEST_CASE("the liveness phase starts the nodes it is given that are down, and heals the links") {
  Pools pools;
  World world(1, {}, pools);
  Node& a = world.add_node("a", echo_server);
  Node& b = world.add_node("b", echo_server);
  Node& ended = world.add_node("ended", [](Task&, NodeEnv&) { return 0; });
  a.start();
  ended.start();
  world.network().cut(a.index(), b.index());
  world.run_until(Time{0} + 10ms);
  Node* servers[] = {&a, &b};
  world.begin_liveness(servers);
  CHECK(b.running());
  CHECK_FALSE(ended.running());
  CHECK_FALSE(world.network().is_cut(a.index(), b.index()));
}

}  // namespace
}  // namespace sg::sim
