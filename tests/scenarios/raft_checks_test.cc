// The checks on Raft: for each a sequence that must be flagged, and its clean neighbour.
#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

using Fixture = RaftBench;

TEST_CASE("raft: a second leader of a term is E1, one of the next term is not") {
  Fixture f;
  f.set_term(2, 2, 2);
  f.say(2, 3, 2, raft::AppendEntries{});
  CHECK(f.found() == "");
  f.set_term(3, 2, 2);
  f.say(3, 1, 2, raft::AppendEntries{});
  CHECK(f.found() == "E1");
}

TEST_CASE("raft: a vote that leaves before it is durable is E2") {
  for (bool durable : {true, false}) {
    Fixture f;
    f.node(3).disk.syncs = durable;
    f.set_term(3, 2, 2);
    f.say(3, 2, 2, raft::RequestVoteReply{false, true});
    CHECK(f.found() == (durable ? "" : "E2"));
  }
}

TEST_CASE("raft: a vote for somebody else than the durable one is E2; one that is refused, or only asked about, is none") {
  Fixture f;
  f.set_term(3, 2, 1);
  f.say(3, 2, 2, raft::RequestVoteReply{false, false});
  f.say(3, 2, 2, raft::RequestVoteReply{true, true});
  CHECK(f.found() == "");
  f.say(3, 2, 2, raft::RequestVoteReply{false, true});
  CHECK(f.found() == "E2");
}

TEST_CASE("raft: a leader that cuts its own log is E3, a follower may cut what is not committed") {
  Fixture f;
  f.node(3).commit({raft_entry(1, 1, {4})});  // differs: E4, of no interest here
  f.reports.clear();
  f.node(3).commit({truncation(wal::kRaftLog, 1)});
  CHECK(f.found() == "");
  f.node(1).commit({raft_entry(3, 1), truncation(wal::kRaftLog, 3)});
  CHECK(f.found() == "E3");
}

TEST_CASE("raft: one index and term with two contents is E4, two terms at one index are not") {
  Fixture f;
  f.node(3).commit({raft_entry(1, 2, {7})});
  CHECK(f.found() == "");
  Fixture g;
  g.node(1).commit({raft_entry(3, 1, {1})});
  g.node(3).commit({raft_entry(1, 1), raft_entry(2, 1), raft_entry(3, 1, {2})});
  CHECK(g.found() == "E4");
}

TEST_CASE("raft: what a majority holds durably is committed, without being told") {
  Fixture f;
  CHECK(f.ghost.raft.commit() == LogIndex(2));
  f.say(1, 2, 1, f.commit(2));
  CHECK(f.found() == "");
}

TEST_CASE("raft: a commit index that only one disk holds is E5") {
  Fixture f;
  f.node(1).commit({raft_entry(3, 1)});
  f.say(1, 2, 1, f.commit(3));
  CHECK(f.found() == "E5");
}

TEST_CASE("raft: a leader may believe what a voter told it whose memory was taken later; nobody else may") {
  for (int believer : {1, 3}) {
    Fixture f;
    f.say(1, 2, 1, raft::AppendEntries{});
    f.say(2, 1, 1, f.matched(2));
    f.node(1).disk.syncs = false;
    f.node(1).commit({raft_entry(3, 1)});
    f.node(2).commit({raft_entry(3, 1)});
    f.raft.forgotten(NodeId(2));
    f.ledger(2).died(sim::Death::wipe);
    f.node(1).disk.syncs = true;
    f.ledger(1).synced();
    f.raft.on_durable();
    CHECK(f.ghost.raft.commit() == LogIndex(2));
    f.raft.on_believed(NodeId(believer), LogIndex(3));
    CHECK(f.ghost.raft.commit() == LogIndex(believer == 1 ? 3 : 2));
    CHECK(f.found() == "");
  }
}

TEST_CASE("raft: a majority that copied an entry of an older term does not commit it (figure 3.7)") {
  Fixture f;
  f.node(1).commit({raft_entry(3, 1)});
  f.set_term(2, 3, 1);
  f.set_term(1, 3, 1);
  f.node(2).commit({raft_entry(3, 1)});
  CHECK(f.ghost.raft.commit() == LogIndex(2));
  f.say(1, 2, 3, f.commit(3));
  CHECK(f.found() == "E5");
}

TEST_CASE("raft: an acknowledged index that is not durable is E5") {
  Fixture f;
  f.node(3).disk.syncs = false;
  f.node(3).commit({raft_entry(1, 1), raft_entry(2, 1)});
  f.say(3, 1, 1, f.matched(2));
  CHECK(f.found() == "E5");
  f.reports.clear();
  f.node(3).disk.syncs = true;
  f.ledger(3).synced();
  f.say(3, 1, 1, f.matched(2));
  CHECK(f.found() == "");
}

TEST_CASE("raft: cutting a committed entry is E5; cutting another one at its index is not") {
  Fixture f;
  f.node(3).commit({raft_entry(1, 0, {5})});
  f.node(3).commit({truncation(wal::kRaftLog, 1), raft_entry(1, 1), raft_entry(2, 1)});
  CHECK(f.found() == "");
  f.set_term(3, 2, 2);
  f.node(3).commit({truncation(wal::kRaftLog, 2)});
  CHECK(f.found() == "E5");
}

TEST_CASE("raft: a leader without what is committed is E6") {
  Fixture f;
  f.set_term(3, 2, 3);
  f.say(3, 1, 2, raft::AppendEntries{});
  CHECK(f.found() == "E6");
  Fixture g;
  g.set_term(2, 2, 2);
  g.say(2, 1, 2, raft::AppendEntries{});
  CHECK(g.found() == "");
}

TEST_CASE("raft: a leader of an old term may speak up late without what a later one has committed, but not without what came before") {
  for (bool holds_what_came_before : {true, false}) {
    Fixture f;
    for (int i : {1, 2}) f.set_term(i, 3, 1);
    f.say(1, 2, 3, raft::AppendEntries{});
    for (int i : {1, 2}) f.node(i).commit({raft_entry(3, 3)});
    if (holds_what_came_before) f.node(3).commit({raft_entry(1, 1), raft_entry(2, 1)});
    f.set_term(3, 2, 3);
    REQUIRE(f.ghost.raft.commit() == LogIndex(3));
    REQUIRE(f.reports.empty());
    f.say(3, 1, 2, raft::AppendEntries{});
    CHECK(f.all_found() == (holds_what_came_before ? "" : "E6"));
  }
}

TEST_CASE("raft: a snapshot takes the place of an entry that was not committed; the follower then rightly tells that its log is equal") {
  Fixture f;
  f.node(3).commit({raft_entry(1, 1), raft_entry(2, 0)});
  f.reports.clear();
  f.say(3, 1, 1, f.matched(2));
  CHECK(f.all_found() == "E4");
  f.reports.clear();
  raft::InstallSnapshot snapshot;
  snapshot.snapshot.index = LogIndex(2);
  f.say(1, 3, 1, snapshot);
  f.node(3).commit({fact(wal::RecordKind::advance_start, wal::kRaftLog, 3)});
  f.say(3, 1, 1, f.matched(2));
  CHECK(f.all_found() == "");
}

TEST_CASE("raft: a follower that forgets the beginning of a log that is not equal, without a snapshot of its leader, is still E4") {
  Fixture f;
  f.node(3).commit({raft_entry(1, 1), raft_entry(2, 0)});
  f.reports.clear();
  f.node(3).commit({fact(wal::RecordKind::advance_start, wal::kRaftLog, 3)});
  f.say(3, 1, 1, f.matched(2));
  CHECK(f.all_found() == "E4");
}

// --- Told twice (pairs.h) --------------------------------------------------------------------------------------------------------

namespace {

const AddPairs kRaftPairs({
    {"E1", "two nodes lead one term",
     [](bool broken) {
       Fixture f;
       f.set_term(2, 2, 2);
       f.say(2, 3, 2, raft::AppendEntries{});
       f.set_term(1, broken ? 2 : 3, broken ? 2 : 1);
       f.say(1, 3, broken ? 2 : 3, raft::AppendEntries{});
       return f.all_found();
     }},
    {"E2", "a vote leaves before it is durable",
     [](bool broken) {
       Fixture f;
       f.set_term(3, 2, kNoNode.v);
       f.node(3).disk.syncs = !broken;
       f.set_term(3, 2, 2);
       f.say(3, 2, 2, raft::RequestVoteReply{false, true});
       return f.all_found();
     }},
    {"E2", "a voter votes twice in one term",
     [](bool broken) {
       Fixture f;
       f.set_term(3, 2, 1);
       f.set_term(3, broken ? 2 : 3, 2);
       return f.all_found();
     }},
    {"E3", "a leader cuts its own log, as only a follower may",
     [](bool broken) {
       Fixture f;
       f.node(broken ? 1 : 2).commit({raft_entry(3, 1), truncation(wal::kRaftLog, 3)});
       return f.all_found();
     }},
    {"E4", "one index and term with two contents",
     [](bool broken) {
       Fixture f;
       f.node(1).commit({raft_entry(3, 1, {1})});
       f.node(3).commit({raft_entry(1, 1), raft_entry(2, 1), raft_entry(3, 1, {broken ? uint8_t{2} : uint8_t{1}})});
       return f.all_found();
     }},
    {"E4", "a follower calls a log equal to the leader's that is not",
     [](bool broken) {
       Fixture f;
       f.node(1).commit({raft_entry(3, 1)});
       f.node(3).commit({raft_entry(1, 1), raft_entry(2, 1), raft_entry(3, broken ? 0 : 1)});
       f.say(3, 1, 1, f.matched(3));
       return f.all_found();
     }},
    {"E5", "a leader says that an index is committed which only its own disk holds",
     [](bool broken) {
       Fixture f;
       f.node(1).commit({raft_entry(3, 1)});
       if (!broken) f.node(2).commit({raft_entry(3, 1)});
       f.say(1, 2, 1, f.commit(3));
       return f.all_found();
     }},
    {"E5", "a follower acknowledges an index that is not durable",
     [](bool broken) {
       Fixture f;
       f.node(3).disk.syncs = !broken;
       f.node(3).commit({raft_entry(1, 1), raft_entry(2, 1)});
       f.say(3, 1, 1, f.matched(2));
       return f.all_found();
     }},
    {"E5", "a committed entry is cut",
     [](bool broken) {
       Fixture f;
       f.node(2).commit({raft_entry(3, 1)});
       f.set_term(2, 2, 3);
       f.node(2).commit({truncation(wal::kRaftLog, broken ? 2 : 3)});
       return f.all_found();
     }},
    {"E5", "a voter whose damaged log was cut goes on under its old id",
     [](bool broken) {
       Fixture f;
       f.ledger(2).flipped(f.node(2).path(), wal::kBlockBytes);
       f.node(2).commit({truncation(wal::kRaftLog, 2)});
       raft::Message m = f.message(2, 1, 1, raft::RequestVoteReply{true, false});
       m.from_voter = VoterId(broken ? 2 : 22);
       f.raft.on_message(NodeId(2), NodeId(1), m);
       return f.all_found();
     }},
    {"E5", "a voter gives up what it held itself; what its former self held is not its own",
     [](bool broken) {
       Fixture f;
       f.ledger(2).flipped(f.node(2).path(), wal::kBlockBytes);
       if (!broken) f.node(2).open();
       f.raft.outlived(NodeId(2));
       raft::Message m = f.message(2, 1, 1, raft::RequestVoteReply{true, false});
       m.from_voter = VoterId(22);
       f.raft.on_message(NodeId(2), NodeId(1), m);
       f.node(2).commit({truncation(wal::kRaftLog, 2)});
       f.raft.on_message(NodeId(2), NodeId(1), m);
       return f.all_found();
     }},
    {"E6", "a node leads without what is committed",
     [](bool broken) {
       Fixture f;
       const int leader = broken ? 3 : 2;
       f.set_term(leader, 2, leader);
       f.say(leader, 1, 2, raft::AppendEntries{});
       return f.all_found();
     }},
});

}  // namespace

TEST_CASE("raft: damage that makes other voters of a majority leaves nobody who remembers; it is over when they are admitted") {
  Fixture f;
  CHECK(f.raft.majority_remembers());
  f.raft.outlived(NodeId(2));
  CHECK(f.raft.majority_remembers());
  f.raft.outlived(NodeId(3));
  CHECK_FALSE(f.raft.majority_remembers());
}

TEST_CASE("raft: a term that begins without a majority that would vote for it is L1; after a pre-vote or by a handover it may begin") {
  const raft::RequestVote stands{false, false, LogIndex(2), Term(1)};
  Fixture f;
  f.set_term(2, 2, 2);
  f.say(2, 3, 2, stands);
  CHECK(f.found() == "L1");

  Fixture asked;
  asked.say(3, 2, 1, raft::RequestVoteReply{true, true});
  asked.set_term(2, 2, 2);
  asked.say(2, 3, 2, stands);
  asked.say(2, 1, 2, stands);
  CHECK(asked.found() == "");
  asked.set_term(2, 3, 2);
  asked.say(2, 3, 3, stands);  // what was said before the last election does not count for the next
  CHECK(asked.found() == "L1");

  Fixture refused;
  refused.say(3, 2, 1, raft::RequestVoteReply{true, false});
  refused.set_term(2, 2, 2);
  refused.say(2, 3, 2, stands);
  CHECK(refused.found() == "L1");

  Fixture handed;
  handed.set_term(2, 2, 2);
  handed.say(2, 3, 2, raft::RequestVote{false, true, LogIndex(2), Term(1)});
  CHECK(handed.found() == "");
}
