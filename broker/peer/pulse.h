// Signs of life on the links of a node. Each end of each link sends something at least four times in a link timeout, and at least four
// times a second: a Ping frame where nothing else was sent. And each end judges for itself: a link on which nothing has arrived for the
// link timeout is closed, and whoever dialed it dials again at once. TCP alone would go on for minutes after the silence has ended, or for
// ever at an end that only listens (net/network.h).
//
// Why it may be closed: nobody relies on a link; what must arrive is sent again by its owner. Silence is no suspicion either: only a link
// that ended and a reconnect that was refused are (broker/peer/control_link.h), so a closed link by itself moves no leadership.
// A node whose own loop stalled reads what has arrived before it judges anybody (broker/stall.h).
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/sync.h"
#include "broker/env.h"

namespace sg::broker::peer {

class LiveConnection;

// The pulse of all links of a node.
class Pulses {
 public:
  Pulses(Env& env, Duration timeout) : env_(env), beat_(std::min(timeout / 4, kLongestBeat)), timeout_(timeout) {}
  ~Pulses();

  // Sends and judges until stopped.
  void run(Task& task);

  // A node of which signs of life are expected from now on.
  void expect(NodeId node) { heard_.try_emplace(node, env_.clock.now()); }
  // The expected nodes from which a sign of life is overdue, as "2 for 1204 ms, 3 for 980 ms"; "" if there are none.
  std::string unheard() const;

 private:
  friend class LiveConnection;

  // A node with a longer timeout than another one's is not silent to it.
  static constexpr Duration kLongestBeat = 250ms;

  Env& env_;
  Duration beat_;  // between two signs of life
  Duration timeout_;
  std::vector<LiveConnection*> links_;
  std::map<NodeId, Time> heard_;  // last, over any link
};

// A connection that notices what passes over it, and on which signs of life leave between the writes of its owner, also while the owner
// is busy elsewhere: a slow disk is no silence.
class LiveConnection final : public net::Connection {
 public:
  explicit LiveConnection(std::shared_ptr<net::Connection> connection);
  ~LiveConnection() override;

  // Takes part in the pulse from now on, until it is destroyed. Before and after, whole frames are written at a time.
  void watch(Pulses& pulses, NodeId peer);

  // It was closed because nothing came: for how long.
  std::optional<Duration> silent() const { return silent_; }

  Result<size_t> read(Task& task, MutableByteSpan into, Time deadline = Time::never()) override;
  using Connection::write;
  Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline = Time::never()) override;
  void close() override { wire_->connection->close(); }
  void give_up_after(Duration patience) override { wire_->connection->give_up_after(patience); }
  net::Address peer() const override { return wire_->connection->peer(); }

 private:
  friend class Pulses;
  // One write at a time. A ping that is being written keeps it alive.
  struct Wire {
    std::shared_ptr<net::Connection> connection;
    bool writing = false;
    bool wrote = false;  // since the last beat
    Signal free;
    Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline);
  };
  void beat(Time now, TaskGroup& pings);

  std::shared_ptr<Wire> wire_;
  Pulses* pulses_ = nullptr;
  NodeId peer_ = kNoNode;
  Time heard_;
  std::optional<Duration> silent_;
};

// A link that ended: the error that ended it, or that nothing came.
Error end_of(const LiveConnection& connection, const Error& error);

}  // namespace sg::broker::peer
