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
// Who votes is in the log (configuration.h). A voter is (node id, voter id): a node that lost its disk, or whose recovery found damage in
// what Raft had promised, takes part under another voter id, follows the log like anybody, and counts for nothing until a change has put
// it into the configuration. The leader proposes that change by itself (registered()), once the old voter id has been silent for
// Config::voter_silence of this leader's term and the new one has caught up. No memory that is gone can vote twice through one that is
// there: the vote that (n, v) gave to B in term T+1 and forgot is not asked of (n, v') while the configuration names (n, v), and the
// majority of the old set which the change needs has heard of T+1 if B won it.
//   One of three replaced: the old set decides too, so both others must be there. Two of three: nothing happens by itself.
//   The only voter has nobody to be replaced by: damaged (Recovered::may_lead == false), it never stands.
//
// A voter that states, in a later run, less than this leader has counted from it in this very term has lost what it had promised without
// noticing (an older copy of its directory was put back): it is distrusted, counts for nothing, and is told so (Distrust).
//
// Later, and where: read-index (§6.4) waits for confirmed() to pass; chunks of snapshots (ch. 5) have their fields in
// InstallSnapshot.
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

struct Config {
  NodeId self;
  VoterId voter;  // of the memory that `Recovered` comes from
  Run run;        // of this process; newer than every earlier run of its directory
  Duration heartbeat_interval = 100ms;
  Duration election_timeout_min = 500ms;  // §3.4: drawn anew for each wait
  Duration election_timeout_max = 1000ms;
  // Spreads elections that follow a suspicion or a refused vote; doubled with each attempt, up to the election timeout.
  Duration suspicion_delay_max = 20ms;
  Duration voter_silence = 3s;  // of a voter, in this leader's term, before another one of its node may replace it
  ProgressLimits limits;
  int64_t kept_behind_snapshot = 1000;  // entries kept in memory behind a snapshot, for followers that are a little late
};

// What recovery found. Everything in it is durable.
struct Recovered {
  Term term;
  Voter vote;
  std::optional<Snapshot> snapshot;
  std::vector<Entry> entries;  // contiguous; those up to the snapshot's index are ignored
  bool may_lead = true;        // false: the only voter of a cluster, and something that it had promised is gone
};

// The newest that snapshot and log name; unknown if they name none.
Configuration newest_configuration(const Recovered& recovered);

enum class Role : uint8_t { follower, pre_candidate, candidate, leader };
std::string_view to_string(Role role);

struct HardState {
  Term term;
  Voter vote;
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
  bool distrusted = false;           // the leader has counted more from this directory than there is: halt, and come back as another voter
};

class Raft {
 public:
  Raft(Config config, Recovered recovered, Rng rng);

  // Events. `now` never goes back.

  // The first. Restores the recovered snapshot; a single voter stands for election at once.
  Output start(Time now);
  // Messages for another node, or of an older run of the sender's directory, are dropped.
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
  // A new cluster is formed, and these are its voters: the first entry of every voter's log. Nothing happens where there is a log already.
  Output bootstrap(Time now, const Configuration& configuration);
  // What a log that names no voters goes by (raft/formation.h). Nothing happens where it names some.
  Output assume(Time now, const Configuration& configuration);
  // The catalogue says that `voter.node` takes part under `voter.id` now. A fact to remember: as the leader, sooner or later this node
  // proposes to put it into the configuration in place of the node's old voter.
  Output registered(Time now, Voter voter);
  // Proposes another configuration: through a joint one where the voters differ, in one step otherwise. Refused (no entry) unless this
  // node leads, an entry of its term is committed, and the last change is finished. `target` is well formed and not joint.
  Output change(Time now, Configuration target);

  // When tick() is wanted; never() if nothing is awaited.
  Time deadline() const;

  // State, for the shell, for invariants and for people.
  const Config& config() const { return config_; }
  Role role() const { return role_; }
  Term term() const { return hard_.term; }
  Voter vote() const { return hard_.vote; }
  Voter self() const { return {config_.self, config_.voter}; }
  NodeId leader() const { return leader_; }  // kNoNode = unknown
  bool is_leader() const { return role_ == Role::leader; }
  // Of a leader: when the newest round of heartbeats began that a majority of the voters has answered, itself included; Time::never() if it
  // needs nobody else. Whoever answered followed it then, and has voted for another only later: nobody else was elected before. (§6.4)
  Time confirmed() const;
  // The newest in snapshot and log, committed or not.
  const Configuration& configuration() const { return configurations_.newest(); }
  LogIndex configuration_index() const { return configurations_.newest_index(); }
  // Whether this node may lead: it is a voter by what it knows.
  bool stands() const { return may_lead_ && configuration().votes(self()); }
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
  Run run_of(NodeId node) const;  // the one that was heard last; none if there is none

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
  bool note_sender(const Message& message);
  void dispatch(Message& message);
  void set_hard_state(Term term, Voter vote);
  Persist& persist();
  void append_to_log(std::vector<Entry> entries);
  void truncate_log(LogIndex from);
  void configuration_changed();
  void send(NodeId to, MessageBody body, uint64_t after_sequence = 0);
  void report(std::string reason);
  void set_commit(LogIndex index);
  void hand_out_committed();

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
  void on_distrust(const Message& m, const Distrust& d);
  bool protects_leader() const;
  bool log_is_up_to_date(LogIndex last_index, Term last_term) const;
  void forget_leader();
  void maybe_lead_alone();
  void hasten_election();
  void reset_election_deadline();
  void on_election_deadline();

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
  void note_match(const Message& m, LogIndex match);
  bool states_less(const Message& m, const AppendEntriesReply& r);
  LogIndex counted(const Voter& voter) const;
  void advance_commit();
  void replicate();
  void replicate_to(NodeId node, Progress& p);
  void send_append(NodeId node, Progress& p, size_t max_entries);
  void send_snapshot(NodeId node, Progress& p);
  void send_heartbeats();
  bool answers(const Progress& p) const;
  template <class When>
  Time of_a_majority(When&& when) const;
  Time quorum_contact() const;
  void check_quorum();
  void maybe_send_timeout_now();

  // membership.cc: changes of the configuration.
  void follow_members();
  void append_configuration(Configuration configuration);
  bool may_change() const;
  void maybe_finish_change();
  void maybe_replace_voter();

  Config config_;
  Rng rng_;
  Time now_;
  bool started_ = false;
  Output out_;

  // Durable state and how far it is durable.
  HardState hard_;
  Log log_;
  Snapshot snapshot_;  // index 0 = none
  ConfigurationLog configurations_;
  bool unnamed_ = false;  // the log does not name what it goes by: the leader sees to it
  bool may_lead_ = true;
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
  struct Peer {
    Run run;
    std::optional<VoterId> voter;  // known from the run's first message
  };
  std::map<NodeId, Peer> peers_;
  std::map<NodeId, Run> suspected_;
  std::map<NodeId, VoterId> registered_;
  std::map<Voter, Time> heard_;  // in this term
  bool leader_heard_ = false;
  Time leader_contact_;  // when, if leader_heard_
  Time election_deadline_ = Time::never();

  // Of a follower: how far its log is known to equal the log of this term's leader, and what it has told that leader.
  LogIndex verified_;
  LogIndex acknowledged_;
  uint64_t leader_round_ = 0;  // the newest that has come from it

  // Of a candidate.
  std::map<Voter, bool> votes_;
  bool transfer_election_ = false;
  int attempts_ = 0;  // since a leader was last heard
  uint64_t own_vote_sequence_ = 0;

  // Of a leader.
  std::map<NodeId, Progress> progress_;
  Time heartbeat_deadline_;
  LogIndex term_start_;  // its no-op
  Time leads_since_;
  uint64_t round_ = 0;
  std::deque<Time> rounds_;  // when the last ones began, the newest at the end
  struct Promised {
    Run run;
    LogIndex match;
  };
  std::map<Voter, Promised> promised_;  // the most that each has acknowledged in this term
  std::set<Voter> distrusted_;
  NodeId transfer_target_ = kNoNode;
  Time transfer_deadline_;
  bool timeout_now_sent_ = false;
};

}  // namespace sg::raft
