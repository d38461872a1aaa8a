// The control connections of a node: one dialed link per other node, over which it sends Raft messages, heartbeats and controller
// requests; what it receives comes over the links that the others dialed. Sending never waits and promises nothing: whatever must
// arrive is sent again by its owner.
//
// Suspicion (architecture §5): an established link to a run ended, and a reconnect to where it stood was refused. The process is
// gone, and its host says so; nobody needs to wait for a timeout. That nobody listens at another of a node's addresses says nothing.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "base/sync.h"
#include "broker/config.h"
#include "broker/env.h"
#include "broker/frame_reader.h"
#include "broker/metadata/claim.h"
#include "broker/peer/frame.h"
#include "broker/peer/pulse.h"
#include "broker/peer/refusals.h"

namespace sg::broker::peer {

// Who this process is, for every Hello it sends.
struct Identity {
  NodeId node;
  Run run;
  Uuid cluster_id{};  // zero until the catalogue tells
  uint64_t lineage = 0;
  VoterId voter{};
  net::Address address{};  // of the peer port
};

// What a node wants to know of its links. Calls do not suspend.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  // `run` answered for `node` at `address`. Errc::invalid: it is not the one that bears the node's id; the link is not used.
  virtual Result<> on_link_up(NodeId node, Run run, VoterId voter, const net::Address& address) = 0;
  // `run` answered for `node` at `address`, of no other cluster or history than this node, and refused it. Who refuses is there all the
  // same: two nodes that each know the other by a former disk would refuse each other until a session is over.
  virtual void on_refused_by(NodeId node, Run run, VoterId voter, const net::Address& address) = 0;
  virtual void on_link_down(NodeId node, Run run) = 0;
  virtual void on_suspicion(NodeId node, Run run) = 0;
  // The host at one of its addresses says that nobody listens there.
  virtual void on_nobody_at(NodeId node, const net::Address& address) = 0;
  // A probe of a node to which this process never had a link was refused, at all of its addresses.
  virtual void on_probe_refused(NodeId node) = 0;
};

// A link whose greeting was accepted.
struct Greeted {
  std::unique_ptr<LiveConnection> connection;
  std::unique_ptr<FrameReader> reader;  // of what the other end says next; it may have begun
  Run run;                              // of the node that answered
  VoterId voter;
  net::Address address;  // at which it did
};

class ControlLinks {
 public:
  // `identity` is read anew at each Hello. The references outlive the links.
  ControlLinks(Env& env, const Identity& identity, LinkEvents& events, Pulses& pulses);
  ~ControlLinks();

  // Starts a dialer towards a node that is to be found at one of these addresses. They are tried in turn; where one is silent for
  // kReachStep, the others are tried beside it, so that an address that leads nowhere any more costs no more than that. Of a node that is
  // known: replaces its addresses.
  void add(TaskGroup& tasks, NodeId node, std::vector<net::Address> addresses);

  // Finds out at once whether a node without a link is there: on_link_up, on_suspicion or on_probe_refused follows unless there is
  // silence. A node with a link shows by its traffic that it lives.
  void probe(NodeId node);

  // Connects anew to `address`, and says who answers there, whether it accepts the greeting or not.  Errc::timeout, Errc::refused and the
  // like.
  Result<metadata::Answer> inquire(Task& task, NodeId node, const net::Address& address);

  // Queues a frame. Dropped when the link is down or its queue is full.
  void send(NodeId to, FrameKind kind, ByteSpan metadata);

  // Those of the added nodes that have fallen silent, and for how long (Pulses::unheard).
  std::string unheard() const { return pulses_.unheard(); }

  // From now on nothing leaves any more, not even what is queued.
  void silence();

 private:
  struct Link;
  Link* find(NodeId node);
  void dial_loop(Task& task, Link& link);
  // One greeting. Errc::invalid: it was refused.
  Result<Greeted> greet_at(Task& task, NodeId node, const net::Address& address, Time deadline);
  Result<Greeted> dial_any(Task& task, const Link& link);
  void note_refused(Link& link, const net::Address& address);
  Result<> run_link(Task& task, Link& link, Greeted& greeted);

  Env& env_;
  const Identity& identity_;
  LinkEvents& events_;
  Pulses& pulses_;
  Log log_;
  Refusals refusals_;
  std::vector<std::unique_ptr<Link>> links_;
  bool silent_ = false;
};

// Dials, greets and checks the answer: the first exchange of either kind of link.
// Errc::invalid: refused, or another node answered; the text says which.
Result<Greeted> dial(Task& task, Env& env, const Identity& identity, NodeId to, const net::Address& address, LinkKind kind, Time deadline);

}  // namespace sg::broker::peer
