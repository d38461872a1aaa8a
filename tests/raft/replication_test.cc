// Replication, commitment and snapshots seen from one node, as timelines.
#include <algorithm>

#include "tests/base/nth_run.h"
#include "tests/raft/solo.h"

namespace sg::raft::test {
namespace {

AppendEntries append(int64_t prev_index, int64_t prev_term, int64_t commit, std::vector<Entry> entries = {}) {
  return {LogIndex(prev_index), Term(prev_term), LogIndex(commit), std::move(entries)};
}
Recovered with_log(std::vector<int64_t> terms) {
  Recovered r;
  for (int64_t term : terms) r.entries.push_back(command(term, static_cast<int64_t>(r.entries.size()) + 1));
  r.term = Term(terms.empty() ? 0 : terms.back());
  return r;
}
AppendEntriesReply refuses(int64_t rejected, int64_t conflict_index, int64_t conflict_term) {
  AppendEntriesReply r;
  r.rejected = LogIndex(rejected);
  r.conflict_index = LogIndex(conflict_index);
  r.conflict_term = Term(conflict_term);
  return r;
}

}  // namespace

TEST_CASE("raft: given entries from the leader, then they are acknowledged when they are durable, and one answer stands for many") {
  Solo n(3);
  CHECK(n.receive(2, 1, append(0, 0, 0, {command(1, 1)})) == Texts{});
  uint64_t first = n.raft.last_sequence();
  CHECK(n.receive(2, 1, append(1, 1, 0, {command(1, 2)})) == Texts{});
  CHECK(n.receive(2, 1, append(2, 1, 0, {command(1, 3)})) == Texts{});
  CHECK(n.take(n.raft.durable(n.now, first)) == Texts{"1->2 t1 AppendEntriesReply match=1"});
  // A heartbeat is answered at once, with what is durable so far.
  CHECK(n.receive(2, 1, append(3, 1, 0)) == Texts{"1->2 t1 AppendEntriesReply match=1"});
  CHECK(n.disk_done() == Texts{"1->2 t1 AppendEntriesReply match=3"});
}

TEST_CASE("raft: given a follower, when the leader's commit runs ahead, then it commits no further than its log is verified") {
  Solo n(3, with_log({1, 1, 1}));
  n.receive(2, 2, append(1, 1, 3, {}));
  CHECK(n.raft.commit() == LogIndex{1});  // entries 2 and 3 may still differ from the leader's
  n.receive(2, 2, append(1, 1, 3, {command(1, 2)}));
  CHECK(n.raft.commit() == LogIndex{2});
}

TEST_CASE("raft: given a log that differs, when the leader finds the place, then the rest is replaced in one step (§3.5)") {
  Solo n(3, with_log({1, 1, 2, 2, 2}));
  // The hint names the first index of the term that is in the way.
  n.receive(2, 4, append(5, 3, 0));
  CHECK(n.disk_done() == Texts{"1->2 t4 AppendEntriesReply refused=5 conflict=3/2"});
  CHECK(n.receive(2, 4, append(9, 3, 0)) == Texts{"1->2 t4 AppendEntriesReply refused=9 conflict=6/0"});
  CHECK(n.receive(2, 4, append(2, 1, 0, {command(3, 3), command(4, 4)})) == Texts{"1->2 t4 AppendEntriesReply match=2"});
  CHECK(n.last.persist->truncate_from == LogIndex(3));
  CHECK(n.last.persist->entries.size() == 2);
  CHECK(n.raft.durable_index() == LogIndex(2));
  CHECK(n.disk_done() == Texts{"1->2 t4 AppendEntriesReply match=4"});
}

TEST_CASE("raft: given an old message that arrives late, then the log is not shortened") {
  Solo n(3);
  n.receive(2, 1, append(0, 0, 0, {command(1, 1), command(1, 2), command(1, 3)}));
  n.disk_done();
  CHECK(n.receive(2, 1, append(0, 0, 0, {command(1, 1)})) == Texts{"1->2 t1 AppendEntriesReply match=3"});
  CHECK(n.raft.log().last_index() == LogIndex(3));
}

TEST_CASE("raft: given entries that are truncated before the disk had them, then the late answer of the disk vouches for nothing") {
  Solo n(3);
  n.receive(2, 1, append(0, 0, 0, {command(1, 1), command(1, 2), command(1, 3)}));
  uint64_t old_write = n.raft.last_sequence();
  n.receive(3, 2, append(1, 1, 0, {command(2, 2)}));
  CHECK(n.take(n.raft.durable(n.now, old_write)) == Texts{});  // nor does anything of term 2 leave before term 2 is durable
  CHECK(n.raft.durable_index() == LogIndex(1));
  CHECK(n.disk_done() == Texts{"1->3 t2 AppendEntriesReply match=1", "1->3 t2 AppendEntriesReply match=2"});
}

TEST_CASE("raft: given a leader, when a follower has an entry and the leader's own disk has not, then it is not committed") {
  Solo n(3);
  n.elect();
  n.acknowledge(2, 1);
  CHECK(n.raft.commit() == LogIndex(0));
  n.disk_done();
  CHECK(n.raft.commit() == LogIndex(1));
}

TEST_CASE("raft: given two followers have an entry, then it is committed before the leader's own disk has it (§10.2.1)") {
  Solo n(3);
  n.elect();
  n.acknowledge(2, 1);
  n.acknowledge(3, 1);
  CHECK(n.raft.commit() == LogIndex(1));
  CHECK(n.raft.durable_index() == LogIndex(0));
}

TEST_CASE("raft: given an entry of an older term on a majority, then it is committed only below one of this term (figure 3.7)") {
  Solo n(3, with_log({1, 2}));
  n.elect();
  n.disk_done();
  n.acknowledge(2, 2);
  CHECK(n.raft.commit() == LogIndex(0));
  n.acknowledge(2, 3);
  CHECK(n.raft.commit() == LogIndex(3));
}

TEST_CASE("raft: given an observer, or another memory of a voter's node, acknowledges, then it does not count") {
  Configuration c = voters_to(3);
  c.observers = {NodeId(7)};
  Solo n(Solo::with(c));
  n.elect();
  n.disk_done();
  n.acknowledge(7, 1);
  n.acknowledge(voter(3, 99), 1, sg::test::nth_run(1, 8));
  CHECK(n.raft.commit() == LogIndex(0));
  CHECK(n.raft.progress().at(NodeId(3)).match() == LogIndex(1));
  n.acknowledge(2, 1);
  CHECK(n.raft.commit() == LogIndex(1));
}

TEST_CASE("raft: given a new run of a follower, then what the old one had acknowledged no longer counts") {
  Solo n(3);
  n.elect();
  n.acknowledge(2, 1);
  n.receive(2, 1, RequestVoteReply{}, 2);
  n.disk_done();
  CHECK(n.raft.commit() == LogIndex(0));
}

TEST_CASE("raft: given a follower that does not answer, then what is sent to it is bounded, and later it costs heartbeats only") {
  Config c = config_of_node_1();
  c.limits.in_flight_max_messages = 3;
  Solo n(Solo::with(voters_to(3)), c);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.acknowledge(3, 1);
  size_t sent = 0;
  for (int i = 0; i < 20; ++i) {
    for (const std::string& text : n.propose("x")) sent += text.starts_with("1->3");
    n.disk_done();
    n.acknowledge(2, n.raft.log().last_index().v);
    for (const Message& m : n.last.messages) {
      if (m.to == NodeId(3)) CHECK(std::get<AppendEntries>(m.body).entries.empty());
    }
  }
  CHECK(sent == 3);
  CHECK(n.raft.progress().at(NodeId(3)).in_flight_messages() == 3);
}

TEST_CASE("raft: given a follower whose log differs, when it refuses, then the leader goes back a term at a time") {
  Solo n(3, with_log({1, 1, 1, 4, 4, 5}));
  n.elect();
  // The probe came with prev 6; the follower has terms 1 1 1 2 2 2: term 2 is unknown here, so all of it is skipped.
  CHECK(n.receive(2, n.raft.term().v, refuses(6, 4, 2)) == Texts{"1->2 t6 AppendEntries prev=3/1 +4 commit=0"});
  // The same answer again, late: nothing changes.
  CHECK(n.receive(2, n.raft.term().v, refuses(6, 4, 2)) == Texts{});
  // Another has terms 1 1 1 4 and no more: the leader continues behind its own last entry of term 4 that can match.
  CHECK(n.receive(3, n.raft.term().v, refuses(6, 5, 0)) == Texts{"1->3 t6 AppendEntries prev=4/4 +3 commit=0"});
}

TEST_CASE("raft: given entries lost on the way, when the heartbeat is refused, then they are sent again") {
  Solo n(3);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.propose("lost");
  Texts beat = n.tick_at_deadline();
  REQUIRE(beat.front() == "1->2 t1 AppendEntries prev=2/1 +0 commit=1");
  CHECK(n.receive(2, 1, refuses(2, 2, 0)) == Texts{"1->2 t1 AppendEntries prev=1/1 +1 commit=1"});
}

TEST_CASE("raft: given a link that comes up, then what the old one may have lost is sent without waiting") {
  Solo n(3);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.propose("lost");
  CHECK(n.take(n.raft.link_up(n.now, NodeId(2), sg::test::nth_run(1))) == Texts{"1->2 t1 AppendEntries prev=1/1 +1 commit=1"});
}

TEST_CASE("raft: given a snapshot, when a follower is behind what is kept, then it gets the snapshot and then the rest (ch. 5)") {
  Config c = config_of_node_1();
  c.kept_behind_snapshot = 0;
  Solo n(Solo::with(voters_to(3)), c);
  n.elect();
  n.disk_done();
  n.propose("a");
  n.disk_done();
  n.acknowledge(2, 2);
  n.take(n.raft.snapshot_taken(n.now, LogIndex(2), bytes_of("state")));
  CHECK(n.last.persist->snapshot->index == LogIndex(2));
  CHECK(n.raft.log().base_index() == LogIndex(2));
  REQUIRE(n.last.messages.size() == 1);
  CHECK(to_string(n.last.messages.front()) == "1->3 t1 InstallSnapshot 2/1 5B commit=2");
  n.propose("b");
  for (const Message& m : n.last.messages) CHECK(m.to != NodeId(3));
  CHECK(n.receive(3, 1, InstallSnapshotReply{LogIndex(2)}) == Texts{"1->3 t1 AppendEntries prev=2/1 +1 commit=2"});
}

TEST_CASE("raft: given a follower that is silent, then a snapshot is not sent to it again until it answers") {
  Config c = config_of_node_1();
  c.kept_behind_snapshot = 0;
  Solo n(Solo::with(voters_to(3)), c);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.take(n.raft.snapshot_taken(n.now, LogIndex(1), bytes_of("state")));
  REQUIRE(n.last.messages.size() == 1);
  auto sends_snapshot = [&] {
    return std::ranges::any_of(n.last.messages, [](const Message& m) { return std::holds_alternative<InstallSnapshot>(m.body); });
  };
  for (int i = 0; i < 50; ++i) {
    n.tick_at_deadline();
    CHECK(!sends_snapshot());
    n.acknowledge(2, 1);
  }
  n.receive(3, 1, refuses(1, 1, 0));  // the answer to a heartbeat; the snapshot was lost with the old link
  n.tick_at_deadline();
  CHECK(sends_snapshot());
}

TEST_CASE("raft: given a snapshot from the leader, then it replaces log and state, and is acknowledged when durable") {
  Solo n(3, with_log({1, 1}));
  CHECK(n.receive(2, 3, InstallSnapshot{0, true, LogIndex(9), {LogIndex(8), Term(2), voters_to(3), bytes_of("state")}}) == Texts{});
  CHECK(n.last.restore->index == LogIndex(8));
  CHECK(n.last.persist->truncate_from == LogIndex(9));
  CHECK(n.raft.applied() == LogIndex(8));
  CHECK(n.receive(2, 3, append(8, 2, 9)) == Texts{});  // term 3 is not durable yet
  CHECK(n.disk_done().front() == "1->2 t3 InstallSnapshotReply match=8");
  CHECK(n.receive(2, 3, append(8, 2, 9, {command(3, 9)})) == Texts{});
  CHECK(n.last.committed.size() == 1);
}

TEST_CASE("raft: given entries under way to the disk, when a snapshot replaces them, then their late answer vouches for nothing of it") {
  Solo n(3);
  n.receive(2, 1, append(0, 0, 0, {command(1, 1), command(1, 2), command(1, 3)}));
  uint64_t old_write = n.raft.last_sequence();
  n.receive(2, 1, InstallSnapshot{0, true, LogIndex(3), {LogIndex(2), Term(1), voters_to(3), bytes_of("not needed")}});
  REQUIRE(!n.last.restore);
  n.receive(3, 2, InstallSnapshot{0, true, LogIndex(3), {LogIndex(3), Term(2), voters_to(3), bytes_of("state")}});
  REQUIRE(n.last.restore);
  CHECK(n.take(n.raft.durable(n.now, old_write)) == Texts{});
  CHECK(n.raft.durable_index() == LogIndex(2));
  n.disk_done();
  CHECK(n.raft.durable_index() == LogIndex(3));
}

TEST_CASE("raft: given a snapshot of what the log has, then nothing is replaced, and it is committed") {
  Solo n(3, with_log({1, 1, 1}));
  n.receive(2, 3, InstallSnapshot{0, true, LogIndex(2), {LogIndex(2), Term(1), voters_to(3), bytes_of("state")}});
  CHECK(!n.last.restore);
  CHECK(n.last.committed.size() == 2);
  CHECK(n.disk_done() == Texts{"1->2 t3 InstallSnapshotReply match=2"});
}

TEST_CASE("raft: given a restart with a snapshot and entries, then the snapshot is restored and the entries wait for a leader") {
  Recovered r{.term = Term(2),
              .vote = {},
              .snapshot = Snapshot{LogIndex(2), Term(1), {}, bytes_of("state")},
              .entries = {command(1, 2), command(2, 3)},
              .may_lead = true};
  Solo n(3, r);
  CHECK(n.last.restore->index == LogIndex(2));
  CHECK(n.raft.commit() == LogIndex(2));
  CHECK(n.raft.log().last_index() == LogIndex(3));
}

}  // namespace sg::raft::test
