// Drives the Raft core (raft/raft.h): persists its steps through the journal, sends its messages over the control links, hands
// committed entries to the state machine above, and wakes it at its deadlines.
// How Raft lies in the journal, and what a start makes of it: raft_recovery.h.
// Invariant: steps reach the journal in the order of their sequence, so that durability is reported in that order as well.
#pragma once

#include <deque>
#include <optional>
#include <span>

#include "broker/env.h"
#include "broker/peer/control_link.h"
#include "broker/raft/raft.h"
#include "broker/wal/journal.h"

namespace sg::broker {

// The state machine above Raft. Calls do not suspend; they may propose.
class RaftMachine {
 public:
  virtual ~RaftMachine() = default;
  virtual void apply(const raft::Entry& entry) = 0;
  virtual void restore(const raft::Snapshot& snapshot) = 0;
  virtual void on_raft_change(const raft::StateChange& change) = 0;
  // Another configuration is in force here: RaftDriver::core() tells.
  virtual void on_configuration() = 0;
  // The leader has counted more from this directory than there is.
  virtual void on_distrusted() = 0;
  // After the entries of one step were applied.
  virtual void applied_all() = 0;
  virtual ByteVec take_snapshot() const = 0;
};

class RaftDriver {
 public:
  RaftDriver(Env& env, raft::Config config, raft::Recovered recovered, wal::Journal& journal, peer::ControlLinks& links,
             RaftMachine& machine, int64_t snapshot_every);

  void start();
  // Wakes the core at its deadlines until stopped.
  void run(Task& task);

  // Errc::unavailable: this node does not lead, or is handing leadership over.
  Result<raft::Proposed> propose(std::span<const SharedBytes> commands);

  Result<> on_frame(NodeId from, const peer::Frame& frame);
  void on_durable(uint64_t metadata_ticket);
  void on_link_up(NodeId node, Run run);
  void suspect(NodeId node, Run run);
  void transfer_leadership();
  void bootstrap(const raft::Configuration& configuration);
  void assume(const raft::Configuration& configuration);
  void registered(const raft::Voter& voter);

  const raft::Raft& core() const { return raft_; }

 private:
  struct Step {
    uint64_t sequence;
    uint64_t ticket;
  };
  void feed(raft::Output output);
  void perform(raft::Output& output);
  void persist(const raft::Persist& step);
  void maybe_snapshot();

  Env& env_;
  Log log_;
  wal::Journal& journal_;
  peer::ControlLinks& links_;
  RaftMachine& machine_;
  int64_t snapshot_every_;
  raft::Raft raft_;
  std::deque<raft::Output> outputs_;
  bool feeding_ = false;
  LogIndex configuration_index_;
  bool configuration_known_ = false;
  std::deque<Step> steps_;  // handed to the journal, not yet durable
  uint64_t last_ticket_ = 0;
  Time armed_ = Time::never();
  Signal earlier_;
};

}  // namespace sg::broker
