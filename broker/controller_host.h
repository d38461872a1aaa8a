// Runs the controller core (metadata/controller.h) while this node leads Raft: turns its proposals into Raft entries, tells it what
// became of them, and sends its replies and probes.
// Invariant: the controller is started only when every entry of earlier terms is applied, and stopped before another leader can be
// heard of by its clients here.
#pragma once

#include <map>

#include "base/sync.h"
#include "broker/metadata/controller.h"
#include "broker/metadata_machine.h"
#include "broker/peer/control_link.h"

namespace sg::broker {

// Where replies for this very node go; others get them over their link.
class LocalReplies {
 public:
  virtual ~LocalReplies() = default;
  virtual void on_controller_reply(const metadata::ControllerReply& reply) = 0;
  virtual void on_heartbeat_reply(const metadata::HeartbeatReply& reply) = 0;
};

class ControllerHost {
 public:
  // The references outlive the host.
  ControllerHost(Env& env, const metadata::Catalogue& catalogue, metadata::ControllerOptions options, const peer::Identity& identity,
                 RaftDriver& raft, peer::ControlLinks& links, LocalReplies& local);

  // Wakes the controller at its deadlines until stopped.
  void run(Task& task);

  void on_request(NodeId from, metadata::ControllerRequest request);
  void on_heartbeat(const metadata::Heartbeat& heartbeat);
  void on_alive(NodeId node, Run run);
  void on_suspicion(NodeId node, Run run);
  void on_probe_refused(NodeId node);
  void on_voters(metadata::Voters voters) { controller_.on_voters(std::move(voters)); }

  void on_raft_change(const raft::StateChange& change);
  void on_entry_applied(LogIndex index, Term term, const Result<metadata::Applied>& outcome);

  bool active() const { return controller_.active(); }
  size_t proposals() const { return proposed_.size() + controller_.waiting(); }

 private:
  struct Proposed {
    metadata::Token token;
    Term term;
  };
  void feed(metadata::ControllerOutput output);
  void inquire(const metadata::Inquiry& inquiry);

  Env& env_;
  Log log_;
  NodeId self_;
  const peer::Identity& identity_;
  RaftDriver& raft_;
  peer::ControlLinks& links_;
  LocalReplies& local_;
  metadata::Controller controller_;
  std::map<LogIndex, Proposed> proposed_;
  Time armed_ = Time::never();
  Signal earlier_;
  TaskGroup* inquiries_ = nullptr;  // while run() does
};

}  // namespace sg::broker
