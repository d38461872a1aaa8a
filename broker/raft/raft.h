// Raft, the consensus of the cluster catalogue, as a function of events. Source: D. Ongaro, "Consensus: Bridging Theory and Practice"
// (2014); "§" cites it. No I/O, clock, thread or callback: every event carries the time and returns an Output that owns its data.
//
// The shell's duties
//   1. Call start() first. Hand each Output's `persist` to the journal in order of `sequence`; they become durable in that order.
//      Report with durable(sequence), which vouches for all before it. Do not wait in between.
//   2. Send `messages` at once. A promise that is not yet durable is not among them: the core holds it back until durable() comes.
//      Messages may be lost, delayed, repeated or reordered.
//   3. Apply `restore`, then `committed`, in order. 4. Log `changes`.
//   5. Call tick(now) when deadline() has come. deadline() may change with every event.
//
// Invariant: what this node has promised (a vote, an acknowledged index, its own vote for itself, its own copy as a leader) is durable.
//
// Damaged or wiped voters (Recovered::may_vote == false; not in the dissertation, which assumes that storage is never lost). Such a
// voter may have forgotten a vote or entries that it acknowledged. It is *barred*: it neither votes nor stands for election, and its
// acknowledgements do not count, until within one term T
//   (a) every other voter has addressed this run at least once. Whoever got a forgotten vote for a term U had U durable before it
//       asked, so having heard it means T >= U: no forgotten vote belongs to a term after T. (A probe, a pre-vote that is never acted
//       upon, asks them.) And
//   (b) a leader of T has said to this run that its commit index is c, c is an entry of T, and the log up to c is durable here.
//       The leader forgets what a run has acknowledged when it learns of a newer one, so c was committed, or had been before
//       the leader knew, without any acknowledgement still under way, and everything that rests on a forgotten one is below c.
// Then its vote in T becomes the leader it follows (nobody else can win T) and it is a voter again once that is durable. While it is
// barred its durable vote is kBarredVote, so a restart in between finds it barred. It cannot tell when a second voter forgets as well.
//
// Later, and where: joint consensus (ch. 4) generalises quorum.h and Config; read-index (§6.4) uses the heartbeat round of
// replication.cc; chunks of snapshots (ch. 5) have their fields in InstallSnapshot.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "broker/raft/log.h"
#include "broker/raft/messages.h"
#include "broker/raft/progress.h"

namespace sg::raft {

// The vote of a voter that is barred (see above). Recovered as it is, it bars again.
inline constexpr NodeId kBarredVote{-2};

struct Config {
  NodeId self;
  Run run;                        // of this run; greater than that of every earlier run of this node
  std::vector<NodeId> voters;     // fixed: 1, 3, 5 or 7 of them
  std::vector<NodeId> observers;  // follow the log, never vote; see set_observers()
  Duration heartbeat_interval = 100ms;
  Duration election_timeout_min = 500ms;  // §3.4: drawn anew for each wait
  Duration election_timeout_max = 1000ms;
  // Spreads elections that follow a suspicion or a refused vote; doubled with each attempt, up to the election timeout.
  Duration suspicion_delay_max = 20ms;
  ProgressLimits limits;
  int64_t kept_behind_snapshot = 1000;  // entries kept in memory behind a snapshot, for followers that are a little late
};

// What recovery found. Everything in it is durable.
struct Recovered {
  Term term;
  NodeId vote = kNoNode;
  std::optional<Snapshot> snapshot;
  std::vector<Entry> entries;  // contiguous; those up to the snapshot's index are ignored
  bool may_vote = true;        // false: damage, or storage lost since this voter last took part
};

enum class Role : uint8_t { follower, pre_candidate, candidate, leader };
std::string_view to_string(Role role);

struct HardState {
  Term term;
  NodeId vote = kNoNode;
  bool operator==(const HardState&) const = default;
};

// One atomic step of the durable state, in this order: hard state, snapshot, truncation, entries.
struct Persist {
  uint64_t sequence = 0;  // 1, 2, 3, … without gaps within a run
  std::optional<HardState> hard_state;
  // Supersedes every entry up to its index, which may be recycled once it is durable.
  std::optional<Snapshot> snapshot;
  // From here on nothing is left. The next entry has exactly this index, which lies beyond the old end when a snapshot replaced the log.
  std::optional<LogIndex> truncate_from;
  std::vector<Entry> entries;
};

// Tells the shell and the log what has changed: the state after the event.
struct StateChange {
  Role role = Role::follower;
  Term term;
  NodeId leader = kNoNode;
  std::string reason;
};

// Commands [first, first + count) are in the log of this leader under `term`. They are committed when `committed` brings these indexes
// with that term; when it brings them with another term, or the role ends, nobody knows until then.
struct Proposed {
  Term term;
  LogIndex first;
  int64_t count = 0;
};

struct Output {
  std::optional<Persist> persist;
  std::vector<Message> messages;
  std::optional<Snapshot> restore;  // replaces the state machine; comes before `committed`
  std::vector<Entry> committed;     // to apply, in order, no-ops included; each index once per run
  std::vector<StateChange> changes;
  std::optional<Proposed> proposed;  // propose(): absent = refused, ask the leader
};

class Raft {
 public:
  Raft(Config config, Recovered recovered, Rng rng);

  // Events. `now` never goes back.

  // The first. Restores the recovered snapshot; a single voter stands for election at once.
  Output start(Time now);
  // Messages for another node, from an unknown node, or of an older run of the sender are dropped.
  Output receive(Time now, Message message);
  // A batch of commands, as one append. Refused unless this node leads and is not handing over.
  Output propose(Time now, std::span<const SharedBytes> commands);
  // Persist steps up to `sequence` are durable. Repetitions are harmless.
  Output durable(Time now, uint64_t sequence);
  // deadline() has come. Harmless when it has not.
  Output tick(Time now);
  // The process `run` of `node` seems to be dead (architecture, Failure detection). Forgets that a leader there was heard; an
  // election still needs a majority that has forgotten it. Counts once per run.
  Output suspect(Time now, NodeId node, Run run);
  // A link to this run of `node` stands: what was lost on the old one is sent again without waiting.
  Output link_up(Time now, NodeId node, Run run);
  // §3.10. Hands leadership to `target`, or to the voter that is furthest (kNoNode). New proposals are refused until it is done or an
  // election timeout has passed. Nothing happens where this node does not lead or nobody can take over; see transferring().
  Output transfer_leadership(Time now, NodeId target = kNoNode);
  // The state machine's state as of `index`, already applied here and newer than the last snapshot.
  Output snapshot_taken(Time now, LogIndex index, SharedBytes data);
  // Replaces the set of observers. It counts while this node leads and is kept for later terms.
  Output set_observers(Time now, std::vector<NodeId> observers);

  // When tick() is wanted; never() if nothing is awaited.
  Time deadline() const;

  // State, for the shell, for invariants and for people.
  const Config& config() const { return config_; }
  Role role() const { return role_; }
  Term term() const { return hard_.term; }
  NodeId vote() const { return hard_.vote; }
  NodeId leader() const { return leader_; }  // kNoNode = unknown
  bool is_leader() const { return role_ == Role::leader; }
  bool barred() const { return barred_; }
  bool transferring() const { return transfer_target_ != kNoNode; }
  LogIndex commit() const { return commit_; }
  LogIndex applied() const { return applied_; }  // handed out in `committed` or `restore`
  LogIndex durable_index() const { return durable_index_; }
  uint64_t durable_sequence() const { return durable_sequence_; }
  uint64_t last_sequence() const { return sequence_; }
  const Log& log() const { return log_; }
  const Snapshot& snapshot() const { return snapshot_; }
  // Of each follower, while this node leads.
  const std::map<NodeId, Progress>& progress() const { return progress_; }
  Run run_of(NodeId node) const;  // the newest known; none if there is none

 private:
  struct PendingWrite {
    uint64_t sequence;
    LogIndex log_end;  // the last index once it is durable
  };
  struct HeldMessage {
    uint64_t sequence;  // leaves when this is durable
    Message message;
  };

  // raft.cc: the frame of every event, and what the rules share.
  void begin(Time now);
  Output end();
  bool admit(const Message& message);
  bool note_run(NodeId node, Run run);
  void dispatch(Message& message);
  void set_hard_state(Term term, NodeId vote);
  Persist& persist();
  void append_to_log(std::vector<Entry> entries);
  void truncate_log(LogIndex from);
  void send(NodeId to, MessageBody body, uint64_t after_sequence = 0);
  void report(std::string reason);
  void set_commit(LogIndex index);
  void hand_out_committed();
  bool is_voter(NodeId node) const;
  bool is_peer(NodeId node) const;
  size_t quorum() const { return config_.voters.size() / 2 + 1; }

  // election.cc
  void become_follower(Term term, NodeId leader, std::string reason);
  void become_pre_candidate(std::string reason);
  void become_candidate(bool transfer, std::string reason);
  void become_leader();
  void count_votes();
  void ask_for_vote(NodeId node);
  void on_request_vote(const Message& m, const RequestVote& r);
  void on_request_vote_reply(const Message& m, const RequestVoteReply& r);
  void on_timeout_now(const Message& m);
  bool protects_leader() const;
  bool log_is_up_to_date(LogIndex last_index, Term last_term) const;
  void forget_leader();
  void hasten_election();
  void reset_election_deadline();
  void on_election_deadline();

  // readmission.cc
  void probe_voters();
  void maybe_readmit();

  // follower.cc
  void follow(NodeId leader);
  void on_append_entries(const Message& m, AppendEntries& r);
  void refuse_append(NodeId leader, LogIndex rejected);
  void accept_entries(std::vector<Entry> entries);
  void acknowledge(bool even_if_unchanged);
  void on_install_snapshot(const Message& m, InstallSnapshot& r);

  // leader.cc
  void on_append_entries_reply(const Message& m, const AppendEntriesReply& r);
  void on_install_snapshot_reply(const Message& m, const InstallSnapshotReply& r);
  void add_follower(NodeId node);
  void note_match(NodeId node, LogIndex match, bool counts);
  void advance_commit();
  void replicate();
  void replicate_to(NodeId node, Progress& p);
  void send_append(NodeId node, Progress& p, size_t max_entries);
  void send_snapshot(NodeId node, Progress& p);
  void send_heartbeats();
  bool answers(const Progress& p) const;
  Time quorum_contact() const;
  void check_quorum();
  void maybe_send_timeout_now();

  Config config_;
  Rng rng_;
  Time now_;
  bool started_ = false;
  Output out_;

  // Durable state and how far it is durable.
  HardState hard_;
  Log log_;
  Snapshot snapshot_;  // index 0 = none
  bool barred_ = false;
  uint64_t sequence_ = 0;
  uint64_t durable_sequence_ = 0;
  uint64_t hard_state_sequence_ = 0;  // the step that made hard_ durable
  LogIndex durable_index_;            // the log is durable up to here
  std::deque<PendingWrite> pending_;
  std::deque<HeldMessage> held_;

  // Volatile state of every node.
  Role role_ = Role::follower;
  NodeId leader_ = kNoNode;
  LogIndex commit_;
  LogIndex applied_;
  std::map<NodeId, Run> runs_;
  std::map<NodeId, Run> suspected_;
  bool leader_heard_ = false;
  Time leader_contact_;  // when, if leader_heard_
  Time election_deadline_ = Time::never();

  // Of a follower: how far its log is known to equal the log of this term's leader, and what it has told that leader.
  LogIndex verified_;
  LogIndex acknowledged_;

  // Of a barred voter.
  std::set<NodeId> heard_voters_;
  LogIndex leader_commit_to_me_;  // the greatest commit of this term's leader that was addressed to this run

  // Of a candidate.
  std::map<NodeId, bool> votes_;
  bool transfer_election_ = false;
  int attempts_ = 0;  // since a leader was last heard
  uint64_t own_vote_sequence_ = 0;

  // Of a leader.
  std::map<NodeId, Progress> progress_;
  Time heartbeat_deadline_;
  LogIndex term_start_;  // its no-op
  NodeId transfer_target_ = kNoNode;
  Time transfer_deadline_;
  bool timeout_now_sent_ = false;
};

}  // namespace sg::raft
