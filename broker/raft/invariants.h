// Checks the invariants of a Raft state, and of the transition that led to it, after every event (after LogCabin's
// RaftConsensusInvariants). It keeps a shadow of the disk, made from the `persist` steps alone, so that what a message promises is
// compared with what is durable and not with what the core believes to be durable.
//
// One instance follows one run of one node, from its start(). Its cost per event is proportional to what the event wrote.
#pragma once

#include <deque>
#include <map>

#include "base/result.h"
#include "broker/raft/raft.h"

namespace sg::raft {

// The durable state that a sequence of Persist steps leaves; also what a test restarts a node from.
class ShadowDisk {
 public:
  ShadowDisk() = default;
  explicit ShadowDisk(const Recovered& recovered);

  void write(const Persist& step);

  const HardState& hard_state() const { return hard_; }
  const Snapshot& snapshot() const { return snapshot_; }
  LogIndex last_index() const { return entries_.empty() ? snapshot_.index : std::max(snapshot_.index, entries_.rbegin()->first); }
  // Whether `index` of `term` is here: as an entry, or below the snapshot.
  bool holds(LogIndex index, Term term) const;
  Recovered recover() const;

 private:
  HardState hard_;
  Snapshot snapshot_;
  std::map<LogIndex, Entry> entries_;
};

class Invariants {
 public:
  // What the node was started from.
  explicit Invariants(const Recovered& recovered) : disk_(recovered) {}

  // After every event, with its output.  Errc::invalid with the invariant that does not hold.
  Result<> check(const Raft& raft, const Output& output);

  // What is durable as of the last check.
  const ShadowDisk& disk() const { return disk_; }

 private:
  struct Seen {
    HardState hard;
    Role role = Role::follower;
    LogIndex commit;
    LogIndex last_index;
    LogIndex applied;
    uint64_t sequence = 0;
  };
  Result<> check_state(const Raft& raft) const;
  Result<> check_transition(const Raft& raft, const Output& output) const;
  Result<> check_persist(const Raft& raft, const Output& output);
  Result<> check_configuration(const Raft& raft) const;
  Result<> check_committed(const Raft& raft, const Output& output) const;
  Result<> check_message(const Raft& raft, const Message& m) const;

  ShadowDisk disk_;
  std::deque<Persist> not_durable_;
  std::optional<Seen> before_;
};

}  // namespace sg::raft
