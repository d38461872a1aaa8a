// What Raft nodes say to each other: the RPCs of Ongaro's dissertation ("Consensus: Bridging Theory and Practice", 2014; below "§")
// as one-way messages, with the log entry and the snapshot that they carry. Wire form: base/archive.h.
//
// Invariant: a message never carries a term that is not durable at its sender, and a promise (a vote, an acknowledged index) leaves only
// when what it rests on is durable.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "broker/raft/configuration.h"

namespace sg::raft {

// `noop` opens a term (§3.6.2: a leader learns what is committed by committing an entry of its own term); the data of `configuration` is an
// encoded Configuration (ch. 4).
enum class EntryKind : uint8_t { noop = 0, command = 1, configuration = 2 };

struct Entry {
  Term term;
  LogIndex index;
  EntryKind kind = EntryKind::noop;
  SharedBytes data;  // opaque; shared by the log, the journal's write and every follower's message
  template <class A>
  void serialize(A& a) {
    a(term, index, kind, data);
  }
};

// The state machine as of `index`, an entry of `term`, and the configuration that is in force there (ch. 5). index 0 = none.
struct Snapshot {
  LogIndex index;
  Term term;
  Configuration configuration{};
  SharedBytes data;
  template <class A>
  void serialize(A& a) {
    a(index, term, configuration, data);
  }
};

// §3.4, and §9.6 when `pre_vote`: then it asks whether a vote in Message::term + 1 would be granted, and nobody's state changes.
struct RequestVote {
  bool pre_vote = false;
  bool transfer = false;  // the leader itself asked for this election: voters do not protect it (§4.2.3)
  LogIndex last_index;
  Term last_term;
  template <class A>
  void serialize(A& a) {
    a(pre_vote, transfer, last_index, last_term);
  }
};

struct RequestVoteReply {
  bool pre_vote = false;
  bool granted = false;
  template <class A>
  void serialize(A& a) {
    a(pre_vote, granted);
  }
};

// §3.5. Without entries it is a heartbeat, or carries a newer commit index.
struct AppendEntries {
  LogIndex prev_index;
  Term prev_term;
  LogIndex commit;
  std::vector<Entry> entries;  // contiguous from prev_index + 1
  uint64_t round = 0;          // of heartbeats, the newest that this leader has begun in its term (§6.4)
  template <class A>
  void serialize(A& a) {
    a(prev_index, prev_term, commit, entries, round);
  }
};

// An acknowledgement says what is durable, so it may come long after the message that brought the entries, and one may stand for many.
struct AppendEntriesReply {
  bool success = false;
  // success: the log is durable and equal to the leader's up to here.
  LogIndex match;
  // Refused: the prev_index that did not match, and the hint of §3.5 for finding the place in one round trip per term: the first index
  // of the follower's term at prev_index, or (conflict_term 0) the end of a log that is too short.
  LogIndex rejected;
  LogIndex conflict_index;
  Term conflict_term;
  uint64_t round = 0;  // the newest that has come from this leader: it was followed after that had begun
  template <class A>
  void serialize(A& a) {
    a(success, match, rejected, conflict_index, conflict_term, round);
  }
};

// Ch. 5. The whole snapshot in one message for now; `offset` and `done` are the place for chunks (figure 5.3).
struct InstallSnapshot {
  uint64_t offset = 0;
  bool done = true;
  LogIndex commit;
  Snapshot snapshot;
  template <class A>
  void serialize(A& a) {
    a(offset, done, commit, snapshot);
  }
};

// The snapshot (or a newer state) is durable.
struct InstallSnapshotReply {
  LogIndex match;
  template <class A>
  void serialize(A& a) {
    a(match);
  }
};

// §3.10: start an election now; the leader steps aside.
struct TimeoutNow {
  template <class A>
  void serialize(A&) {}
};

// The leader has counted more from this voter, in this term, than it states now (raft.h).
struct Distrust {
  LogIndex counted;
  template <class A>
  void serialize(A& a) {
    a(counted);
  }
};

// The order is the wire's tag: append only.
using MessageBody = std::variant<RequestVote, RequestVoteReply, AppendEntries, AppendEntriesReply, InstallSnapshot, InstallSnapshotReply,
                                 TimeoutNow, Distrust>;

struct Message {
  NodeId from = kNoNode;
  NodeId to = kNoNode;
  VoterId from_voter;  // the memory under which the sender promises
  Run from_run;
  Run to_run;  // the run of the receiver that the sender knows of; 0 = none yet
  Term term;   // the sender's
  MessageBody body;

  Voter sender() const { return {from, from_voter}; }
  template <class A>
  void serialize(A& a) {
    a(from, to, from_voter, from_run, to_run, term, body);
  }
};

// What a decoder cannot know: entries are contiguous behind prev_index with terms that never fall, kinds have names, positions are not
// negative. A message that fails it is dropped.
bool well_formed(const Message& message);

// One line for logs and test timelines: "AppendEntries 1->2 t3 prev=4/2 +1 commit=3".
std::string to_string(const Message& message);

}  // namespace sg::raft
