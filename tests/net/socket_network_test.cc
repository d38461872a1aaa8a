// Sockets under both pollers: the contract, and what only real sockets can show.
#include "net/socket_network.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <csignal>
#include <vector>

#include "base/file_descriptor.h"
#include "tests/contract/network_contract.h"
#include "tests/net/loop_fixture.h"

namespace sg {

namespace {

using test::Loop;
using test::PollerKind;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

FileDescriptor raw_connection(uint16_t port) {
  FileDescriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(port);
  REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

// A listener that never accepts and whose queue is full: Linux drops every further SYN.
class FullListener {
 public:
  FullListener() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener_.get(), 0) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 4; ++i) {
      FileDescriptor& fd = waiting_.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length);
    }
  }
  net::Address address() const { return {"127.0.0.1", port_}; }

 private:
  FileDescriptor listener_;
  std::vector<FileDescriptor> waiting_;
  uint16_t port_ = 0;
};

class Sockets final : public contract::NetworkFixture {
 public:
  explicit Sockets(PollerKind kind) : loop(kind) {
    if (!loop.have()) return;
    for (auto& network : networks_) network = std::make_unique<net::SocketNetwork>(*loop.poller);
  }
  Scheduler& scheduler(int) override { return loop.scheduler; }
  net::Network& network(int node) override { return *networks_[node]; }
  net::Address local(int) override { return {"127.0.0.1", 0}; }
  net::Address silent() override {
    if (!silent_) silent_ = std::make_unique<FullListener>();
    return silent_->address();
  }
  bool run_until(const std::function<bool()>& done) override { return loop.run_until(done); }

  std::unique_ptr<net::Listener> listen() {
    auto listener = network(0).listen(local(0));
    REQUIRE(listener);
    return std::move(*listener);
  }

  Loop loop;

 private:
  std::unique_ptr<net::SocketNetwork> networks_[2];
  std::unique_ptr<FullListener> silent_;
};

}  // namespace

TEST_CASE("sockets over io_uring keep the network contract") {
  Sockets sockets(PollerKind::uring);
  if (sockets.loop.have()) contract::network_contract(sockets);
}

TEST_CASE("sockets over epoll keep the network contract") {
  Sockets sockets(PollerKind::epoll);
  contract::network_contract(sockets);
}

static void half_closed(PollerKind kind) {
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  FileDescriptor client = raw_connection(listener->local().port);
  REQUIRE(::send(client.get(), "question", 8, 0) == 8);
  REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
  sockets.loop.run([&](Task& task) {
    auto connection = listener->accept(task);
    REQUIRE(connection);
    ByteVec buffer(100);
    size_t length = 0;
    Result<size_t> n = 0;
    while ((n = (*connection)->read(task, buffer)) && *n > 0) length += *n;
    CHECK(n);
    CHECK(length == 8);
    CHECK((*connection)->write(task, as_bytes("answer")));
  });
  char answer[10] = "";
  CHECK(::recv(client.get(), answer, sizeof answer, 0) == 6);
  CHECK(std::string(answer) == "answer");
  CHECK(::recv(client.get(), answer, sizeof answer, 0) == 0);
}

TEST_CASE("a half-closed peer still gets its answer") {
  SUBCASE("io_uring") { half_closed(PollerKind::uring); }
  SUBCASE("epoll") { half_closed(PollerKind::epoll); }
}

static void aborted(PollerKind kind) {
  std::signal(SIGPIPE, SIG_DFL);  // a write to a broken connection is an error, and no signal, whoever ignores signals
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  FileDescriptor client = raw_connection(listener->local().port);
  sockets.loop.run([&](Task& task) {
    auto connection = listener->accept(task);
    REQUIRE(connection);
    task.scheduler().spawn("abort", [&](Task& t) {
      CHECK(t.sleep_for(5ms));
      linger now{.l_onoff = 1, .l_linger = 0};  // close() sends a reset
      CHECK(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
      client.reset();
    });
    ByteVec buffer(100);
    CHECK((*connection)->read(task, buffer).is(Errc::reset));
    CHECK((*connection)->read(task, buffer).is(Errc::reset));
    CHECK((*connection)->write(task, buffer).is(Errc::reset));
  });
}

TEST_CASE("a peer that aborts wakes the reader with a reset, which stays") {
  SUBCASE("io_uring") { aborted(PollerKind::uring); }
  SUBCASE("epoll") { aborted(PollerKind::epoll); }
}

static void busy_reader(PollerKind kind) {
  // A reader whose bytes never run out must let the other connections and the deadlines have their turn.
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  sockets.loop.run([&](Task& task) {
    bool done = false;
    bool ended = false;
    task.scheduler().spawn("echo to itself", [&](Task& t) {
      auto out = sockets.network(0).connect(t, listener->local(), t.now() + 20s);
      REQUIRE(out);
      auto in = listener->accept(t);
      REQUIRE(in);
      uint8_t byte = 7;
      CHECK((*out)->write(t, ByteSpan(&byte, 1)));
      Result<size_t> n = 0;
      while (!done && (n = (*in)->read(t, {&byte, 1})) && (*out)->write(t, ByteSpan(&byte, 1))) {}
      CHECK(n);
      ended = true;
    });
    CHECK(task.sleep_for(20ms));
    done = true;
    while (!ended) REQUIRE(task.sleep_for(1ms));
  });
}

static void broken_under_the_writer(PollerKind kind) {
  std::signal(SIGPIPE, SIG_DFL);
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  FileDescriptor client = raw_connection(listener->local().port);
  sockets.loop.run([&](Task& task) {
    auto connection = listener->accept(task);
    REQUIRE(connection);
    client.reset();
    Result<> written;
    while ((written = (*connection)->write(task, as_bytes("x")))) CHECK(task.sleep_for(1ms));
    CHECK(written.is(Errc::reset));
    uint8_t byte = 0;
    CHECK((*connection)->read(task, {&byte, 1}).is(Errc::reset));  // not an orderly end
  });
}

TEST_CASE("a writer that finds the connection broken gets no signal, and the reader no orderly end") {
  SUBCASE("io_uring") { broken_under_the_writer(PollerKind::uring); }
  SUBCASE("epoll") { broken_under_the_writer(PollerKind::epoll); }
}

TEST_CASE("a connection that always has bytes does not hold the loop") {
  SUBCASE("io_uring") { busy_reader(PollerKind::uring); }
  SUBCASE("epoll") { busy_reader(PollerKind::epoll); }
}

static void out_of_descriptors(PollerKind kind) {
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  FileDescriptor client = raw_connection(listener->local().port);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 3;
  sockets.loop.run([&](Task& task) {
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK(listener->accept(task).is(Errc::unavailable));
    CHECK(listener->accept(task).is(Errc::unavailable));
    CHECK(sockets.network(0).connect(task, listener->local(), Time::never()).is(Errc::unavailable));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(listener->accept(task));  // the connection has waited
  });
}

TEST_CASE("accept without descriptors says unavailable, and goes on when there are some") {
  SUBCASE("io_uring") { out_of_descriptors(PollerKind::uring); }
  SUBCASE("epoll") { out_of_descriptors(PollerKind::epoll); }
}

static void names(PollerKind kind) {
  Sockets sockets(kind);
  if (!sockets.loop.have()) return;
  auto listener = sockets.listen();
  CHECK(sockets.network(0).listen({"203.0.113.1", 0}).is(Errc::invalid));  // documentation's own, never ours
  CHECK(sockets.network(0).listen({"localhost", 0}).is(Errc::invalid));    // a look-up would block: it comes before
  net::SocketNetwork knowing(*sockets.loop.poller);
  CHECK(knowing.know({"no such name", 0}).is(Errc::invalid));
  CHECK(knowing.know({"localhost", 0}));
  CHECK(knowing.listen({"localhost", 0}));
  sockets.loop.run([&](Task& task) {
    auto named = sockets.network(0).connect(task, {"localhost", listener->local().port}, task.now() + 20s);
    CHECK(named);
    CHECK(sockets.network(0).connect(task, {"no such name", 1}, task.now() + 20s).is(Errc::unavailable));
  });
}

TEST_CASE("names resolve, and what is not an address is refused") {
  SUBCASE("io_uring") { names(PollerKind::uring); }
  SUBCASE("epoll") { names(PollerKind::epoll); }
}

}  // namespace sg
