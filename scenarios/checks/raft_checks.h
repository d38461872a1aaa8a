// The checks on Raft, from its messages and its journals (correctness.md part 2): E1 one leader per term, E2 a vote is durable when it
// leaves, E3 a leader never rewrites its own log, E4 log matching, E5 what counts as committed is durable on a majority and is never
// changed, E6 a new leader holds everything committed.
//
// It also keeps the ghost's Raft log. An index is committed when a majority durably holds it as an entry that they wrote in the entry's
// own term (Ongaro §3.6.2 and its proof, §3.6.3), or when its leader says so and a majority durably holds it. Whose majority is what the
// configuration says that is in force at that entry, of a joint one both (§4.3): read here from the entries themselves. Whose memory a
// voter id is, is what the machines say in their messages; one whose memory a fault has taken may have promised anything before.
// Invariant: the ghost is never behind what any node may rightly believe to be committed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "broker/raft/messages.h"
#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

class RaftChecks {
 public:
  // on_committed: the ghost's log has grown by this entry. `assumed`: who votes where the log names nobody; null if it does. The references
  // outlive the checks.
  using OnCommitted = std::function<void(LogIndex, raft::EntryKind, ByteSpan data)>;
  using Voters = std::shared_ptr<const raft::Configuration>;
  RaftChecks(const Ledgers& ledgers, RaftGhost& ghost, Judge& judge, OnCommitted on_committed, Voters assumed = nullptr)
      : ledgers_(ledgers), ghost_(ghost), judge_(judge), on_committed_(std::move(on_committed)) {
    if (assumed) committed_voters_[LogIndex(0)] = std::move(assumed);
  }

  // Between two machines, whatever the message says of who sends it and to whom.
  void on_message(MachineId from, MachineId to, const raft::Message& message);
  // The machine acts on what it takes for committed up to `index`. A leader may know so from a voter whose memory is gone since.
  void on_believed(MachineId machine, LogIndex index);
  // The journal of `node` receives an entry, a truncation (to 0: the log is dropped); more of its log is durable.
  void on_append(MachineId node, const LogEntry& entry, raft::EntryKind kind, ByteSpan data);
  void on_truncate(MachineId node, int64_t new_end, const wal::HardState& hard);
  void on_durable();
  // A fault takes what the machine remembers; its ledger tells of it still.
  void forgotten(MachineId machine);
  // Damage that the faults did makes another voter of it, from the segment on that its run has begun.
  void outlived(MachineId machine);
  // Of each set of voters that decides, or may come to decide, a majority still knows what it promised.
  bool majority_remembers() const;
  // Started with an empty directory and told of nobody else, a node forms a cluster of its own: nothing that is said here is about that.
  bool is_elsewhere(MachineId machine) const { return elsewhere_.contains(machine); }
  // A leader has sent the node a snapshot of that index.
  bool was_sent_snapshot(MachineId to, LogIndex index) const { return snapshots_sent_.contains({to, index}); }

 private:
  struct Proposal {
    uint64_t chain = 0;
    raft::EntryKind kind{};
    ByteVec data;
    Voters in_force;  // null: no configuration was read up to here
  };
  // Index and term: together they name one entry and everything before it.
  using Key = std::pair<int64_t, int64_t>;
  using Proposals = std::map<Key, Proposal>;

  void check_candidacy(MachineId from, const raft::Message& m);
  void check_vote(MachineId from, const raft::Message& m, const wal::HardState& vote);
  void check_match(MachineId from, MachineId to, const raft::Message& m, LogIndex match);
  void check_leader(MachineId from, const raft::Message& m);
  void check_commit(MachineId from, const raft::Message& m, LogIndex commit);
  Voters in_force_behind(MachineId node, LogIndex index) const;
  Voters newest_of(MachineId node) const;
  static Voters final_of(const Voters& joint);
  void give_up(MachineId node, int64_t new_end);
  bool joint_is_committed(Proposals::const_iterator entry) const;
  // Whether no other outcome is possible than that the entry is committed, if those for whom `says` holds have it.
  bool is_decided(Proposals::const_iterator entry, const std::function<bool(const raft::Voter&)>& says) const;
  // Whether voters for whom `says` holds are a majority; of nobody if it is not known who votes.
  static bool majority(const Voters& voters, const std::function<bool(const raft::Voter&)>& says);
  bool is_decided(Proposals::const_iterator entry) const;   // those have it that hold it, or did when their memory was taken
  const Ledger* memory_of(const raft::Voter& voter) const;  // null: a fault has taken it, or it has never spoken
  // Its durable log is `chain` up to and including `index`, or was when its memory was taken.
  bool holds(const raft::Voter& voter, LogIndex index, uint64_t chain) const;
  void commit_to(LogIndex index, uint64_t chain);
  bool forms_alone(const LogEntry& entry, raft::EntryKind kind, ByteSpan data) const;

  const Ledgers& ledgers_;
  RaftGhost& ghost_;
  Judge& judge_;
  OnCommitted on_committed_;
  std::map<Term, MachineId> leaders_;
  Proposals proposals_;                    // above the commit index
  std::map<MachineId, size_t> pre_votes_;  // granted to a node, and not used for an election yet
  std::map<MachineId, Term> candidacies_;
  std::map<VoterId, MachineId> speaks_as_;
  std::map<VoterId, LogIndex> given_up_;  // committed, and no longer held by who held it under that id: damage took it
  std::map<MachineId, uint64_t> reborn_;  // the segment since which it is the voter that it is
  std::set<MachineId> elsewhere_;
  std::map<VoterId, DurableLog> gone_;           // what those held whose memory was taken
  std::map<LogIndex, Voters> committed_voters_;  // by the entry that brought them, committed
  std::set<std::pair<MachineId, LogIndex>> snapshots_sent_;
};

}  // namespace sg::scenario
