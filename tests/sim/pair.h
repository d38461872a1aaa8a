// Two nodes with one connection between them.
#pragma once

#include <memory>
#include <string>

#include "tests/sim/fixture.h"

namespace sg::sim {

inline constexpr uint16_t kPort = 9000;

// One connection between two nodes, held open from outside.
struct Pair {
  explicit Pair(Stage& stage) : stage_(stage), a(stage.node("a")), b(stage.node("b")) {
    listen();
    stage.begin(b, [this](Task& task, NodeEnv&) {
      auto accepted = listener->accept(task);
      if (accepted) at_b = std::move(*accepted);
      (void)task.sleep_for(1h);
      at_b.reset();
      listener.reset();
    });
    stage.begin(a, [this](Task& task, NodeEnv& env) {
      auto connected = env.network.connect(task, {"b", kPort}, task.now() + 10s);
      if (connected) at_a = std::move(*connected);
      (void)task.sleep_for(1h);
      at_a.reset();
    });
    CHECK(stage.world.run_while([this] { return !at_a || !at_b; }, stage.world.now() + 5s));
    REQUIRE((at_a && at_b));
  }
  // The acts on both nodes refer to this object.
  ~Pair() {
    a.die(Death::kill);
    b.die(Death::kill);
  }
  void listen() {
    stage_.perform(b, [this](Task&, NodeEnv& env) {
      auto made = env.network.listen({"b", kPort});
      REQUIRE(made);
      listener = std::move(*made);
    });
  }
  void send(Node& node, net::Connection& connection, std::string_view text) {
    stage_.perform(node, [&](Task& task, NodeEnv&) { CHECK(connection.write(task, as_bytes(text))); });
  }
  // What a read within `patience` gives: the bytes, "" at the end of the stream, or the error's name.
  std::string receive(Node& node, net::Connection& connection, Duration patience = 100ms) {
    std::string got;
    stage_.perform(node, [&](Task& task, NodeEnv&) {
      uint8_t buffer[100];
      auto n = connection.read(task, buffer, task.now() + patience);
      got = n ? std::string(as_text(ByteSpan(buffer, *n))) : "<" + std::string(to_string(n.code())) + ">";
    });
    return got;
  }

  Stage& stage_;
  Node& a;
  Node& b;
  std::unique_ptr<net::Listener> listener;
  std::unique_ptr<net::Connection> at_a, at_b;
};

}  // namespace sg::sim
