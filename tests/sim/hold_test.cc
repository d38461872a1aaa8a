// Links that hold back messages of some kinds: order, release, and what becomes of what waits when an end dies.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "tests/sim/pair.h"

namespace sg::sim {
namespace {

// A protocol of lines; the kind of a message is its first letter, known with it.
class Lines final : public MessageFinder {
 public:
  void on_send(const ConnectionInfo& info, bool from_dialer, ByteSpan bytes, std::vector<Message>& found) override {
    auto& [sent, begins] = directions_.try_emplace({info.id, from_dialer}, 0, true).first->second;
    for (uint8_t byte : bytes) {
      if (begins) found.push_back({sent, byte == 'x' ? "x" : byte == 'y' ? "y" : "z"});
      begins = byte == '\n';
      ++sent;
    }
  }
  void on_over(const ConnectionInfo& info) override { over.push_back(info.id); }
  std::vector<uint64_t> over;

 private:
  std::map<std::pair<uint64_t, bool>, std::pair<uint64_t, bool>> directions_;
};

struct Held {
  explicit Held(WorldOptions options = {}) : stage(1, options), net(stage.world.network()) {
    net.set_finder(&lines);
    pair.emplace(stage);
  }
  void hold(std::vector<std::string> kinds) { net.hold(pair->a.index(), pair->b.index(), std::move(kinds)); }
  void send(std::string_view text) { pair->send(pair->a, *pair->at_a, text); }
  std::string at_b(Duration patience = 100ms) { return pair->receive(pair->b, *pair->at_b, patience); }

  Lines lines;
  Stage stage;
  SimNetwork& net;
  std::optional<Pair> pair;
};
using Words = std::vector<std::string>;

TEST_CASE("given a held kind, then what is before the first such message arrives, and the rest in order once it is let go") {
  Held h;
  h.hold({"x"});
  h.send("a\nb\nx\nc\n");
  h.send("d\nx\n");
  CHECK(h.at_b() == "a\nb\n");
  CHECK(h.at_b(10s) == "<timeout>");
  h.hold({});
  CHECK(h.at_b() == "x\nc\nd\nx\n");
}

TEST_CASE("given a hold, then the other direction, other links and other connections of this one pass") {
  std::unique_ptr<net::Connection> second, accepted;
  Held h;
  h.hold({"x"});
  h.send("x\n");
  h.pair->send(h.pair->b, *h.pair->at_b, "x\n");
  CHECK(h.pair->receive(h.pair->a, *h.pair->at_a) == "x\n");
  h.stage.begin(h.pair->b, [&](Task& task, NodeEnv&) {
    accepted = std::move(*h.pair->listener->accept(task));
    (void)task.sleep_for(1h);
    accepted.reset();
  });
  h.stage.perform(h.pair->a, [&](Task& task, NodeEnv& env) {
    auto connected = env.network.connect(task, {"b", kPort}, task.now() + 1s);
    REQUIRE(connected);
    second = std::move(*connected);
    CHECK(second->write(task, as_bytes("free\n")));
  });
  h.stage.run_for(10ms);
  REQUIRE(accepted);
  CHECK(h.pair->receive(h.pair->b, *accepted) == "free\n");
  CHECK(h.at_b() == "<timeout>");
  h.stage.perform(h.pair->a, [&](Task&, NodeEnv&) { second.reset(); });
}

TEST_CASE("given two kinds, when one is let go, then the direction goes on to the first message of the other") {
  Held h;
  h.hold({"x", "y"});
  h.send("x1\nz1\ny1\nx2\n");
  CHECK(h.at_b() == "<timeout>");
  h.hold({"y"});
  CHECK(h.at_b() == "x1\nz1\n");
  CHECK(h.at_b() == "<timeout>");
  h.hold({"x"});
  CHECK(h.at_b() == "y1\n");
  h.net.heal_all();
  CHECK(h.at_b() == "x2\n");
}

TEST_CASE("given a hold that begins when messages are under way, then those that have not arrived wait") {
  Held h;
  h.send("a\n");
  CHECK(h.at_b() == "a\n");
  h.stage.begin(h.pair->a, [&](Task& task, NodeEnv&) { CHECK(h.pair->at_a->write(task, as_bytes("b\nx\n"))); });
  h.stage.run_for(6us);
  h.hold({"x"});
  CHECK(h.at_b() == "b\n");
  CHECK(h.at_b() == "<timeout>");
}

TEST_CASE("given a full window behind a held message, then the sender waits, and goes on at the release") {
  WorldOptions options;
  options.network.window_bytes = 1000;
  Held h(options);
  h.hold({"x"});
  size_t sent = 0, received = 0;
  h.stage.begin(h.pair->a, [&](Task& task, NodeEnv&) {
    std::string line = "x" + std::string(98, '-') + "\n";
    for (int i = 0; i < 30 && h.pair->at_a->write(task, as_bytes(line)); ++i) sent += line.size();
  });
  h.stage.begin(h.pair->b, [&](Task& task, NodeEnv&) {
    uint8_t buffer[70];
    while (auto n = h.pair->at_b->read(task, buffer)) received += *n;
  });
  h.stage.run_for(1s);
  CHECK(sent == 1000);
  CHECK(received == 0);
  h.hold({});
  h.stage.run_for(1s);
  CHECK(received == 3000);
}

TEST_CASE("given a sender that ends or is killed, then what is held arrives after the release, and then the end or the reset") {
  for (bool killed : {false, true}) {
    Held h;
    h.hold({"x"});
    h.send("a\nx\nlast\n");
    if (killed)
      h.pair->a.die(Death::kill);
    else
      h.stage.perform(h.pair->a, [&](Task&, NodeEnv&) { h.pair->at_a->close(); });
    CHECK(h.at_b() == "a\n");
    CHECK(h.at_b(10s) == "<timeout>");
    h.hold({});
    CHECK(h.at_b() == "x\nlast\n");
    CHECK(h.at_b() == (killed ? "<reset>" : ""));
  }
}

TEST_CASE("given a sender that loses its power, then what is held is gone, and the release brings nothing") {
  Held h;
  h.hold({"x"});
  h.send("a\nx\n");
  CHECK(h.at_b() == "a\n");
  h.pair->a.die(Death::power_cut);
  h.hold({});
  CHECK(h.at_b(10s) == "<timeout>");
  h.pair->send(h.pair->b, *h.pair->at_b, "anybody there?");
  h.stage.start(h.pair->a);
  CHECK(h.at_b(2s) == "<reset>");
}

TEST_CASE("given a reset while messages are held, then both ends see it, and the messages are gone") {
  Held h;
  h.hold({"x"});
  h.send("x\n");
  h.stage.run_for(10ms);
  h.net.reset_connections(h.pair->a.index(), h.pair->b.index());
  CHECK(h.at_b() == "<reset>");
  CHECK(h.pair->receive(h.pair->a, *h.pair->at_a) == "<reset>");
  h.hold({});
  h.stage.run_for(1s);
  CHECK(h.at_b() == "<reset>");
}

TEST_CASE("given a receiver that is killed while messages are held, then the sender sees a reset, and the connection is over") {
  Held h;
  h.hold({"x"});
  h.send("x\n");
  h.pair->b.die(Death::kill);
  CHECK(h.pair->receive(h.pair->a, *h.pair->at_a) == "<reset>");
  h.stage.perform(h.pair->a, [&](Task&, NodeEnv&) { h.pair->at_a->close(); });
  CHECK(h.net.open_connections() == 0);
  CHECK(h.lines.over == std::vector<uint64_t>{1});
  h.hold({});
  h.stage.run_for(1s);
}

TEST_CASE("given a cut and a hold, then what is held arrives when both are over, by the retransmission of the cut") {
  Held h;
  h.hold({"x"});
  h.net.cut(0, 1);
  h.send("x\n");
  h.stage.run_for(300ms);
  h.hold({});
  CHECK(h.at_b(1s) == "<timeout>");
  h.hold({"x"});
  h.net.heal(0, 1);
  CHECK(h.at_b(5s) == "<timeout>");
  h.hold({});
  CHECK(h.at_b() == "x\n");
}

TEST_CASE(
    "whatever is held and let go, what arrives is a prefix of what was sent, ends at a held message, and is all once nothing is held") {
  CHECK(rc::check("stream under holds", [](uint64_t seed) {
    Rng rng(seed);
    WorldOptions options;
    options.network.window_bytes = 20 + rng.below(500);
    options.network.link.tail_per_million = 100'000;
    Held h(options);
    std::string sent, received;
    for (int i = 0; i < 60; ++i) sent += std::string(1, static_cast<char>("xyz"[rng.below(3)])) + std::string(rng.below(30), '-') + "\n";
    for (int i = 0; i < 12; ++i) {
      Words kinds;
      if (rng.chance(1, 2)) kinds.emplace_back("x");
      if (rng.chance(1, 2)) kinds.emplace_back("y");
      h.stage.world.schedule(h.stage.world.now() + Duration(rng.between(0, 300'000'000)), [&h, kinds] { h.hold(kinds); });
    }
    h.stage.begin(h.pair->a, [&](Task& task, NodeEnv&) {
      for (size_t at = 0; at < sent.size();) {
        const size_t n = std::min<size_t>(1 + rng.below(50), sent.size() - at);
        if (!h.pair->at_a->write(task, as_bytes(std::string_view(sent).substr(at, n))) || !task.sleep_for(3ms)) return;
        at += n;
      }
    });
    h.stage.begin(h.pair->b, [&](Task& task, NodeEnv&) {
      uint8_t buffer[40];
      while (auto n = h.pair->at_b->read(task, buffer)) received += as_text(ByteSpan(buffer, *n));
    });
    for (int i = 0; i < 40; ++i) {
      h.stage.run_for(10ms);
      RC_ASSERT(sent.starts_with(received));
    }
    h.stage.run_for(3s);
    RC_ASSERT(sent.starts_with(received));
    if (received.size() < sent.size()) {
      RC_ASSERT(received.empty() || received.back() == '\n');
      RC_ASSERT(std::ranges::find(h.net.held(0, 1), std::string(1, sent[received.size()])) != h.net.held(0, 1).end());
    }
    h.hold({});
    h.stage.run_for(10s);
    RC_ASSERT(received == sent);
  }));
}

}  // namespace
}  // namespace sg::sim
