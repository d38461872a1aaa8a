#include "net/socket_network.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/ensure.h"
#include "base/probe.h"
#include "net/socket_connection.h"

namespace sg::net {

namespace {

constexpr int kBacklog = 1024;

bool out_of_resources(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

Address local_address(int fd) {
  SocketAddress local;
  local.length = sizeof local.storage;
  ENSURE(::getsockname(fd, local.get(), &local.length) == 0, "getsockname: {}", std::strerror(errno));
  return to_address(local);
}

class SocketListener final : public Listener {
 public:
  SocketListener(Poller& poller, FileDescriptor fd, std::unique_ptr<Watch> watch)
      : poller_(poller), fd_(std::move(fd)), watch_(std::move(watch)), local_(local_address(fd_.get())) {}
  ~SocketListener() override { close(); }

  Result<std::unique_ptr<Connection>> accept(Task& task) override {
    for (;;) {
      TRY_DO(budget_.take(task, poller_));
      TRY_DO(watch_->wait(task, Direction::read, Time::never(), "a connection from outside"));
      SocketAddress peer;
      peer.length = sizeof peer.storage;
      FileDescriptor fd(::accept4(fd_.get(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        if (!prepare_socket(fd.get())) continue;
        TRY(auto watch, poller_.watch(fd.get()));
        return std::make_unique<SocketConnection>(poller_, std::move(fd), std::move(watch), to_address(peer));
      }
      if (errno == EAGAIN) {
        watch_->drained(Direction::read);
      } else if (out_of_resources(errno)) {
        REACHED("net: accept without resources");
        return fail(Errc::unavailable, fmt::format("accept on {}: {}", to_string(local_), std::strerror(errno)));
      }
      // Anything else is the fate of that one connection (accept(2) hands on its network errors).
    }
  }

  Address local() const override { return local_; }

  void close() override {
    watch_->close();
    fd_.reset();
  }

 private:
  Poller& poller_;
  FileDescriptor fd_;
  std::unique_ptr<Watch> watch_;  // ends before the descriptor is closed
  Address local_;
  TurnBudget budget_;
};

std::unexpected<Error> connect_failed(const Address& address, int error) {
  Errc code = error == ECONNREFUSED ? Errc::refused : error == ETIMEDOUT ? Errc::timeout : Errc::unavailable;
  return fail(code, fmt::format("connect to {}: {}", to_string(address), std::strerror(error)));
}

// To one of the addresses that a name stands for.
Result<std::unique_ptr<Connection>> connect_to(Task& task, Poller& poller, const SocketAddress& target, const Address& name,
                                               Time deadline) {
  FileDescriptor fd(::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return connect_failed(name, errno);
  TRY_DO(prepare_socket(fd.get()));
  bool pending = false;
  if (::connect(fd.get(), target.get(), target.length) != 0) {
    if (errno != EINPROGRESS && errno != EINTR) return connect_failed(name, errno);
    pending = true;
  }
  // Not earlier: a socket that has not begun to connect reports a hang-up.
  TRY(auto watch, poller.watch(fd.get()));
  if (pending) {
    watch->drained(Direction::write);
    auto ready = watch->wait(task, Direction::write, deadline, "a connection to be made");
    if (!ready) {
      if (ready.is(Errc::timeout)) return connect_failed(name, ETIMEDOUT);
      return std::unexpected(std::move(ready).error());
    }
    int error = 0;
    socklen_t length = sizeof error;
    ENSURE(::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) == 0, "getsockopt: {}", std::strerror(errno));
    if (error != 0) return connect_failed(name, error);
  }
  return std::make_unique<SocketConnection>(poller, std::move(fd), std::move(watch), to_address(target));
}

}  // namespace

Result<> SocketNetwork::know(const Address& address) {
  TRY(auto targets, resolve(address, Lookup::name));
  known_[address] = targets.front();
  return {};
}

Result<std::unique_ptr<Listener>> SocketNetwork::listen(const Address& address) {
  SocketAddress target;
  if (auto known = known_.find(address); known != known_.end()) {
    target = known->second;
  } else {
    TRY(auto targets, resolve(address, Lookup::numeric));
    target = targets.front();
  }

  auto failed = [&](const char* call) {
    Errc code = errno == EADDRINUSE ? Errc::busy : out_of_resources(errno) ? Errc::unavailable : Errc::invalid;
    return fail(code, fmt::format("cannot listen on {}: {}: {}", to_string(address), call, std::strerror(errno)));
  };
  FileDescriptor fd(::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed("socket");
  int on = 1;
  // A restart must not wait for the connections of the previous run to leave TIME_WAIT.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return failed("setsockopt");
  if (::bind(fd.get(), target.get(), target.length) != 0) return failed("bind");
  if (::listen(fd.get(), kBacklog) != 0) return failed("listen");
  TRY(auto watch, poller_.watch(fd.get()));
  return std::make_unique<SocketListener>(poller_, std::move(fd), std::move(watch));
}

Result<std::unique_ptr<Connection>> SocketNetwork::connect(Task& task, const Address& address, Time deadline) {
  if (task.stopping()) return fail(Errc::stopped);
  auto targets = resolve(address, Lookup::numeric);
  if (!targets) {
    auto look_up = [&] {
      targets = resolve(address, Lookup::name);
      return 0;
    };
    (void)poller_.call(task, look_up, Helper::names);
    if (task.stopping()) return fail(Errc::stopped);
    if (!targets) return fail(Errc::unavailable, std::move(targets.error().what));
  }
  Result<std::unique_ptr<Connection>> made = fail(Errc::unavailable);
  for (size_t left = targets->size(); left > 0; --left) {
    const Time now = task.now();
    const Time share = deadline == Time::never() ? deadline : now + (deadline - now) / static_cast<int64_t>(left);
    made = connect_to(task, poller_, (*targets)[targets->size() - left], address, share);
    if (made || made.is(Errc::stopped) || task.now() >= deadline) break;
  }
  return made;
}

}  // namespace sg::net
