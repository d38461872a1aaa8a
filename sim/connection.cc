#include "sim/connection.h"

#include <algorithm>

#include "base/crc32c.h"

namespace sg::sim {

// --- SimConnection -------------------------------------------------------------------------------------------------------------

SimConnection::SimConnection(SimNetwork& network, Life& life, SimNetwork::Conn& conn, int side)
    : network_(network), life_(life), conn_(&conn), side_(side), peer_(side == 0 ? conn.info.acceptor : conn.info.dialer) {
  SimNetwork::End& end = conn.ends[side];
  ENSURE(end.open && !end.handle);
  end.handle = this;
}

Result<size_t> SimConnection::read(Task& task, MutableByteSpan into, Time deadline) {
  ENSURE(!into.empty());
  for (;;) {
    if (life_.dead()) return life_.refuse(task);
    if (!conn_) return fail(Errc::closed);
    SimNetwork::End& end = conn_->ends[side_];
    if (!end.received.empty()) {
      size_t got = 0;
      while (got < into.size() && !end.received.empty()) {
        SimNetwork::Chunk& chunk = end.received.front();
        size_t n = std::min(into.size() - got, chunk.bytes.size() - chunk.taken);
        std::memcpy(into.data() + got, chunk.bytes.data() + chunk.taken, n);
        got += n;
        chunk.taken += n;
        if (chunk.taken == chunk.bytes.size()) network_.give_buffer(std::move(end.received.pop().bytes));
      }
      for (NetworkTap* tap : network_.taps_) tap->on_read(conn_->info, side_ == 0, got);
      network_.release_window(*conn_, side_, got);
      return got;
    }
    if (end.reset) return fail(Errc::reset, "connection reset by peer");
    if (end.ended) return size_t{0};
    ENSURE(!end.reader, "two tasks read from one connection");
    end.reader = &task;
    Wake wake = task.park("read from a connection", deadline);
    if (life_.dead()) return life_.refuse(task);
    if (!conn_) return fail(Errc::closed);
    SimNetwork::End& after = conn_->ends[side_];
    after.reader = nullptr;
    bool something = !after.received.empty() || after.reset || after.ended;
    if (wake == Wake::stopped) return fail(Errc::stopped);
    if (wake == Wake::timeout && !something) return fail(Errc::timeout, "nothing to read before the deadline");
  }
}

Result<> SimConnection::write(Task& task, std::span<const ByteSpan> pieces, Time deadline) {
  size_t total = 0;
  for (ByteSpan piece : pieces) total += piece.size();
  size_t sent = 0;
  Time full_since = task.now();
  for (;;) {
    if (life_.dead()) return life_.refuse(task);
    if (!conn_) return fail(Errc::closed);
    SimNetwork::End& end = conn_->ends[side_];
    if (end.reset) return fail(Errc::reset, "connection reset by peer");
    if (sent == total) return {};
    size_t used = conn_->ends[1 - side_].used;
    size_t room = network_.options_.window_bytes - std::min(used, network_.options_.window_bytes);
    if (room > 0) {
      auto accepted = accept_chunk(pieces, sent, std::min(room, total - sent));
      if (life_.dead()) return life_.refuse(task);
      TRY(size_t n, std::move(accepted));
      sent += n;
      full_since = task.now();
      continue;
    }
    ENSURE(!end.writer, "two tasks write to one connection");
    const Time impatient = end.patience.count() > 0 ? full_since + end.patience : Time::never();
    end.writer = &task;
    Wake wake = task.park("write to a connection", std::min(deadline, impatient));
    if (life_.dead()) return life_.refuse(task);
    if (!conn_) return fail(Errc::closed);
    conn_->ends[side_].writer = nullptr;
    if (wake == Wake::stopped) return fail(Errc::stopped);
    if (wake != Wake::timeout) continue;
    if (task.now() >= deadline) return fail(Errc::timeout, "no room in the window before the deadline");
    network_.give_up(*conn_, 1 - side_);
  }
}

// Hands bytes [skip, skip + length) of the pieces to the network as one chunk.
Result<size_t> SimConnection::accept_chunk(std::span<const ByteSpan> pieces, size_t skip, size_t length) {
  SimNetwork::Chunk chunk;
  chunk.bytes = network_.take_buffer();
  chunk.bytes.reserve(length);
  for (ByteSpan piece : pieces) {
    size_t from = std::min(skip, piece.size());
    skip -= from;
    size_t n = std::min(piece.size() - from, length - chunk.bytes.size());
    chunk.bytes.insert(chunk.bytes.end(), piece.begin() + static_cast<std::ptrdiff_t>(from),
                       piece.begin() + static_cast<std::ptrdiff_t>(from + n));
  }
  ENSURE(chunk.bytes.size() == length);
  life_.trace(TraceKind::send, conn_->info.id, length, crc32c(chunk.bytes));
  for (NetworkTap* tap : network_.taps_) tap->on_send(conn_->info, side_ == 0, chunk.bytes);
  network_.find_messages(*conn_, 1 - side_, chunk.bytes);
  network_.fly(*conn_, 1 - side_, std::move(chunk));
  if (life_.pass(CrashPoint::after_send)) return fail(Errc::stopped);
  return length;
}

void SimConnection::close() {
  if (life_.dead() || !conn_) return;
  SimNetwork::Conn& conn = *std::exchange(conn_, nullptr);
  SimNetwork::End& end = conn.ends[side_];
  life_.trace(TraceKind::close, conn.info.id);
  bool unread = !end.received.empty() && !end.reset;
  network_.end_side(conn, side_, unread);
}

void SimConnection::give_up_after(Duration patience) {
  ENSURE(patience.count() > 0);
  if (!life_.dead() && conn_ && network_.options_.has_patience) conn_->ends[side_].patience = patience;
}

// --- SimListener ---------------------------------------------------------------------------------------------------------------

SimListener::SimListener(SimNetwork& network, Life& life, uint32_t host, net::Address local)
    : network_(network), life_(life), host_(host), local_(std::move(local)) {
  network_.hosts_[host_].listeners[local_.port] = this;
}

Result<std::unique_ptr<net::Connection>> SimListener::accept(Task& task) {
  for (;;) {
    if (life_.dead()) return life_.refuse(task);
    if (closed_) return fail(Errc::closed);
    if (!backlog_.empty()) {
      SimNetwork::Conn& conn = *backlog_.pop();
      life_.trace(TraceKind::accept, conn.info.id, conn.info.dialer_node);
      return std::make_unique<SimConnection>(network_, life_, conn, 1);
    }
    ENSURE(!accepter_, "two tasks accept from one listener");
    accepter_ = &task;
    Wake wake = task.park("accept");
    accepter_ = nullptr;
    if (wake == Wake::stopped && !life_.dead()) return fail(Errc::stopped);
  }
}

void SimListener::close() {
  if (life_.dead() || std::exchange(closed_, true)) return;
  network_.hosts_[host_].listeners.erase(local_.port);
  while (!backlog_.empty()) network_.end_side(*backlog_.pop(), 1, true);
  SimNetwork::wake(accepter_);
}

// --- HostNetwork ---------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<net::Listener>> HostNetwork::listen(const net::Address& address) {
  if (life_.dead()) return life_.refuse();
  SimNetwork::Host& host = network_.hosts_[host_];
  bool ours = address.host == host.name || address.host == "0.0.0.0" || address.host == "127.0.0.1" || address.host.empty();
  if (!ours) return fail(Errc::invalid, fmt::format("{} is not an address of {}", net::to_string(address), host.name));
  uint16_t port = address.port;
  if (port == 0) {
    while (host.listeners.contains(host.next_port)) host.next_port = static_cast<uint16_t>(host.next_port + 1) | 0xc000;
    port = host.next_port;
    host.next_port = static_cast<uint16_t>(host.next_port + 1) | 0xc000;
  }
  if (host.listeners.contains(port)) return fail(Errc::busy, fmt::format("port {} of {} is in use", port, host.name));
  life_.trace(TraceKind::listen, port);
  return std::make_unique<SimListener>(network_, life_, host_, net::Address{address.host.empty() ? host.name : address.host, port});
}

Result<std::unique_ptr<net::Connection>> HostNetwork::connect(Task& task, const net::Address& address, Time deadline) {
  if (life_.dead()) return life_.refuse(task);
  TRY(SimNetwork::Conn * conn, network_.dial(task, host_, address));
  life_.trace(TraceKind::connect, conn->info.id, conn->info.acceptor_node, address.port);
  for (;;) {
    Wake wake = task.park("connect", deadline);
    if (life_.dead()) return life_.refuse(task);
    if (conn->state == SimNetwork::Conn::State::established) {
      conn->connector = nullptr;
      return std::make_unique<SimConnection>(network_, life_, *conn, 0);
    }
    bool refused = conn->state == SimNetwork::Conn::State::refused;
    if (!refused && wake == Wake::woken) continue;
    conn->connector = nullptr;
    if (refused) life_.trace(TraceKind::refused, conn->info.id);
    network_.end_side(*conn, 0, true);
    if (refused) return fail(Errc::refused, fmt::format("nobody listens at {}", net::to_string(address)));
    if (wake == Wake::stopped) return fail(Errc::stopped);
    return fail(Errc::timeout, fmt::format("no answer from {}", net::to_string(address)));
  }
}

}  // namespace sg::sim
