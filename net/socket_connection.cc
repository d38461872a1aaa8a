#include "net/socket_connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::net {

namespace {

// Pieces of one sendmsg: well below IOV_MAX, since the array lives on a fiber's stack.
constexpr size_t kPiecesPerCall = 256;

// Holds a flag for one task at a time.
class Exclusive {
 public:
  Exclusive(bool& flag, const char* what) : flag_(flag) {
    ENSURE(!flag_, "two tasks {} one connection at the same time", what);
    flag_ = true;
  }
  ~Exclusive() { flag_ = false; }
  Exclusive(const Exclusive&) = delete;
  Exclusive& operator=(const Exclusive&) = delete;

 private:
  bool& flag_;
};

// Walks over the pieces of a write: fills in what the next call sends, and skips what was sent.
class Gather {
 public:
  explicit Gather(std::span<const ByteSpan> pieces) : pieces_(pieces) { skip_empty(); }
  bool done() const { return pieces_.empty(); }

  // The next call's pieces and their length.
  std::span<iovec> fill(std::array<iovec, kPiecesPerCall>& into, size_t& bytes) const {
    size_t count = 0;
    bytes = 0;
    for (size_t i = 0; i < pieces_.size() && count < into.size(); ++i) {
      ByteSpan piece = i == 0 ? pieces_[0].subspan(sent_of_first_) : pieces_[i];
      if (piece.empty()) continue;
      into[count++] = {const_cast<uint8_t*>(piece.data()), piece.size()};
      bytes += piece.size();
    }
    return {into.data(), count};
  }

  void advance(size_t bytes) {
    while (bytes > 0) {
      size_t step = std::min(bytes, pieces_[0].size() - sent_of_first_);
      sent_of_first_ += step;
      bytes -= step;
      skip_empty();
    }
  }

 private:
  void skip_empty() {
    while (!pieces_.empty() && sent_of_first_ == pieces_[0].size()) {
      pieces_ = pieces_.subspan(1);
      sent_of_first_ = 0;
    }
  }
  std::span<const ByteSpan> pieces_;
  size_t sent_of_first_ = 0;
};

}  // namespace

Result<> TurnBudget::take(Task& task, Poller& poller) {
  if (task.stopping()) return fail(Errc::stopped);
  if (task.now() != turn_) {
    turn_ = task.now();
    calls_ = 0;
  }
  if (++calls_ <= kCallsPerTurn) return {};
  calls_ = 0;
  return poller.next_turn(task);
}

SocketConnection::SocketConnection(Poller& poller, FileDescriptor fd, std::unique_ptr<Watch> watch, Address peer)
    : poller_(poller), fd_(std::move(fd)), watch_(std::move(watch)), peer_(std::move(peer)) {}

std::unexpected<Error> SocketConnection::broken(const char* call, int error) {
  broken_ = true;
  return fail(Errc::reset, fmt::format("{} {}: {}", call, to_string(peer_), std::strerror(error)));
}

std::unexpected<Error> SocketConnection::closed_here() const {
  return fail(Errc::closed, fmt::format("the connection to {} was closed by this end", to_string(peer_)));
}

Result<size_t> SocketConnection::read(Task& task, MutableByteSpan into, Time deadline) {
  ENSURE(!into.empty(), "a read of nothing");
  Exclusive reading(reading_, "read");
  for (;;) {
    TRY_DO(read_budget_.take(task, poller_));
    if (watch_->closed()) return closed_here();
    if (peer_finished_) return 0;
    TRY_DO(watch_->wait(task, Direction::read, deadline, "bytes from the network"));
    ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
    if (n > 0) {
      if (static_cast<size_t>(n) < into.size()) watch_->drained(Direction::read);
      return static_cast<size_t>(n);
    }
    if (n == 0) {
      if (broken_) return broken("read from", ECONNRESET);  // the writer was told first
      peer_finished_ = true;
      return 0;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return broken("read from", errno);
    watch_->drained(Direction::read);
    // Ready for ever and still nothing to say: never a spin.
    if (watch_->ready(Direction::read)) return broken("read from", ECONNRESET);
  }
}

Result<> SocketConnection::write(Task& task, std::span<const ByteSpan> pieces, Time deadline) {
  Exclusive writing(writing_, "write");
  Gather gather(pieces);
  while (!gather.done()) {
    TRY_DO(write_budget_.take(task, poller_));
    if (watch_->closed()) return closed_here();
    if (broken_) return broken("write to", EPIPE);
    TRY_DO(watch_->wait(task, Direction::write, deadline, "room in the network"));
    std::array<iovec, kPiecesPerCall> vector;
    size_t wanted = 0;
    std::span<iovec> filled = gather.fill(vector, wanted);
    msghdr message{};
    message.msg_iov = filled.data();
    message.msg_iovlen = filled.size();
    ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (n >= 0) {
      if (static_cast<size_t>(n) < wanted) {
        REACHED("net: a write was short");
        watch_->drained(Direction::write);
      }
      gather.advance(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return broken("write to", errno);
    watch_->drained(Direction::write);
    if (watch_->ready(Direction::write)) return broken("write to", EPIPE);
  }
  return {};
}

void SocketConnection::close() {
  watch_->close();
  fd_.reset();
}

void SocketConnection::give_up_after(Duration patience) {
  ENSURE(patience >= 1ms);
  if (!fd_) return;
  // A kernel that does not know it has its own, longer patience.
  const auto ms = static_cast<unsigned>(patience / 1ms);
  (void)::setsockopt(fd_.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

Result<> prepare_socket(int fd) {
  int on = 1;
  if (::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 || ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0)
    return fail(Errc::reset, fmt::format("setsockopt: {}", std::strerror(errno)));
  return {};
}

}  // namespace sg::net
