#include "tests/contract/network_contract.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/contract/script.h"

namespace sg::contract {

namespace {

using Conversation = std::function<Result<>(Task&, net::Connection&)>;

// More than any network keeps in its buffers.
constexpr size_t kMoreThanBuffers = 48 << 20;
constexpr size_t kStep = 1 << 20;

class Suite {
 public:
  explicit Suite(NetworkFixture& fixture)
      : f_(fixture), script_([&fixture](const std::function<bool()>& done) { return fixture.run_until(done); }) {}

  void bytes_arrive_in_order();
  void a_gather_write_is_one_stream();
  void back_pressure_holds_the_writer();
  void both_directions_at_once();
  void a_close_is_an_end_of_stream();
  void a_close_over_unread_bytes_is_a_reset();
  void writing_to_a_closed_peer_ends_in_a_reset();
  void nobody_listens();
  void silence_until_the_deadline();
  void a_stop_ends_a_connect();
  void close_wakes_the_reader();
  void close_wakes_the_writer();
  void close_wakes_the_acceptor();
  void a_stop_wakes_reader_writer_and_acceptor();
  void a_read_deadline_leaves_the_connection_usable();
  void a_write_deadline();
  void patience_with_a_peer_that_takes_nothing();
  void addresses_are_those_that_were_taken();
  void an_address_is_taken_once();
  void connections_wait_to_be_accepted();
  void destruction_closes();

 private:
  Scheduler& client_scheduler() { return f_.scheduler(0); }
  Scheduler& server_scheduler() { return f_.scheduler(1); }

  std::unique_ptr<net::Listener> listen() {
    auto listener = f_.network(1).listen(f_.local(1));
    REQUIRE_MESSAGE(listener.has_value(), (listener ? "" : listener.error().what));
    return std::move(*listener);
  }
  Result<std::unique_ptr<net::Connection>> connect(Task& task, const net::Address& address) {
    return f_.network(0).connect(task, address, task.now() + 20s);
  }
  // One connection from node 0 to node 1, whose ends run `client` and `server` and are then closed.
  void converse(Conversation client, Conversation server) {
    listener_ = listen();
    script_.task(server_scheduler(), "server", [this, server](Task& task) -> Result<> {
      TRY(auto connection, listener_->accept(task));
      return server(task, *connection);
    });
    script_.task(client_scheduler(), "client", [this, client](Task& task) -> Result<> {
      TRY(auto connection, connect(task, listener_->local()));
      return client(task, *connection);
    });
    script_.run();
  }

  NetworkFixture& f_;
  std::unique_ptr<net::Listener> listener_;
  Script script_;
};

Result<> write_pattern(Task& task, net::Connection& connection, uint64_t size, size_t step) {
  for (uint64_t at = 0; at < size; at += step) TRY_DO(connection.write(task, pattern(at, std::min<uint64_t>(step, size - at))));
  return {};
}

// Reads to the end of the stream, in pieces of at most `step`.
Result<> expect_pattern(Task& task, net::Connection& connection, uint64_t size, size_t step) {
  ByteVec buffer(step);
  uint64_t at = 0;
  for (;;) {
    TRY(size_t n, connection.read(task, buffer));
    if (n == 0) break;
    if (!matches_pattern(at, ByteSpan(buffer).first(n))) return fail(Errc::corrupt, fmt::format("other bytes at {}", at));
    at += n;
  }
  CHECK(at == size);
  return {};
}

Result<> expect_end(Task& task, net::Connection& connection) { return expect_pattern(task, connection, 0, 16); }

void Suite::bytes_arrive_in_order() {
  converse([](Task& task, net::Connection& c) { return write_pattern(task, c, 300'000, 997); },
           [](Task& task, net::Connection& c) { return expect_pattern(task, c, 300'000, 1013); });
}

void Suite::a_gather_write_is_one_stream() {
  constexpr size_t kPieces = 5'000;
  converse(
      [](Task& task, net::Connection& c) -> Result<> {
        ByteVec all = pattern(0, kPieces * 100);
        std::vector<ByteSpan> pieces;
        for (size_t at = 0, length = 0; at < all.size(); at += length) {
          length = std::min(pieces.size() % 201, all.size() - at);  // empty ones too
          pieces.push_back(ByteSpan(all).subspan(at, length));
        }
        TRY_DO(c.write(task, pieces));
        return c.write(task, std::span<const ByteSpan>());
      },
      [](Task& task, net::Connection& c) { return expect_pattern(task, c, kPieces * 100, 64 << 10); });
}

void Suite::back_pressure_holds_the_writer() {
  bool written = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(write_pattern(task, c, kMoreThanBuffers, kStep));
        written = true;
        return {};
      },
      [&](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(task.sleep_for(20ms));
        CHECK_FALSE(written);
        return expect_pattern(task, c, kMoreThanBuffers, kStep);
      });
}

void Suite::both_directions_at_once() {
  // Each end writes all before it reads anything in that task: only a second task that reads at the same time lets it end.
  static constexpr size_t kEach = kMoreThanBuffers / 4;
  auto both = [this](Scheduler& scheduler) {
    return [this, &scheduler](Task& task, net::Connection& c) -> Result<> {
      bool read = false;
      script_.task(scheduler, "reader", [&c, &read](Task& reader) -> Result<> {
        ByteVec buffer(kStep);
        uint64_t at = 0;
        Result<size_t> n = 0;
        while (at < kEach && (n = c.read(reader, buffer)) && *n > 0 && matches_pattern(at, ByteSpan(buffer).first(*n))) at += *n;
        read = true;
        CHECK(at == kEach);
        return {};
      });
      Result<> written = write_pattern(task, c, kEach, kStep);
      TRY_DO(wait_until(task, [&] { return read; }));
      return written;
    };
  };
  converse(both(client_scheduler()), both(server_scheduler()));
}

void Suite::a_close_is_an_end_of_stream() {
  converse(
      [](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(write_pattern(task, c, 1'000, 1'000));
        c.close();
        c.close();
        return {};
      },
      [](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(expect_pattern(task, c, 1'000, 7));
        return expect_end(task, c);  // and again
      });
}

void Suite::a_close_over_unread_bytes_is_a_reset() {
  converse(
      [](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(write_pattern(task, c, 1'000, 1'000));
        ByteVec buffer(10);
        for (int attempt = 0; attempt < 2; ++attempt) {
          auto read = c.read(task, buffer);
          CHECK(read.is(Errc::reset));
        }
        CHECK(c.write(task, buffer).is(Errc::reset));
        return {};
      },
      [](Task& task, net::Connection& c) -> Result<> {
        ByteVec buffer(1);
        TRY_DO(c.read(task, buffer));
        c.close();
        return {};
      });
}

void Suite::writing_to_a_closed_peer_ends_in_a_reset() {
  converse(
      [](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(expect_end(task, c));
        Result<> result;
        while ((result = c.write(task, pattern(0, 100)))) TRY_DO(task.sleep_for(1ms));
        CHECK(result.is(Errc::reset));
        CHECK(c.write(task, pattern(0, 100)).is(Errc::reset));
        return {};
      },
      [](Task&, net::Connection& c) -> Result<> {
        c.close();
        return {};
      });
}

void Suite::nobody_listens() {
  net::Address address = listen()->local();  // closed again
  script_.task(client_scheduler(), "client", [&](Task& task) -> Result<> {
    CHECK(connect(task, address).is(Errc::refused));
    CHECK(connect(task, address).is(Errc::refused));
    return {};
  });
  script_.run();
}

void Suite::silence_until_the_deadline() {
  net::Address silent = f_.silent();
  script_.task(client_scheduler(), "client", [&](Task& task) -> Result<> {
    Time deadline = task.now() + 30ms;
    CHECK(f_.network(0).connect(task, silent, deadline).is(Errc::timeout));
    CHECK(task.now() >= deadline);
    return {};
  });
  script_.run();
}

void Suite::a_stop_ends_a_connect() {
  net::Address silent = f_.silent();
  TaskRef client = script_.task(client_scheduler(), "client", [&](Task& task) -> Result<> {
    CHECK(f_.network(0).connect(task, silent, Time::never()).is(Errc::stopped));
    return {};
  });
  script_.task(client_scheduler(), "stopper", [&](Task& task) -> Result<> {
    TRY_DO(task.sleep_for(10ms));
    CHECK(client_scheduler().alive(client));
    client_scheduler().request_stop(client);
    return {};
  });
  script_.run();
}

void Suite::close_wakes_the_reader() {
  bool closed = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        script_.task(client_scheduler(), "closer", [&](Task& closer) -> Result<> {
          TRY_DO(closer.sleep_for(10ms));
          closed = true;
          c.close();
          return {};
        });
        ByteVec buffer(10);
        CHECK(c.read(task, buffer).is(Errc::closed));
        CHECK(closed);
        CHECK(c.read(task, buffer).is(Errc::closed));
        CHECK(c.write(task, buffer).is(Errc::closed));
        return {};
      },
      [](Task& task, net::Connection& c) { return expect_end(task, c); });
}

void Suite::close_wakes_the_writer() {
  bool closed = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        script_.task(client_scheduler(), "closer", [&](Task& closer) -> Result<> {
          TRY_DO(closer.sleep_for(20ms));
          closed = true;
          c.close();
          return {};
        });
        CHECK(write_pattern(task, c, kMoreThanBuffers, kStep).is(Errc::closed));
        CHECK(closed);
        return {};
      },
      [&](Task& task, net::Connection&) { return wait_until(task, [&] { return closed; }); });
}

void Suite::close_wakes_the_acceptor() {
  listener_ = listen();
  script_.task(server_scheduler(), "acceptor", [&](Task& task) -> Result<> {
    CHECK(listener_->accept(task).is(Errc::closed));
    CHECK(listener_->accept(task).is(Errc::closed));
    return {};
  });
  script_.task(server_scheduler(), "closer", [&](Task& task) -> Result<> {
    TRY_DO(task.sleep_for(10ms));
    listener_->close();
    listener_->close();
    return {};
  });
  script_.run();
}

void Suite::a_stop_wakes_reader_writer_and_acceptor() {
  bool ended = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        TaskRef reader = script_.task(client_scheduler(), "reader", [&](Task& t) -> Result<> {
          ByteVec buffer(10);
          CHECK(c.read(t, buffer).is(Errc::stopped));
          return {};
        });
        TaskRef writer = script_.task(client_scheduler(), "writer", [&](Task& t) -> Result<> {
          CHECK(write_pattern(t, c, kMoreThanBuffers, kStep).is(Errc::stopped));
          return {};
        });
        Result<> slept = task.sleep_for(20ms);
        client_scheduler().request_stop(reader);
        client_scheduler().request_stop(writer);
        Result<> waited = wait_until(task, [&] { return !client_scheduler().alive(reader) && !client_scheduler().alive(writer); });
        ended = true;
        TRY_DO(slept);
        return waited;
      },
      [&](Task& task, net::Connection&) -> Result<> {
        TaskRef acceptor = script_.task(server_scheduler(), "acceptor", [&](Task& t) -> Result<> {
          CHECK(listener_->accept(t).is(Errc::stopped));
          return {};
        });
        TRY_DO(task.sleep_for(5ms));
        server_scheduler().request_stop(acceptor);
        return wait_until(task, [&] { return ended; });
      });
}

void Suite::a_read_deadline_leaves_the_connection_usable() {
  bool timed_out = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        ByteVec buffer(1);
        Time deadline = task.now() + 10ms;
        CHECK(c.read(task, buffer, deadline).is(Errc::timeout));
        CHECK(task.now() >= deadline);
        timed_out = true;
        return expect_pattern(task, c, 500, 100);
      },
      [&](Task& task, net::Connection& c) -> Result<> {
        TRY_DO(wait_until(task, [&] { return timed_out; }));
        return write_pattern(task, c, 500, 500);
      });
}

void Suite::a_write_deadline() {
  bool ended = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        ByteVec piece = pattern(0, kStep);
        std::vector<ByteSpan> pieces(kMoreThanBuffers / kStep, piece);
        CHECK(c.write(task, pieces, task.now() + 30ms).is(Errc::timeout));
        ended = true;
        return {};
      },
      [&](Task& task, net::Connection&) { return wait_until(task, [&] { return ended; }); });
}

void Suite::patience_with_a_peer_that_takes_nothing() {
  constexpr Duration kPatience = 300ms;
  bool ended = false;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        c.give_up_after(kPatience);
        const Time begin = task.now();
        CHECK(write_pattern(task, c, kMoreThanBuffers, kStep).is(Errc::reset));
        CHECK(task.now() - begin >= kPatience);
        uint8_t byte;
        CHECK(c.read(task, {&byte, 1}).is(Errc::reset));
        ended = true;
        return {};
      },
      [&](Task& task, net::Connection&) { return wait_until(task, [&] { return ended; }); });
}

void Suite::addresses_are_those_that_were_taken() {
  auto other = listen();
  net::Address seen_by_server;
  converse(
      [&](Task& task, net::Connection& c) -> Result<> {
        CHECK(listener_->local().host == f_.local(1).host);
        CHECK(listener_->local().port != 0);
        CHECK(listener_->local().port != other->local().port);
        CHECK(c.peer() == listener_->local());
        return expect_end(task, c);
      },
      [&](Task&, net::Connection& c) -> Result<> {
        CHECK(c.peer().host == f_.local(0).host);
        CHECK(c.peer().port != 0);
        return {};
      });
}

void Suite::an_address_is_taken_once() {
  listener_ = listen();
  net::Address address = listener_->local();
  script_.task(server_scheduler(), "server", [&](Task& task) -> Result<> {
    CHECK(f_.network(1).listen(address).is(Errc::busy));
    // Also while somebody waits at it.
    script_.task(server_scheduler(), "acceptor", [&](Task& t) -> Result<> {
      CHECK(listener_->accept(t).is(Errc::closed));
      return {};
    });
    TRY_DO(task.sleep_for(5ms));
    CHECK(f_.network(1).listen(address).is(Errc::busy));
    listener_->close();
    auto again = f_.network(1).listen(address);
    CHECK(again.has_value());
    if (again) CHECK((*again)->local() == address);
    return {};
  });
  script_.run();
}

void Suite::connections_wait_to_be_accepted() {
  constexpr size_t kConnections = 8;
  listener_ = listen();
  size_t connected = 0;
  for (size_t i = 0; i < kConnections; ++i)
    script_.task(client_scheduler(), "client", [this, &connected, i](Task& task) -> Result<> {
      TRY(auto c, connect(task, listener_->local()));
      ++connected;
      auto number = static_cast<uint8_t>(i);
      TRY_DO(c->write(task, ByteSpan(&number, 1)));
      TRY(size_t n, c->read(task, {&number, 1}));
      CHECK(n == 1);
      CHECK(number == 100 + i);  // the answer came back on its own connection
      return {};
    });
  for (size_t i = 0; i < kConnections; ++i)
    script_.task(server_scheduler(), "server", [&](Task& task) -> Result<> {
      TRY_DO(wait_until(task, [&] { return connected == kConnections; }));
      TRY(auto c, listener_->accept(task));
      uint8_t number = 0;
      TRY_DO(c->read(task, {&number, 1}));
      number = static_cast<uint8_t>(100 + number);
      return c->write(task, ByteSpan(&number, 1));
    });
  script_.run();
}

void Suite::destruction_closes() {
  listener_ = listen();
  script_.task(server_scheduler(), "server", [&](Task& task) -> Result<> {
    { TRY(auto c, listener_->accept(task)); }
    listener_.reset();
    return {};
  });
  script_.task(client_scheduler(), "client", [&](Task& task) -> Result<> {
    net::Address address = listener_->local();
    TRY(auto c, connect(task, address));
    TRY_DO(expect_end(task, *c));
    TRY_DO(wait_until(task, [&] { return !listener_; }));
    CHECK(connect(task, address).is(Errc::refused));
    return {};
  });
  script_.run();
}

}  // namespace

void network_contract(NetworkFixture& fixture) {
  Suite suite(fixture);
  SUBCASE("bytes arrive in order, however they were cut") { suite.bytes_arrive_in_order(); }
  SUBCASE("the pieces of a gather write are one stream") { suite.a_gather_write_is_one_stream(); }
  SUBCASE("a writer waits while the peer does not read") { suite.back_pressure_holds_the_writer(); }
  SUBCASE("one task reads and one writes at the same time") { suite.both_directions_at_once(); }
  SUBCASE("a close is an end of the stream behind the last byte") { suite.a_close_is_an_end_of_stream(); }
  SUBCASE("a close over unread bytes is a reset") { suite.a_close_over_unread_bytes_is_a_reset(); }
  SUBCASE("writing to a closed peer ends in a reset") { suite.writing_to_a_closed_peer_ends_in_a_reset(); }
  SUBCASE("a connect is refused where nobody listens") { suite.nobody_listens(); }
  SUBCASE("a connect that meets silence ends at its deadline") { suite.silence_until_the_deadline(); }
  SUBCASE("a stop ends a connect") { suite.a_stop_ends_a_connect(); }
  SUBCASE("close wakes the reader") { suite.close_wakes_the_reader(); }
  SUBCASE("close wakes the writer") { suite.close_wakes_the_writer(); }
  SUBCASE("close wakes the acceptor") { suite.close_wakes_the_acceptor(); }
  SUBCASE("a stop wakes reader, writer and acceptor") { suite.a_stop_wakes_reader_writer_and_acceptor(); }
  SUBCASE("a read that met its deadline took nothing") { suite.a_read_deadline_leaves_the_connection_usable(); }
  SUBCASE("a write ends at its deadline") { suite.a_write_deadline(); }
  SUBCASE("a patience ends with a peer that takes nothing") { suite.patience_with_a_peer_that_takes_nothing(); }
  SUBCASE("port 0 takes a free port, and both ends are named") { suite.addresses_are_those_that_were_taken(); }
  SUBCASE("an address is taken once, and free again at once after close") { suite.an_address_is_taken_once(); }
  SUBCASE("connections wait until they are accepted") { suite.connections_wait_to_be_accepted(); }
  SUBCASE("destruction closes") { suite.destruction_closes(); }
}

}  // namespace sg::contract
