// The simulated network's behaviour under faults; what it has in common with the production one is in tests/contract.
#include "sim/network.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/sync.h"
#include "tests/sim/pair.h"

namespace sg::sim {
namespace {

TEST_CASE("given a killed peer, what it had sent still arrives, then a reset, and connects are refused") {
  Stage stage;
  Pair p(stage);
  p.send(p.b, *p.at_b, "last words");
  p.b.die(Death::kill);
  CHECK(p.receive(p.a, *p.at_a) == "last words");
  CHECK(p.receive(p.a, *p.at_a) == "<reset>");
  stage.run_for(NetworkOptions().listener_linger_max);
  stage.perform(p.a, [&](Task& task, NodeEnv& env) {
    CHECK(env.network.connect(task, {"b", kPort}, task.now() + 1s).is(Errc::refused));
    CHECK(p.at_a->write(task, as_bytes("x")).is(Errc::reset));
    CHECK(env.network.connect(task, {"nobody", kPort}, task.now() + 1s).is(Errc::unavailable));
  });
}

TEST_CASE("given a peer killed just now, its listener refuses, or takes the connect and then resets it") {
  int refused = 0;
  int taken = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Stage stage(seed);
    Pair p(stage);
    p.b.die(Death::kill);
    stage.perform(p.a, [&](Task& task, NodeEnv& env) {
      auto connected = env.network.connect(task, {"b", kPort}, task.now() + 1s);
      if (connected.is(Errc::refused)) {
        ++refused;
        return;
      }
      REQUIRE(connected);
      ++taken;
      (void)(*connected)->write(task, as_bytes("anybody there?"));
      uint8_t byte;
      CHECK((*connected)->read(task, {&byte, 1}, task.now() + 1s).is(Errc::reset));
    });
  }
  CHECK(refused > 0);
  CHECK(taken > 0);
}

TEST_CASE("given a peer without power, bytes in flight are gone, there is silence, and a reset once it is back and spoken to") {
  Stage stage;
  Pair p(stage);
  p.send(p.b, *p.at_b, "last words");
  p.b.die(Death::power_cut);
  CHECK(p.receive(p.a, *p.at_a, 10s) == "<timeout>");
  stage.perform(p.a, [&](Task& task, NodeEnv& env) {
    CHECK(env.network.connect(task, {"b", kPort}, task.now() + 1s).is(Errc::timeout));
    CHECK(p.at_a->write(task, as_bytes("anybody there?")));
  });
  CHECK(p.receive(p.a, *p.at_a, 1s) == "<timeout>");
  stage.start(p.b);
  CHECK(p.receive(p.a, *p.at_a, 1s) == "<reset>");
}

TEST_CASE("given a peer that returns from a power cut, a writer that waits for room is told") {
  Stage stage;
  Pair p(stage);
  Result<> written;
  stage.begin(p.a, [&](Task& task, NodeEnv&) {
    ByteVec much(1 << 20);
    written = p.at_a->write(task, much);
  });
  stage.run_for(1s);
  p.b.die(Death::power_cut);
  stage.run_for(1s);
  CHECK(written.has_value());  // still waiting
  stage.start(p.b);
  stage.run_for(1s);
  CHECK(written.is(Errc::reset));
}

TEST_CASE("given a one-way cut, the other way still delivers; what waited arrives in order with the next retransmission after healing") {
  Stage stage;
  Pair p(stage);
  stage.world.network().cut(p.a.index(), p.b.index());
  p.send(p.a, *p.at_a, "one ");
  p.send(p.a, *p.at_a, "two");
  p.send(p.b, *p.at_b, "back");
  CHECK(p.receive(p.b, *p.at_b, 1s) == "<timeout>");
  CHECK(p.receive(p.a, *p.at_a) == "back");
  stage.world.network().heal(p.a.index(), p.b.index());
  CHECK(p.receive(p.b, *p.at_b, 1s) == "one two");
}

// How long after the healing what was sent at the beginning of a cut arrives.
Duration late_by(Duration cut, const NetworkOptions& network = {}) {
  WorldOptions options;
  options.network = network;
  Stage stage(1, options);
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  net.cut(p.a.index(), p.b.index());
  p.send(p.a, *p.at_a, "sent");
  stage.run_for(cut);
  net.heal(p.a.index(), p.b.index());
  const Time healed = stage.world.now();
  CHECK(p.receive(p.b, *p.at_b, 200s) == "sent");
  return stage.world.now() - healed;
}

TEST_CASE("given a cut, then what was lost is sent again at intervals that double, whenever the cut is healed") {
  // After 0.2, 0.6, 1.4, 3, 6.2, 12.6, 25.4, 51 s, and from then on once a minute.
  CHECK(late_by(100ms) < 110ms);
  CHECK(late_by(700ms) > 690ms);
  CHECK(late_by(700ms) < 710ms);
  CHECK(late_by(15s) > 10s);
  CHECK(late_by(15s) < 11s);
  CHECK(late_by(52s) > 50s);
  CHECK(late_by(52s) < 60s);
  CHECK(late_by(15s, {.retransmit_max = 1s}) < 1s);
}

TEST_CASE("given a retransmission that is due, then bytes written after the healing wait behind it") {
  Stage stage;
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  net.cut(p.a.index(), p.b.index());
  p.send(p.a, *p.at_a, "before ");
  stage.run_for(10s);
  net.heal(p.a.index(), p.b.index());
  p.send(p.a, *p.at_a, "after");
  CHECK(p.receive(p.b, *p.at_b, 2s) == "<timeout>");
  CHECK(p.receive(p.b, *p.at_b, 1s) == "before after");
  // It has arrived, so the next loss begins anew.
  net.cut(p.a.index(), p.b.index());
  p.send(p.a, *p.at_a, "again");
  stage.run_for(500ms);
  net.heal(p.a.index(), p.b.index());
  CHECK(p.receive(p.b, *p.at_b, 200ms) == "again");
}

TEST_CASE("given a reset that is lost, then the other end is half-open for as long as it sends nothing") {
  Stage stage;
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  net.cut(p.b.index(), p.a.index());
  p.b.die(Death::kill);
  stage.run_for(1s);
  net.heal(p.b.index(), p.a.index());
  CHECK(p.receive(p.a, *p.at_a, 30s) == "<timeout>");
  p.send(p.a, *p.at_a, "anybody there?");
  CHECK(p.receive(p.a, *p.at_a) == "<reset>");
}

TEST_CASE("given a lost reset and a writer that waits for room, then its probe is answered") {
  Stage stage;
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  Result<> written;
  stage.begin(p.a, [&](Task& task, NodeEnv&) {
    ByteVec much(1 << 20);
    written = p.at_a->write(task, much);
  });
  stage.run_for(1s);
  net.cut(p.b.index(), p.a.index());
  p.b.die(Death::kill);
  stage.run_for(1s);
  CHECK(written.has_value());  // still waiting
  net.heal(p.b.index(), p.a.index());
  stage.run_for(2s);
  CHECK(written.is(Errc::reset));
}

TEST_CASE("given a patience, then an end whose bytes are lost for so long breaks, and the other end is not told") {
  Stage stage;
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  p.at_a->give_up_after(1s);
  net.cut(p.a.index(), p.b.index());
  const Time cut = stage.world.now();
  p.send(p.a, *p.at_a, "lost");
  CHECK(p.receive(p.a, *p.at_a, 10s) == "<reset>");
  CHECK(stage.world.now() - cut >= 1s);
  CHECK(stage.world.now() - cut < 1100ms);
  net.heal(p.a.index(), p.b.index());
  stage.perform(p.a, [&](Task&, NodeEnv&) { p.at_a->close(); });
  CHECK(p.receive(p.b, *p.at_b, 10s) == "<timeout>");
  p.send(p.b, *p.at_b, "anybody there?");
  CHECK(p.receive(p.b, *p.at_b) == "<reset>");
}

TEST_CASE("given a patience and a cut that is shorter, then nothing breaks") {
  Stage stage;
  Pair p(stage);
  SimNetwork& net = stage.world.network();
  p.at_a->give_up_after(1s);
  for (int i = 0; i < 3; ++i) {
    net.cut(p.a.index(), p.b.index());
    p.send(p.a, *p.at_a, "late");
    stage.run_for(500ms);
    net.heal(p.a.index(), p.b.index());
    CHECK(p.receive(p.b, *p.at_b, 200ms) == "late");
  }
}

TEST_CASE("given a cut way back, the sender's window fills although the bytes arrive") {
  WorldOptions options;
  options.network.window_bytes = 1000;
  Stage stage(1, options);
  Pair p(stage);
  stage.world.network().cut(p.b.index(), p.a.index());
  size_t sent = 0;
  stage.begin(p.a, [&](Task& task, NodeEnv&) {
    ByteVec piece(100);
    for (int i = 0; i < 50 && p.at_a->write(task, piece); ++i) sent += 100;
  });
  stage.begin(p.b, [&](Task& task, NodeEnv&) {
    uint8_t buffer[100];
    while (auto n = p.at_b->read(task, buffer))
      if (*n == 0) return;
  });
  stage.run_for(1s);
  CHECK(sent == 1000);
  stage.world.network().heal(p.b.index(), p.a.index());
  stage.run_for(1s);
  CHECK(sent == 5000);
}

TEST_CASE("given a stalled link, everything arrives when the stall ends") {
  Stage stage;
  Pair p(stage);
  stage.world.network().stall(p.a.index(), p.b.index(), stage.world.now() + 5s);
  p.send(p.a, *p.at_a, "late");
  CHECK(p.receive(p.b, *p.at_b, 4s) == "<timeout>");
  CHECK(p.receive(p.b, *p.at_b, 2s) == "late");
}

TEST_CASE("given an injected reset, both ends see it") {
  Stage stage;
  Pair p(stage);
  stage.world.network().reset_connections(p.b.index(), p.a.index());
  CHECK(p.receive(p.a, *p.at_a) == "<reset>");
  CHECK(p.receive(p.b, *p.at_b) == "<reset>");
}

TEST_CASE("given a connect over a cut link, it succeeds once the link is healed") {
  Stage stage;
  Node& a = stage.node("a");
  Node& b = stage.node("b");
  std::unique_ptr<net::Listener> listener;
  stage.perform(b, [&](Task&, NodeEnv& env) { listener = std::move(*env.network.listen({"b", kPort})); });
  for (auto [from, to] : {std::pair{0u, 1u}, std::pair{1u, 0u}}) {
    stage.world.network().cut(from, to);
    stage.world.schedule(stage.world.now() + 2s, [&stage, from, to] { stage.world.network().heal(from, to); });
    stage.perform(a, [&](Task& task, NodeEnv& env) {
      Time before = task.now();
      CHECK(env.network.connect(task, {"b", kPort}, task.now() + 10s));
      CHECK(task.now() - before >= 2s);
    });
  }
  stage.perform(b, [&](Task&, NodeEnv&) { listener.reset(); });
  stage.run_for(1s);
  CHECK(stage.world.network().open_connections() == 0);
}

// Remembers what left each end.
struct Recorder : NetworkTap {
  std::string from_dialer, from_acceptor;
  std::vector<std::string> ends;
  uint64_t id = 0;
  void on_open(const ConnectionInfo& info) override {
    id = info.id;
    CHECK(info.dialer.host == "a");
    CHECK(info.acceptor == net::Address{"b", kPort});
  }
  void on_send(const ConnectionInfo& info, bool dialer, ByteSpan bytes) override {
    CHECK(info.id == id);
    (dialer ? from_dialer : from_acceptor) += as_text(bytes);
  }
  void on_end(const ConnectionInfo&, bool dialer, bool reset) override {
    ends.push_back(std::string(dialer ? "dialer" : "acceptor") + (reset ? " reset" : " end"));
  }
};

TEST_CASE("a tap sees the bytes as they leave, on which connection, and from which end; nothing from a dead node") {
  Stage stage;
  Recorder tap;
  stage.world.network().add_tap(&tap);
  Pair p(stage);
  stage.begin(p.b, [&](Task& task, NodeEnv&) {
    std::unique_ptr<net::Connection> mine = std::move(p.at_b);
    CHECK(mine->write(task, as_bytes("world")));
    (void)task.sleep_for(1h);
    CHECK(mine->write(task, as_bytes("posthumous")).is(Errc::stopped));
  });
  p.send(p.a, *p.at_a, "hello");
  stage.run_for(10ms);
  p.b.die(Death::kill);
  CHECK(tap.from_dialer == "hello");
  CHECK(tap.from_acceptor == "world");
  CHECK(tap.ends == std::vector<std::string>{"acceptor reset"});
}

TEST_CASE("whatever the links do, the bytes that arrive are a prefix of the bytes sent, and all of them once healed") {
  CHECK(rc::check("stream under faults", [](uint64_t seed) {
    WorldOptions options;
    Rng rng(seed);
    options.network.window_bytes = 1 + rng.below(2000);
    options.network.link.tail_per_million = 100'000;
    options.network.link.bytes_per_us = rng.below(3);
    Stage stage(seed, options);
    Pair p(stage);
    SimNetwork& network = stage.world.network();
    for (int i = 0; i < 20; ++i) {
      uint32_t from = static_cast<uint32_t>(rng.below(2));
      uint64_t what = rng.below(3);
      Time at = stage.world.now() + Duration(rng.between(0, 500'000'000));
      stage.world.schedule(at, [&network, &stage, from, what] {
        if (what == 0) network.cut(from, 1 - from);
        if (what == 1) network.heal(from, 1 - from);
        if (what == 2) network.stall(from, 1 - from, stage.world.now() + 50ms);
      });
    }
    constexpr size_t kTotal = 30'000;
    size_t received = 0;
    bool in_order = true;
    stage.begin(p.a, [&](Task& task, NodeEnv&) {
      for (size_t at = 0; at < kTotal;) {
        ByteVec piece(std::min<size_t>(1 + rng.below(700), kTotal - at));
        for (uint8_t& byte : piece) byte = static_cast<uint8_t>(at++ % 251);
        if (!p.at_a->write(task, piece)) return;
      }
      p.at_a->close();
    });
    bool ended = false;
    stage.begin(p.b, [&](Task& task, NodeEnv&) {
      uint8_t buffer[300];
      for (;;) {
        auto n = p.at_b->read(task, buffer);
        if (!n || *n == 0) {
          ended = n.has_value();
          return;
        }
        for (size_t i = 0; i < *n; ++i) in_order = in_order && buffer[i] == received++ % 251;
      }
    });
    stage.run_for(1s);
    RC_ASSERT(in_order);
    stage.world.heal_all();
    // A window of one byte moves a byte per latency, tails included: minutes, but it moves.
    stage.world.run_while([&] { return !ended; }, stage.world.now() + 600s);
    RC_ASSERT(in_order);
    RC_ASSERT(received == kTotal);
    RC_ASSERT(ended);
  }));
}

}  // namespace
}  // namespace sg::sim
