// Changes of the voters seen from one node, as timelines: joint consensus (ch. 4) and the replacement of a memory that is gone. Each
// interleaving that configuration.h and raft.h guard against has a case of its own.
#include <algorithm>

#include "tests/base/nth_run.h"
#include "tests/raft/solo.h"

namespace sg::raft::test {
namespace {

const Run kWipedRun = sg::test::nth_run(1, 8);  // of node 3's new directory
const Voter kFresh = voter(3, 33);

Configuration replaced() {
  Configuration c = voters_to(3);
  c.voters[2] = kFresh;
  return c;
}
Configuration joint() {
  Configuration c = voters_to(3);
  c.next = replaced().voters;
  return c;
}
AppendEntries append(int64_t prev_index, int64_t prev_term, int64_t commit, std::vector<Entry> entries = {}) {
  return {LogIndex(prev_index), Term(prev_term), LogIndex(commit), std::move(entries)};
}

// Node 1 leads term 1 of voters 1, 2 and 3, has committed its first entry with node 2's help, and node 3 has come back empty.
struct WithWipedVoter : Solo {
  WithWipedVoter() : Solo(3) {
    elect();
    disk_done();
    acknowledge(2, 1);
    acknowledge(kFresh, 1, kWipedRun);
    take(raft.registered(now, kFresh));
    REQUIRE(raft.commit() == LogIndex(1));
  }
  // Heartbeats that nodes 2 and the new 3 answer, for so long.
  void go_on(Duration d) {
    for (Time end = now + d; now < end && raft.is_leader();) {
      tick_at_deadline();
      acknowledge(2, raft.log().last_index().v);
      acknowledge(kFresh, raft.log().last_index().v, kWipedRun);
      disk_done();
    }
  }
};

}  // namespace

TEST_CASE(
    "raft: given a voter whose memory is gone, when it has been silent for long enough, then the new one takes its place in two steps") {
  WithWipedVoter n;
  n.go_on(2900ms);
  CHECK(n.raft.configuration() == voters_to(3));
  while (n.raft.configuration() == voters_to(3)) n.tick_at_deadline();
  CHECK(n.raft.configuration() == joint());
  const LogIndex joint_index = n.raft.log().last_index();
  n.disk_done();
  // The new memory and the leader are no majority of the old set.
  n.acknowledge(kFresh, joint_index.v, kWipedRun);
  CHECK(n.raft.commit() < joint_index);
  n.acknowledge(2, joint_index.v);
  CHECK(n.raft.commit() == joint_index);
  // From its append the new set alone counts: nodes 1 and 3' decide, whatever node 2 does.
  CHECK(n.raft.configuration() == replaced());
  n.disk_done();
  n.acknowledge(kFresh, joint_index.v + 1, kWipedRun);
  CHECK(n.raft.commit() == joint_index + 1);
}

TEST_CASE("raft: given an old voter that is heard now and then, then its node's other memory does not replace it") {
  WithWipedVoter n;
  for (int i = 0; i < 4; ++i) {
    n.go_on(2s);
    n.receive(voter(3), 1, RequestVoteReply{true, false});  // it lives
  }
  CHECK(n.raft.configuration() == voters_to(3));
}

TEST_CASE("raft: given a new memory that has not caught up, or a leader that has just been elected, then nothing is replaced") {
  WithWipedVoter n;
  for (Time end = n.now + 5s; n.now < end;) {
    n.tick_at_deadline();
    n.propose("more");
    n.acknowledge(2, n.raft.log().last_index().v);
    n.disk_done();
  }
  CHECK(n.raft.configuration() == voters_to(3));
  // Caught up at last.
  n.acknowledge(kFresh, n.raft.log().last_index().v, kWipedRun);
  n.tick_at_deadline();
  CHECK(n.raft.configuration() == joint());
}

TEST_CASE("raft: given two of three memories gone, then the leader of the third commits nothing and nothing changes by itself") {
  Solo n(3);
  n.tick_at_deadline();
  n.receive(voter(2, 22), 0, RequestVoteReply{true, true}, sg::test::nth_run(1, 7));
  n.receive(kFresh, 0, RequestVoteReply{true, true}, kWipedRun);
  CHECK(n.raft.role() == Role::pre_candidate);
  n.take(n.raft.registered(n.now, voter(2, 22)));
  n.take(n.raft.registered(n.now, kFresh));
  for (int i = 0; i < 20; ++i) n.tick_at_deadline();
  CHECK(n.raft.configuration() == voters_to(3));
  CHECK(!n.raft.is_leader());
}

// What was decided by nodes 1 and 2 may be known to node 2's old disk alone.
TEST_CASE("raft: given one disk being replaced, when a second one is too, then nothing is decided until the old one is back") {
  WithWipedVoter n;
  n.go_on(2900ms);
  while (n.raft.configuration() == voters_to(3)) n.tick_at_deadline();
  REQUIRE(n.raft.configuration() == joint());
  const LogIndex joint_index = n.raft.log().last_index();
  const Voter second = voter(2, 22);
  const Run second_run = sg::test::nth_run(1, 7);
  n.disk_done();
  n.take(n.raft.registered(n.now, second));
  for (int i = 0; i < 60 && n.raft.role() != Role::pre_candidate; ++i) {
    if (n.raft.is_leader()) {
      n.acknowledge(kFresh, joint_index.v, kWipedRun);
      n.acknowledge(second, joint_index.v, second_run);
    }
    CHECK(n.raft.commit() < joint_index);
    CHECK(n.raft.configuration() == joint());
    n.now = std::max(n.now, n.raft.deadline());
    n.take(n.raft.tick(n.now));
  }
  // It has stepped down: of the old set nobody answers. And the two empty disks do not make it leader again.
  REQUIRE(n.raft.role() == Role::pre_candidate);
  n.receive(kFresh, 1, RequestVoteReply{true, true}, kWipedRun);
  n.receive(second, 1, RequestVoteReply{true, true}, second_run);
  CHECK(n.raft.role() == Role::pre_candidate);
  n.receive(voter(2), 1, RequestVoteReply{true, true}, sg::test::nth_run(2));
  CHECK(n.raft.role() == Role::candidate);
}

TEST_CASE("raft: given one change under way, or nothing committed in this term, then no other begins") {
  WithWipedVoter n;
  n.take(n.raft.change(n.now, voters_to(1)));
  REQUIRE(n.last.proposed);
  CHECK(n.raft.configuration().joint());
  n.take(n.raft.change(n.now, voters_to(5)));
  CHECK(!n.last.proposed);

  Solo fresh(3);
  fresh.elect();
  fresh.take(fresh.raft.change(fresh.now, voters_to(1)));
  CHECK(!fresh.last.proposed);
}

TEST_CASE("raft: given a log that ends in a joint configuration, when its holder is elected, then it ends the change") {
  Recovered r = found(2, kNoVoter, {configured(1, 1, voters_to(3)), configured(2, 2, joint())});
  Solo n(r);
  n.tick_at_deadline();
  // Elections too need both majorities: the new memory alone does not help.
  n.receive(kFresh, 2, RequestVoteReply{true, true}, kWipedRun);
  CHECK(n.raft.role() == Role::pre_candidate);
  n.receive(2, 2, RequestVoteReply{true, true});
  n.disk_done();
  n.receive(2, 3, RequestVoteReply{false, true});
  REQUIRE(n.raft.is_leader());
  n.disk_done();
  n.acknowledge(2, 3);
  CHECK(n.raft.configuration() == replaced());
  CHECK(n.raft.log().last_index() == LogIndex(4));
}

TEST_CASE("raft: given a configuration that a new leader's log has not, when it is cut, then the one before is in force again") {
  Recovered r = found(2, kNoVoter, {configured(1, 1, voters_to(3)), configured(2, 2, joint()), configured(2, 3, replaced())});
  Solo n(r);
  CHECK(n.raft.configuration() == replaced());
  n.receive(2, 3, append(1, 1, 1, {command(3, 2)}));
  CHECK(n.raft.configuration() == voters_to(3));
}

TEST_CASE("raft: given a snapshot, then it brings the configuration of its index, and later entries go on from there") {
  Solo n(Recovered{});
  CHECK(n.raft.deadline() == Time::never());
  n.receive(2, 3, InstallSnapshot{0, true, LogIndex(9), {LogIndex(8), Term(2), voters_to(3), bytes_of("state")}});
  CHECK(n.raft.configuration() == voters_to(3));
  CHECK(n.raft.deadline() != Time::never());
  n.disk_done();
  n.receive(2, 3, append(8, 2, 9, {configured(3, 9, joint())}));
  CHECK(n.raft.configuration() == joint());
  n.disk_done();
  n.take(n.raft.snapshot_taken(n.now, LogIndex(9), bytes_of("more")));
  CHECK(n.last.persist->snapshot->configuration == joint());
}

TEST_CASE("raft: given a vote for one memory of a node, when its other one asks in the same term, then it gets none") {
  Solo n(3);
  n.receive(3, 1, RequestVote{false, false, LogIndex(0), Term(0)});
  CHECK(n.disk_done() == Texts{"1->3 t1 RequestVoteReply granted"});
  CHECK(n.receive(kFresh, 1, RequestVote{false, false, LogIndex(0), Term(0)}, kWipedRun) == Texts{"1->3 t1 RequestVoteReply refused"});
}

// The voter forgot that it had voted in term 2, and catches up with the leader of term 1.
TEST_CASE(
    "raft: given a vote in the next term, when its voter loses its disk and catches up with the old leader, then it votes for nobody") {
  const RequestVote stands{false, false, LogIndex(1), Term(1)};
  Solo before(3);  // at the voter: node 1
  before.receive(2, 2, stands);
  CHECK(before.disk_done() == Texts{"1->2 t2 RequestVoteReply granted"});
  Config emptied = config_of_node_1();
  emptied.voter = VoterId(11);
  Solo after(Recovered{}, emptied);
  after.receive(3, 1, append(0, 0, 1, {configured(1, 1, voters_to(3))}));
  CHECK(after.disk_done() == Texts{"1->3 t1 AppendEntriesReply match=1"});
  after.pass(10s);
  after.receive(3, 2, stands);
  CHECK(after.disk_done() == Texts{"1->3 t2 RequestVoteReply granted"});  // by the ordinary rules, and under its new name
  CHECK(after.last.messages.front().from_voter == VoterId(11));

  Solo candidate(3, found(1, kNoVoter, {command(1, 1)}));  // at the old leader, now node 1; the voter is node 3
  candidate.tick_at_deadline();
  candidate.receive(kFresh, 1, RequestVoteReply{true, true}, kWipedRun);
  CHECK(candidate.raft.role() == Role::pre_candidate);
  candidate.receive(2, 1, RequestVoteReply{true, true});
  candidate.disk_done();
  REQUIRE(candidate.raft.role() == Role::candidate);
  candidate.receive(kFresh, 2, RequestVoteReply{false, true}, kWipedRun);
  CHECK(!candidate.raft.is_leader());
  candidate.receive(2, 2, append(1, 1, 1));  // elected by the first vote
  CHECK(candidate.raft.leader() == NodeId(2));
}

TEST_CASE("raft: given a new cluster, when it is formed, then its first entry is the configuration, and the only voter leads at once") {
  Solo n(Recovered{});
  n.take(n.raft.bootstrap(n.now, voters_to(1)));
  n.disk_done();
  CHECK(n.raft.is_leader());
  CHECK(n.raft.term() == Term(2));
  CHECK(n.raft.configuration() == voters_to(1));
  // Where there is a log, nothing is formed.
  n.take(n.raft.bootstrap(n.now, voters_to(3)));
  CHECK(n.raft.configuration() == voters_to(1));
}

TEST_CASE("raft: given a log that names no voters, when they are assumed, then it goes by them, and its leader writes them down") {
  Recovered older = found(3, kNoVoter, {command(2, 1), command(3, 2)});
  Configuration assumed;
  for (int i = 1; i <= 3; ++i) assumed.voters.push_back(voter(i, i == 1 ? 1 : 0));
  Solo n(older);
  CHECK(n.raft.deadline() == Time::never());
  n.take(n.raft.assume(n.now, assumed));
  n.take(n.raft.assume(n.now, voters_to(5)));  // once
  CHECK(n.raft.configuration() == assumed);
  n.tick_at_deadline();
  n.receive(voter(2, 0), n.raft.term().v, RequestVoteReply{true, true});
  n.disk_done();
  n.receive(voter(2, 0), n.raft.term().v, RequestVoteReply{false, true});
  REQUIRE(n.raft.is_leader());
  n.disk_done();
  n.acknowledge(voter(2, 0), 3);
  CHECK(n.raft.log().at(LogIndex(4)).kind == EntryKind::configuration);
  CHECK(n.raft.configuration_index() == LogIndex(4));
}

TEST_CASE("raft: given the only voter, when something that it promised is gone, then it does not lead") {
  Recovered r = found(3, voter(1), {configured(1, 1, voters_to(1))});
  r.may_lead = false;
  Solo n(r);
  CHECK(n.raft.deadline() == Time::never());
  CHECK(!n.raft.is_leader());
}

TEST_CASE("raft: given a later run that refuses what was counted from its directory in this term, then it is distrusted and told so") {
  Solo n(3);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.propose("a");
  n.disk_done();
  n.acknowledge(2, 2);
  REQUIRE(n.raft.commit() == LogIndex(2));
  AppendEntriesReply shorter;
  shorter.rejected = LogIndex(2);
  shorter.conflict_index = LogIndex(2);
  Texts said = n.receive(2, 1, shorter, 2);
  CHECK(std::ranges::find(said, "1->2 t1 Distrust counted=2") != said.end());
  n.propose("b");
  n.disk_done();
  n.receive(voter(2), 1, AppendEntriesReply{true, LogIndex(3), {}, {}, {}}, sg::test::nth_run(2));
  CHECK(n.raft.commit() == LogIndex(2));  // what it says counts for nothing
}

TEST_CASE("raft: given a refusal of the same run that comes late, then nobody is distrusted") {
  Solo n(3);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  AppendEntriesReply old;
  old.rejected = LogIndex(0);
  n.receive(2, 1, old);
  n.propose("a");
  n.disk_done();
  n.acknowledge(2, 2);
  CHECK(n.raft.commit() == LogIndex(2));
}

TEST_CASE("raft: given a later run whose log is longer and differs behind what was counted, then its hint below that is no lie") {
  Solo n(3, found(2, kNoVoter, {command(1, 1), command(2, 2), command(2, 3)}));
  n.elect();
  n.disk_done();
  n.acknowledge(2, 3);
  AppendEntriesReply longer;  // entries of term 2 up to index 4, where this log has one of its own
  longer.rejected = LogIndex(4);
  longer.conflict_index = LogIndex(2);
  longer.conflict_term = Term(2);
  Texts said = n.receive(2, n.raft.term().v, longer, 2);
  CHECK(std::ranges::none_of(said, [](const std::string& s) { return s.find("Distrust") != std::string::npos; }));
  n.receive(voter(2), n.raft.term().v, AppendEntriesReply{true, LogIndex(4), {}, {}, {}}, sg::test::nth_run(2));
  CHECK(n.raft.commit() == LogIndex(4));
}

TEST_CASE("raft: given a follower that is told of more than its directory holds, then it asks to be stopped") {
  Solo n(3, found(1, kNoVoter, {command(1, 1)}));
  n.receive(2, 1, append(1, 1, 0));
  n.receive(3, 1, Distrust{LogIndex(5)});
  CHECK(!n.last.distrusted);  // not of its leader
  n.receive(2, 1, Distrust{LogIndex(1)});
  CHECK(!n.last.distrusted);
  n.receive(2, 1, Distrust{LogIndex(5)});
  CHECK(n.last.distrusted);
}

}  // namespace sg::raft::test
