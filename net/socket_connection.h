// One TCP connection as net::Connection. System calls of the data path: one recv per read and one sendmsg per write as long as the
// socket keeps up; a transfer that was short is not tried again before the poller says ready.
//
// Invariant: once the stream has ended or broken no system call is made that could report less: an end stays 0, a reset stays a reset
// (the kernel reports it once and shows an orderly end from then on).
#pragma once

#include "base/file_descriptor.h"
#include "base/poller.h"
#include "net/network.h"

namespace sg::net {

// Keeps a task whose system calls never have to wait from holding the loop: after some calls in one turn it waits for the next.
class TurnBudget {
 public:
  static constexpr int kCallsPerTurn = 32;
  // Before each call.  Errc::stopped.
  Result<> take(Task& task, Poller& poller);

 private:
  Time turn_ = Time::never();
  int calls_ = 0;
};

class SocketConnection final : public Connection {
 public:
  // A connected non-blocking socket.
  SocketConnection(Poller& poller, FileDescriptor fd, std::unique_ptr<Watch> watch, Address peer);
  ~SocketConnection() override { close(); }

  Result<size_t> read(Task& task, MutableByteSpan into, Time deadline) override;
  Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline) override;
  void close() override;
  void give_up_after(Duration patience) override;
  Address peer() const override { return peer_; }

 private:
  std::unexpected<Error> broken(const char* call, int error);
  std::unexpected<Error> closed_here() const;

  Poller& poller_;
  FileDescriptor fd_;
  std::unique_ptr<Watch> watch_;  // ends before the descriptor is closed
  Address peer_;
  TurnBudget read_budget_;
  TurnBudget write_budget_;
  bool peer_finished_ = false;
  bool broken_ = false;
  bool reading_ = false;
  bool writing_ = false;
};

// TCP_NODELAY, and keep-alive, so that a peer that vanished without a word is noticed some day.  Errc::reset: it has gone already.
Result<> prepare_socket(int fd);

}  // namespace sg::net
