// One client's connection: requests come in pipelined, answers leave in the order of their requests, whatever completes first
// (kafka-api.md, mistake 6). A request that is answered later (acks=all, long poll) holds its place in the order; those behind it are
// already being worked on, unless they need a task: then they wait until it is their turn to answer, as every request does in Kafka.
//
// What a client can make the node hold is bounded: requests in flight and their bytes, one task of work, large frames that are still
// arriving, and answers that it does not take. The last two depend on the client alone, so whoever serves it may end a connection that has
// been idle, or keeps the node waiting, for too long (waits_for_client_since, idle_since).
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "base/sync.h"
#include "broker/config.h"
#include "broker/frame_reader.h"

namespace sg::broker {

class ClientConnection;

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
  size_t answer_bytes_ = 0;
  std::vector<SharedBytes> pieces_;
  ClientConnection* connection_ = nullptr;  // null once it has ended
};

// Counts what all connections of the node hold together.
struct InFlight {
  size_t bytes = 0;             // requests that are not answered
  size_t unfinished_bytes = 0;  // large requests that are still arriving
  size_t answer_bytes = 0;      // answers that their clients have not taken, and those that are being put together
  size_t connections = 0;
  // What the journal has yet to write. A request that was answered because its time ran out is still in there.
  std::function<size_t()> queued_bytes = [] { return size_t{0}; };
  Signal freed;

  size_t held_bytes() const { return bytes + queued_bytes(); }
};

class ClientConnection : private FrameRoom {
 public:
  // Handles one request frame: completes the slot now or later. May not suspend; work that must wait is spawned into `tasks`.
  // An error ends the connection (a request that cannot be parsed at all).
  using Dispatch = std::function<Result<>(ClientConnection&, SharedBytes frame, std::shared_ptr<ResponseSlot> slot)>;

  ClientConnection(std::shared_ptr<net::Connection> connection, const Config::Limits& limits, InFlight& in_flight, Scheduler& scheduler);

  // Serves until the client goes, breaks the protocol, or the task is stopped. The reason is in the error.
  Result<> run(Task& task, const Dispatch& dispatch);

  // Runs `body` as a task when all requests before this slot's have been answered. It is stopped when the connection ends, or never begun.
  void spawn_in_turn(std::shared_ptr<ResponseSlot> slot, std::string name, TaskBody body);

  // Ends the connection from outside: run() returns soon.
  void end();
  net::Address peer() const { return connection_->peer(); }

  // Since when no request has come and no answer was taken.
  Time idle_since() const;
  // Memory that is held until the client sends or takes more, and since when; never() and 0 if it is the client that waits.
  Time waits_for_client_since() const { return std::min(unfinished_since_, writing_since_); }
  size_t bytes_held_for_client() const { return unfinished_bytes_ + (writing_since_ == Time::never() ? 0 : answer_bytes_); }

 private:
  friend class ResponseSlot;
  friend class AnswerRoom;
  struct Work {
    std::shared_ptr<ResponseSlot> slot;
    std::string name;
    TaskBody body;
  };

  Result<> read_loop(Task& task, const Dispatch& dispatch);
  void write_loop(Task& task);
  void begin_work();
  bool answers_pile_up() const;
  Result<> reserve(Task& task, size_t bytes) override;
  void release() override;

  std::shared_ptr<net::Connection> connection_;
  const Config::Limits& limits_;
  InFlight& in_flight_;
  FrameReader reader_;
  TaskGroup tasks_;
  std::deque<std::shared_ptr<ResponseSlot>> pending_;
  std::deque<Work> work_;  // of slots in pending_, in their order
  size_t in_flight_bytes_ = 0;
  size_t unfinished_bytes_ = 0;
  size_t answer_bytes_ = 0;
  Time active_at_;                         // a request was read, or an answer taken
  Time unfinished_since_ = Time::never();  // a large frame has begun to arrive
  Time writing_since_ = Time::never();     // an answer is being written
  Signal changed_;                         // a slot was completed, or the connection ends
  Signal drained_;                         // the writer made room
  bool ended_ = false;
};

// Memory for an answer that is being put together; counted like answers that wait for their client, and given back at its end.
class AnswerRoom {
 public:
  explicit AnswerRoom(const ClientConnection& connection) : in_flight_(connection.in_flight_), limits_(connection.limits_) {}
  AnswerRoom(const AnswerRoom&) = delete;
  AnswerRoom& operator=(const AnswerRoom&) = delete;
  ~AnswerRoom() { hold(0); }

  // Waits until the node holds less than its bound.  Errc::stopped.
  Result<> wait(Task& task);
  // How much may still be held without exceeding the bound.
  size_t left() const { return limits_.node_max_answer_bytes - std::min(limits_.node_max_answer_bytes, in_flight_.answer_bytes); }
  // From now on this answer holds `bytes` in all.
  void hold(size_t bytes);

 private:
  InFlight& in_flight_;
  const Config::Limits& limits_;
  size_t held_ = 0;
};

}  // namespace sg::broker
