// The peer port: accepts the links that other nodes dial, checks their greeting, and hands frames on. Clients never reach this port,
// so no client can pose as a replica. A link whose greeting names another cluster or another node than this one is refused with a
// reason; a frame that cannot be read ends its link, and so does silence (broker/peer/pulse.h).
#pragma once

#include <functional>
#include <string>

#include "base/sync.h"
#include "broker/env.h"
#include "broker/frame_reader.h"
#include "broker/peer/control_link.h"
#include "broker/peer/refusals.h"

namespace sg::broker::peer {

class PeerEvents {
 public:
  virtual ~PeerEvents() = default;
  // May this process speak for the node that it says it is?  Errc::invalid with the reason, which it is told. Does not suspend.
  virtual Result<> admit(const Hello& hello) = 0;
  // A greeting was accepted: whatever an older run of the node was doing is over. Does not suspend.
  virtual void on_hello(NodeId from, Run run) = 0;
  // The link of an accepted greeting has ended. Does not suspend.
  virtual void on_hello_over(NodeId from, Run run) = 0;
  // Any frame on a control link. Does not suspend. An error ends the link.
  virtual Result<> on_control_frame(NodeId from, Run run, const Frame& frame) = 0;
  // Serves a replication link until it ends.
  virtual Result<> serve_replication(Task& task, LiveConnection& connection, FrameReader& reader, const Hello& hello) = 0;
};

class PeerServer {
 public:
  // At most `max_links` at a time; more are closed at once.
  PeerServer(Env& env, const Identity& identity, PeerEvents& events, Pulses& pulses, size_t max_links);

  // Errc::busy and the like from Network::listen.
  Result<> listen(const net::Address& address);
  net::Address local() const { return listener_->local(); }

  // Accepts and serves until stopped; all links have ended when it returns.
  void run(Task& task);

 private:
  Result<> serve(Task& task, LiveConnection& connection);
  Result<> serve_admitted(Task& task, LiveConnection& connection, FrameReader& reader, const Hello& hello);
  std::string objection(const Hello& hello);
  bool say_greeted(const Hello& hello, const net::Address& from, const std::string& objection);
  void say_refused(Time now, const net::Address& from, const std::string& reason);

  Env& env_;
  const Identity& identity_;
  PeerEvents& events_;
  Pulses& pulses_;
  size_t max_links_;
  size_t links_ = 0;
  Log log_;
  Refusals nodes_;          // that greeted, by run
  Refusals hosts_;          // from which something came that is no greeting
  LogLimiter limiter_{1s};  // for the latter: their reasons may differ each time
  std::unique_ptr<net::Listener> listener_;
};

}  // namespace sg::broker::peer
