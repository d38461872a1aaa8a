// One client's connection: requests come in pipelined, answers leave in the order of their requests, whatever completes first
// (kafka-api.md, mistake 6). A request that is answered later (acks=all, long poll) holds its place in the order; those behind it are
// already being worked on. What a client can make the node hold is bounded: requests in flight and their bytes.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "base/sync.h"
#include "broker/config.h"
#include "broker/frame_reader.h"

namespace sg::broker {

// The place of one answer in its connection's order. Whoever answers keeps it alive; an answer to a connection that has ended is
// dropped.
class ResponseSlot {
 public:
  // The whole frame, its length included, as runs of bytes. Exactly once.
  void complete(std::vector<SharedBytes> pieces);
  // Nothing is to be sent for this request (acks=0). Exactly once, instead of complete().
  void complete_without_answer() { complete({}); }
  bool completed() const { return completed_; }

 private:
  friend class ClientConnection;
  bool completed_ = false;
  size_t request_bytes_ = 0;
  std::vector<SharedBytes> pieces_;
  Signal* changed_ = nullptr;  // the connection's; null once it has ended
};

// Counts what all connections of the node hold together.
struct InFlight {
  size_t bytes = 0;  // of requests that are not answered
  size_t connections = 0;
  // What the journal has yet to write. A request that was answered because its time ran out is still in there.
  std::function<size_t()> queued_bytes = [] { return size_t{0}; };
  Signal freed;

  size_t held_bytes() const { return bytes + queued_bytes(); }
};

class ClientConnection {
 public:
  // Handles one request frame: completes the slot now or later. May not suspend; work that must wait is spawned into `tasks`.
  // An error ends the connection (a request that cannot be parsed at all).
  using Dispatch = std::function<Result<>(ClientConnection&, SharedBytes frame, std::shared_ptr<ResponseSlot> slot)>;

  ClientConnection(std::shared_ptr<net::Connection> connection, const Config::Limits& limits, InFlight& in_flight, Scheduler& scheduler);

  // Serves until the client goes, breaks the protocol, or the task is stopped. The reason is in the error.
  Result<> run(Task& task, const Dispatch& dispatch);

  // Children that serve waiting requests of this connection; they are stopped when it ends.
  TaskGroup& tasks() { return tasks_; }
  net::Address peer() const { return connection_->peer(); }

 private:
  Result<> read_loop(Task& task, const Dispatch& dispatch);
  void write_loop(Task& task);

  std::shared_ptr<net::Connection> connection_;
  const Config::Limits& limits_;
  InFlight& in_flight_;
  FrameReader reader_;
  TaskGroup tasks_;
  std::deque<std::shared_ptr<ResponseSlot>> pending_;
  size_t in_flight_bytes_ = 0;
  Signal changed_;  // a slot was completed, or the connection ends
  Signal drained_;  // the writer made room
  bool ended_ = false;
};

}  // namespace sg::broker
