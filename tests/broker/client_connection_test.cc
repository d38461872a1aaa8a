// One client's connection: answers leave in the order of their requests whatever completes first, what a client may have pipelined is
// bounded, and a client that has finished sending still gets its answers.
#include "broker/client_connection.h"

#include <doctest/doctest.h>

#include "tests/broker/script_connection.h"

using namespace sg;
using namespace sg::broker;
using namespace sg::broker::testing;

namespace {

using AtEnd = ScriptConnection::AtEnd;

// A connection that is being served; each request waits in `slots` until the test answers it.
struct Fixture {
  World world;
  std::shared_ptr<ScriptConnection> script = std::make_shared<ScriptConnection>();
  Config::Limits limits;
  InFlight in_flight;
  std::vector<std::shared_ptr<ResponseSlot>> slots;
  std::vector<std::string> requests;
  bool refuse_requests = false;
  bool ended = false;
  Errc end{};
  TaskRef task;
  ClientConnection* client = nullptr;  // while it is served

  Fixture() { limits.last_answers = Duration::max(); }  // settle() jumps to every deadline

  void serve() {
    task = world.scheduler.spawn("client", [this](Task& t) {
      ClientConnection connection(script, limits, in_flight, world.scheduler);
      client = &connection;
      Result<> result = connection.run(t, [this](ClientConnection&, SharedBytes frame, std::shared_ptr<ResponseSlot> slot) -> Result<> {
        if (refuse_requests) return fail(Errc::invalid);
        requests.emplace_back(as_text(frame));
        slots.push_back(std::move(slot));
        return {};
      });
      client = nullptr;
      REQUIRE_FALSE(result.has_value());
      end = result.error().code;
      ended = true;
    });
    settle();
  }
  void settle() { test::run_all(world.scheduler, world.clock); }
  void send(std::initializer_list<std::string_view> bodies) {
    for (std::string_view body : bodies) script->chunk(framed(body));
    settle();
  }
  void answer(size_t i, std::string_view text) {
    slots.at(i)->complete({SharedBytes::copy_of(as_bytes(text))});
    settle();
  }
  void finish_sending() {
    script->then(AtEnd::finished);
    settle();
  }
  std::string written() const { return std::string(as_text(script->written)); }
};

}  // namespace

TEST_CASE("given pipelined requests, when they are answered in any order, then the answers leave in the order of the requests") {
  Fixture f;
  f.serve();
  f.send({"a", "b", "c"});
  CHECK(f.requests == std::vector<std::string>{"a", "b", "c"});
  f.answer(2, "C");
  CHECK(f.written() == "");
  f.answer(0, "A");
  CHECK(f.written() == "A");
  f.answer(1, "B");
  CHECK(f.written() == "ABC");
  CHECK(f.in_flight.bytes == 0);
  f.finish_sending();
  CHECK(f.ended);
  CHECK(f.end == Errc::closed);
}

TEST_CASE("given an answer of several runs and a request without one, when they leave, then nothing stands between their neighbours") {
  Fixture f;
  f.serve();
  f.send({"a", "b", "c"});
  f.slots.at(1)->complete_without_answer();
  f.slots.at(0)->complete({SharedBytes::copy_of(as_bytes("A1")), SharedBytes(), SharedBytes::copy_of(as_bytes("A2"))});
  f.answer(2, "C");
  CHECK(f.written() == "A1A2C");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given a bound on pipelined requests, when it is reached, then reading pauses until an answer has left") {
  Fixture f;
  f.limits.connection_max_requests = 2;
  f.serve();
  f.send({"a", "b", "c", "d"});
  CHECK(f.requests.size() == 2);
  f.answer(1, "B");  // cannot leave before the answer to a
  CHECK(f.requests.size() == 2);
  f.answer(0, "A");
  CHECK(f.requests == std::vector<std::string>{"a", "b", "c", "d"});
  f.answer(2, "C");
  f.answer(3, "D");
  CHECK(f.written() == "ABCD");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given a bound on a connection's bytes, when it is reached, then reading pauses until an answer has left") {
  Fixture f;
  f.limits.connection_max_in_flight_bytes = 8;
  f.serve();
  f.send({"12345678", "b"});
  CHECK(f.requests.size() == 1);
  CHECK(f.in_flight.bytes == 8);
  f.answer(0, "A");
  CHECK(f.requests.size() == 2);
  f.answer(1, "B");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given a node that holds too many bytes already, when others free them, then this connection reads on") {
  Fixture f;
  f.limits.node_max_in_flight_bytes = 10;
  f.in_flight.bytes = 10;
  f.serve();
  f.send({"a"});
  CHECK(f.requests.empty());
  f.in_flight.bytes = 0;
  f.in_flight.freed.notify_all();
  f.settle();
  CHECK(f.requests.size() == 1);
  f.answer(0, "A");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given a journal that is behind by more than the node may hold, when it has written some, then this connection reads on") {
  Fixture f;
  size_t queued = 100;  // of requests that were answered long ago
  f.limits.node_max_in_flight_bytes = 100;
  f.in_flight.queued_bytes = [&] { return queued; };
  f.serve();
  f.send({"a"});
  CHECK(f.requests.empty());
  queued = 99;
  f.in_flight.freed.notify_all();
  f.settle();
  CHECK(f.requests.size() == 1);
  f.answer(0, "A");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given a client that has finished sending, when its requests are answered, then it still gets the answers, and then the end") {
  Fixture f;
  f.serve();
  f.send({"a", "b"});
  f.finish_sending();
  CHECK_FALSE(f.ended);
  CHECK_FALSE(f.script->closed);
  f.answer(1, "B");
  f.answer(0, "A");
  CHECK(f.written() == "AB");
  CHECK(f.ended);
  CHECK(f.script->closed);
}

TEST_CASE("given a connection that broke, when a request is answered afterwards, then the answer is dropped and its bytes are given back") {
  Fixture f;
  f.serve();
  f.send({"a"});
  CHECK(f.in_flight.bytes == 1);
  f.script->then(AtEnd::reset);
  f.settle();
  CHECK(f.ended);
  CHECK(f.end == Errc::reset);
  CHECK(f.in_flight.bytes == 0);
  f.answer(0, "A");
  CHECK(f.written() == "");
}

TEST_CASE("given a client that no longer takes answers, when one is due, then the connection ends") {
  Fixture f;
  f.serve();
  f.send({"a", "b"});
  f.script->refuse_writes = true;
  f.answer(0, "A");
  CHECK(f.ended);
  CHECK(f.in_flight.bytes == 0);
}

TEST_CASE("given a request that breaks the protocol, when it is dispatched, then the connection ends with that error") {
  Fixture f;
  f.refuse_requests = true;
  f.serve();
  f.send({"nonsense"});
  CHECK(f.ended);
  CHECK(f.end == Errc::invalid);
  CHECK(f.script->closed);
  CHECK(f.in_flight.bytes == 0);
}

TEST_CASE("given a connection with unanswered requests, when its task is stopped, then it ends") {
  Fixture f;
  f.serve();
  f.send({"a"});
  f.world.scheduler.request_stop(f.task);
  f.settle();
  CHECK(f.ended);
  CHECK(f.end == Errc::stopped);
  CHECK(f.script->closed);
}

TEST_CASE("given work for several requests, when the first is not answered, then only its task runs, and the others follow in turn") {
  Fixture f;
  f.serve();
  f.send({"a", "b", "c"});
  std::vector<std::string> begun;
  for (size_t i : {1, 2})
    f.client->spawn_in_turn(f.slots.at(i), "work", [&f, &begun, i](Task&) {
      begun.push_back(f.requests.at(i));
      f.slots.at(i)->complete({SharedBytes::copy_of(as_bytes(f.requests.at(i)))});
    });
  f.settle();
  CHECK(begun.empty());
  f.answer(0, "a");
  CHECK(begun == std::vector<std::string>{"b", "c"});
  CHECK(f.written() == "abc");
  f.finish_sending();
  CHECK(f.ended);
}

TEST_CASE("given work whose turn has not come, when the connection ends, then it is never begun") {
  Fixture f;
  f.serve();
  f.send({"a", "b"});
  bool begun = false;
  f.client->spawn_in_turn(f.slots.at(1), "work", [&begun](Task&) { begun = true; });
  f.script->then(AtEnd::reset);
  f.settle();
  CHECK(f.ended);
  CHECK_FALSE(begun);
}

TEST_CASE("given answers that the client does not take, when their bytes reach the bound, then reading pauses until it takes them") {
  Fixture f;
  f.limits.connection_max_answer_bytes = 8;
  f.script->takes_nothing = true;
  f.serve();
  f.send({"a"});
  f.answer(0, "12345678");
  CHECK(f.in_flight.answer_bytes == 8);
  CHECK(f.client->bytes_held_for_client() == 8);
  f.send({"b"});  // already being read
  f.send({"c"});
  CHECK(f.requests == std::vector<std::string>{"a", "b"});
  f.script->take();
  f.settle();
  CHECK(f.written() == "12345678");
  CHECK(f.in_flight.answer_bytes == 0);
  CHECK(f.requests == std::vector<std::string>{"a", "b", "c"});
  f.script->then(AtEnd::reset);
  f.settle();
  CHECK(f.ended);
}

TEST_CASE("given answers that were not taken, when the connection is ended from outside, then it ends and gives their bytes back") {
  Fixture f;
  f.script->takes_nothing = true;
  f.serve();
  f.send({"a", "b"});
  f.answer(0, "A");
  f.answer(1, "BB");
  CHECK(f.in_flight.answer_bytes == 3);
  CHECK(f.client->waits_for_client_since() == f.world.clock.now());
  f.client->end();
  f.settle();
  CHECK(f.ended);
  CHECK(f.in_flight.answer_bytes == 0);
  CHECK(f.in_flight.bytes == 0);
}

TEST_CASE("given a node without room for large requests, when one arrives, then it waits for room while small ones are served") {
  Fixture f;
  f.limits.node_max_unfinished_bytes = 3 << 20;
  f.in_flight.unfinished_bytes = (3 << 20) - 1000;  // of others
  f.serve();
  f.send({"small"});
  CHECK(f.requests.size() == 1);
  f.answer(0, "A");
  const std::string large(200'000, 'x');
  f.send({large});
  CHECK(f.requests.size() == 1);
  CHECK(f.client->waits_for_client_since() != Time::never());
  f.in_flight.unfinished_bytes = 0;
  f.in_flight.freed.notify_all();
  f.settle();
  CHECK(f.requests.size() == 2);
  CHECK(f.requests.back() == large);
  CHECK(f.in_flight.unfinished_bytes == 0);
  CHECK(f.client->waits_for_client_since() == Time::never());
  f.script->then(AtEnd::reset);
  f.settle();
  CHECK(f.ended);
}

TEST_CASE("given half of a large request, when the connection ends, then its memory is given back") {
  Fixture f;
  f.serve();
  f.script->chunk(ByteSpan(framed(std::string(300'000, 'x'))).first(200'000));
  f.settle();
  CHECK(f.in_flight.unfinished_bytes == 300'004);
  CHECK(f.client->bytes_held_for_client() == 300'004);
  f.client->end();
  f.settle();
  CHECK(f.ended);
  CHECK(f.in_flight.unfinished_bytes == 0);
}

TEST_CASE("given a client that has finished sending, when an answer never comes, then the connection ends after a while") {
  Fixture f;
  f.limits.last_answers = 10s;
  f.serve();
  f.send({"a"});
  f.finish_sending();
  CHECK(f.ended);
  CHECK(f.world.clock.now() == Time{} + 10s);
  CHECK(f.in_flight.bytes == 0);
}

TEST_CASE("given a connection, when a request is read or an answer is taken, then it is idle since then") {
  Fixture f;
  f.serve();
  f.world.clock.advance(5s);
  CHECK(f.client->idle_since() == Time{});
  f.send({"a"});
  CHECK(f.client->idle_since() == Time{} + 5s);
  f.world.clock.advance(5s);
  f.answer(0, "A");
  CHECK(f.client->idle_since() == Time{} + 10s);
  f.send({"b"});
  f.script->takes_nothing = true;
  f.answer(1, "B");
  f.world.clock.advance(5s);
  f.send({"c"});  // sending is no sign of life while an answer is not taken
  CHECK(f.client->idle_since() == Time{} + 10s);
  f.client->end();
  f.settle();
  CHECK(f.ended);
}

TEST_CASE("given an answer that is put together, when it holds memory, then others see less of it, and all of it at its end") {
  Fixture f;
  f.limits.node_max_answer_bytes = 100;
  f.serve();
  bool had_room = false;
  {
    AnswerRoom first(*f.client);
    AnswerRoom second(*f.client);
    CHECK(second.left() == 100);
    first.hold(60);
    CHECK(second.left() == 40);
    first.hold(150);  // one batch comes whatever its size
    CHECK(second.left() == 0);
    f.world.scheduler.spawn("second", [&](Task& t) { had_room = second.wait(t).has_value(); });
    f.settle();
    CHECK_FALSE(had_room);
    first.hold(50);
    f.settle();
    CHECK(had_room);
    CHECK(second.left() == 50);
  }
  CHECK(f.in_flight.answer_bytes == 0);
  f.finish_sending();
  CHECK(f.ended);
}
