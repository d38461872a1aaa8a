// Runs the formation core (raft/formation.h) of this node: keeps its state in the journal, carries its messages over the control links, and
// lets Raft begin when a cluster is formed.
//
// In the journal its state is the last entry of stream kRaftFormation. Invariant: what was promised is durable before it is said; the
// cluster id is in the directory before Raft's log begins.
#pragma once

#include <deque>

#include "base/sync.h"
#include "broker/config.h"
#include "broker/env.h"
#include "broker/peer/control_link.h"
#include "broker/raft/formation.h"
#include "broker/raft_driver.h"
#include "broker/wal/journal.h"

namespace sg::broker {

class FormationHost {
 public:
  // `recovered` is what recover() found. The references outlive the host; `identity` gets the cluster's id when it is formed.
  FormationHost(Env& env, const Config& config, raft::FormationState recovered, peer::Identity& identity, wal::Journal& journal,
                peer::ControlLinks& links, RaftDriver& raft);

  // What was promised, if that still matters: who holds an entry is formed. A promise that cannot be read any more is none of
  // this directory, which goes on under another voter id. The journal has been opened and not started.  Errc::io.
  static Result<raft::FormationState> recover(Task& task, wal::Journal& journal, const raft::Recovered& raft);

  // Until the cluster is formed, or stopped. Errc::io, Errc::invalid: the cluster's id could not be kept.
  Result<> run(Task& task);

  Result<> on_frame(NodeId from, const peer::Frame& frame);
  void on_durable(uint64_t metadata_ticket);

 private:
  void note_raft();
  void feed(raft::Formation::Output output);
  void persist(const raft::FormationState& state);

  Env& env_;
  Log log_;
  peer::Identity& identity_;
  wal::Journal& journal_;
  peer::ControlLinks& links_;
  RaftDriver& raft_;
  raft::Formation core_;
  std::deque<uint64_t> tickets_;  // of steps that are not durable
  std::optional<raft::Promise> formed_;
  bool settled_ = false;  // Raft's own streams tell that this node is formed
  Signal wake_;
};

}  // namespace sg::broker
