// The network, one of the four interfaces behind which the world may differ. Stream connections with the semantics of TCP: bytes in
// order, no message borders, loss shows as a stall or a reset. Contract tests: tests/contract/network_contract.h, on every
// implementation (net/ in production, sim/network.h in the simulator).
//
// A connection says nothing by itself of a peer that has fallen silent: its bytes are sent again at growing intervals, and for minutes
// after the silence has ended. Whoever needs to know sooner asks its peer for signs of life, closes, and connects again.
//
// Concurrency: one task may read and one may write on a connection at the same time. close() may be called from any task and wakes
// both with Errc::closed. Objects belong to the thread and the scheduler of their node.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/task.h"

namespace sg::net {

struct Address {
  std::string host;  // a numeric address or a name
  uint16_t port = 0;
  auto operator<=>(const Address&) const = default;
};

std::string to_string(const Address& address);
// "host:port"; an IPv6 address in brackets.  Errc::invalid with what is wrong.
Result<Address> parse_address(std::string_view text);

class Connection {
 public:
  // Closes if still open. Does not suspend.
  virtual ~Connection() = default;

  // Waits until at least one byte is there and reads up to into.size() > 0. 0 = the peer has finished sending.
  // Errc::reset, Errc::closed (by this end), Errc::timeout (nothing was read), Errc::stopped.
  virtual Result<size_t> read(Task& task, MutableByteSpan into, Time deadline = Time::never()) = 0;

  // Sends all bytes of all pieces, in order, waiting for room. The pieces are borrowed until it returns.
  // Errc::reset, Errc::closed, Errc::timeout (an unknown part was sent: close the connection), Errc::stopped (likewise).
  virtual Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline = Time::never()) = 0;
  Result<> write(Task& task, ByteSpan bytes, Time deadline = Time::never()) { return write(task, {&bytes, 1}, deadline); }

  // Ends this end: pending and later reads and writes return Errc::closed; the peer sees the end of the stream (or a reset if
  // unread bytes were left). Idempotent.
  virtual void close() = 0;

  // From now on this end breaks the connection (Errc::reset) when bytes that it has sent, or could not send for want of room, were not
  // taken over by the peer's host for about so long; the peer may not learn of it. A network without such a clock of its own may take
  // longer. Nothing is promised where nothing is sent: who only listens has to ask for signs of life.
  virtual void give_up_after(Duration patience) = 0;

  virtual Address peer() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;
  // Waits for a connection.  Errc::closed, Errc::stopped, Errc::unavailable (out of resources: back off and go on).
  virtual Result<std::unique_ptr<Connection>> accept(Task& task) = 0;
  // With the port that was really taken, when port 0 was asked for.
  virtual Address local() const = 0;
  virtual void close() = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // Errc::busy: the address is in use. Errc::invalid: it is not ours or cannot be resolved.
  virtual Result<std::unique_ptr<Listener>> listen(const Address& address) = 0;

  // A name is resolved anew by each call, and its addresses are tried one after the other, each with its share of the time left.
  // Errc::refused: the host answered that nobody listens. Errc::timeout: silence until the deadline. Errc::unavailable: no route or
  // no such name. Errc::stopped.
  virtual Result<std::unique_ptr<Connection>> connect(Task& task, const Address& address, Time deadline) = 0;
};

}  // namespace sg::net
