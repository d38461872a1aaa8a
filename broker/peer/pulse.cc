#include "broker/peer/pulse.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/probe.h"
#include "broker/peer/frame.h"
#include "broker/stall.h"

namespace sg::broker::peer {

// --- Pulses ----------------------------------------------------------------------------------------------------------------------

Pulses::~Pulses() { ENSURE(links_.empty(), "{} links outlive their pulse", links_.size()); }

void Pulses::run(Task& task) {
  TaskGroup pings(task.scheduler());
  while (!task.stopping()) {
    const Time due = task.now() + beat_;
    if (!task.sleep_until(due) || !drain_after_stall(task, due)) break;
    for (LiveConnection* link : links_) link->beat(task.now(), pings);
  }
  pings.stop();
  pings.join(task);
}

std::string Pulses::unheard() const {
  std::string out;
  const Time now = env_.clock.now();
  for (const auto& [node, heard] : heard_)
    if (now - heard > beat_ + beat_ / 2) out += fmt::format("{}{} for {} ms", out.empty() ? "" : ", ", node, (now - heard) / 1ms);
  return out;
}

// --- LiveConnection --------------------------------------------------------------------------------------------------------------

LiveConnection::LiveConnection(std::shared_ptr<net::Connection> connection) : wire_(std::make_shared<Wire>()) {
  wire_->connection = std::move(connection);
}

LiveConnection::~LiveConnection() {
  close();
  if (pulses_) std::erase(pulses_->links_, this);
}

void LiveConnection::watch(Pulses& pulses, NodeId peer) {
  ENSURE(!pulses_, "a link has one pulse");
  pulses_ = &pulses;
  peer_ = peer;
  heard_ = pulses.env_.clock.now();
  pulses.links_.push_back(this);
  give_up_after(pulses.timeout_);
}

// Does not suspend: whoever waits at the connection is woken, and runs later.
void LiveConnection::beat(Time now, TaskGroup& pings) {
  if (silent_) return;
  if (now - heard_ >= pulses_->timeout_) {
    REACHED("peer: a silent link was closed");
    silent_ = now - heard_;
    return close();
  }
  // What is being written is sign enough, and a ping would wait behind it.
  const bool due = !std::exchange(wire_->wrote, false) && !wire_->writing;
  if (!due) return;
  pings.spawn("ping", [wire = wire_](Task& task) {
    const ByteVec frame = encode_head(FrameKind::ping, {}, 0);
    const ByteSpan piece = frame;
    (void)wire->write(task, {&piece, 1}, Time::never());  // its failure is the reader's to see
    wire->wrote = false;
  });
}

Result<size_t> LiveConnection::read(Task& task, MutableByteSpan into, Time deadline) {
  Result<size_t> n = wire_->connection->read(task, into, deadline);
  if (n && *n > 0 && pulses_) pulses_->heard_[peer_] = heard_ = task.now();
  return n;
}

Result<> LiveConnection::write(Task& task, std::span<const ByteSpan> pieces, Time deadline) { return wire_->write(task, pieces, deadline); }

Result<> LiveConnection::Wire::write(Task& task, std::span<const ByteSpan> pieces, Time deadline) {
  while (writing) TRY_DO(free.wait(task, deadline, "a ping to leave"));
  wrote = writing = true;
  Result<> written = connection->write(task, pieces, deadline);
  writing = false;
  free.notify_all();
  return written;
}

Error end_of(const LiveConnection& connection, const Error& error) {
  if (!connection.silent()) return error;
  return Error{Errc::timeout, fmt::format("nothing came for {} ms", *connection.silent() / 1ms)};
}

}  // namespace sg::broker::peer
