// Elections seen from one node, as timelines.
#include "tests/base/nth_run.h"
#include "tests/raft/solo.h"

namespace sg::raft::test {
namespace {

RequestVote asks(int64_t last_index, int64_t last_term, bool pre_vote = false) {
  return {pre_vote, false, LogIndex(last_index), Term(last_term)};
}
AppendEntries heartbeat(int64_t prev_index = 0, int64_t prev_term = 0, int64_t commit = 0) {
  return {LogIndex(prev_index), Term(prev_term), LogIndex(commit), {}};
}

}  // namespace

TEST_CASE("raft: given silence, when the election timeout passes, then pre-vote, vote, leader, each after the disk") {
  Solo n(3);
  CHECK(n.raft.deadline() >= Time{} + 500ms);
  CHECK(n.raft.deadline() <= Time{} + 1000ms);
  CHECK(n.tick_at_deadline() == Texts{"1->2 t0 PreVote last=0/0", "1->3 t0 PreVote last=0/0"});
  CHECK(n.raft.term() == Term{0});  // §9.6: nothing has changed yet
  // The own vote is asked for when it is durable, not before.
  CHECK(n.receive(2, 0, RequestVoteReply{true, true}) == Texts{});
  CHECK((n.last.persist->hard_state == HardState{Term(1), voter(1)}));
  CHECK(n.disk_done() == Texts{"1->2 t1 RequestVote last=0/0", "1->3 t1 RequestVote last=0/0"});
  CHECK(n.raft.role() == Role::candidate);
  // The leader's entries travel before they are durable here (§10.2.1).
  CHECK(n.receive(3, 1, RequestVoteReply{false, true}) ==
        Texts{"1->2 t1 AppendEntries prev=0/0 +1 commit=0", "1->3 t1 AppendEntries prev=0/0 +1 commit=0"});
  CHECK(n.raft.is_leader());
}

TEST_CASE("raft: given the other votes come before the own one is durable, then it leads only when it is") {
  Solo n(5);
  n.tick_at_deadline();
  for (int peer : {2, 3}) n.receive(peer, 0, RequestVoteReply{true, true});
  REQUIRE(n.raft.role() == Role::candidate);
  for (int peer : {2, 3, 4}) n.receive(peer, 1, RequestVoteReply{false, true});
  CHECK(n.raft.role() == Role::candidate);
  n.disk_done();
  CHECK(n.raft.is_leader());
}

TEST_CASE("raft: given a single voter, when it starts, then it leads and commits as soon as the disk allows") {
  Solo n(1);
  CHECK(n.raft.role() == Role::candidate);
  n.disk_done();
  CHECK(n.raft.is_leader());
  n.propose("a");
  CHECK(n.raft.commit() == LogIndex{0});
  n.disk_done();
  CHECK(n.raft.commit() == LogIndex{2});
  CHECK(n.last.committed.size() == 2);
  CHECK(n.raft.deadline() == Time::never());
}

TEST_CASE("raft: given a vote is granted, then it leaves when it is durable, and no other is granted in that term") {
  Solo n(3);
  CHECK(n.receive(2, 1, asks(0, 0)) == Texts{});
  CHECK(n.disk_done() == Texts{"1->2 t1 RequestVoteReply granted"});
  CHECK(n.receive(3, 1, asks(9, 1)) == Texts{"1->3 t1 RequestVoteReply refused"});
  CHECK(n.receive(2, 1, asks(0, 0)) == Texts{"1->2 t1 RequestVoteReply granted"});  // asked again, the same answer
}

TEST_CASE("raft: given a restart after a vote, then the vote still stands") {
  Solo n(3, found(4, voter(3)));
  CHECK(n.receive(2, 4, asks(9, 4)) == Texts{"1->2 t4 RequestVoteReply refused"});
  CHECK(n.receive(3, 4, asks(9, 4)) == Texts{"1->3 t4 RequestVoteReply granted"});
}

TEST_CASE("raft: given a log, when candidates ask, then only one that is at least as up to date gets the vote (§3.6.1)") {
  struct Row {
    int64_t last_index, last_term;
    bool granted;
  };
  for (Row row : {Row{2, 3, true}, Row{3, 3, true}, Row{1, 4, true}, Row{1, 3, false}, Row{9, 2, false}, Row{0, 0, false}}) {
    CAPTURE(row.last_index);
    CAPTURE(row.last_term);
    Solo n(3, found(3, kNoVoter, {command(1, 1), command(3, 2)}));
    CHECK(n.receive(2, 4, asks(row.last_index, row.last_term, true)) ==
          Texts{fmt::format("1->2 t3 PreVoteReply {}", row.granted ? "granted" : "refused")});
    n.receive(2, 5, asks(row.last_index, row.last_term));
    CHECK(n.disk_done() == Texts{fmt::format("1->2 t5 RequestVoteReply {}", row.granted ? "granted" : "refused")});
  }
}

TEST_CASE("raft: given a leader is heard, when somebody asks for votes, then nothing changes until the minimum timeout (§4.2.3)") {
  Solo n(3);
  n.receive(2, 1, heartbeat());
  n.disk_done();
  n.pass(499ms);
  CHECK(n.receive(3, 7, asks(9, 9 - 3)) == Texts{});
  CHECK(n.raft.term() == Term{1});
  CHECK(n.receive(3, 1, asks(9, 1, true)) == Texts{"1->3 t1 PreVoteReply refused"});
  // …unless the leader itself hands over (§3.10).
  n.receive(3, 2, RequestVote{false, true, LogIndex(9), Term(1)});
  CHECK(n.disk_done() == Texts{"1->3 t2 RequestVoteReply granted"});
}

TEST_CASE("raft: given a leader is heard, when it is suspected, then pre-votes are granted and the election comes soon") {
  Solo n(3);
  n.receive(2, 1, heartbeat());
  n.disk_done();
  n.take(n.raft.suspect(n.now, NodeId(2), sg::test::nth_run(1)));
  CHECK(n.raft.leader() == kNoNode);
  CHECK(n.raft.deadline() <= n.now + 20ms);
  CHECK(n.receive(3, 1, asks(9, 1, true)) == Texts{"1->3 t1 PreVoteReply granted"});
  // Traffic cancels it, and it counts once per run.
  n.receive(2, 1, heartbeat());
  CHECK(n.raft.leader() == NodeId(2));
  CHECK(n.raft.deadline() >= n.now + 500ms);
  n.take(n.raft.suspect(n.now, NodeId(2), sg::test::nth_run(1)));
  CHECK(n.raft.leader() == NodeId(2));
}

TEST_CASE("raft: given a suspicion of somebody who is not the leader, or of an older run of the leader, then nothing happens") {
  Solo n(3);
  n.receive(2, 1, heartbeat(), 5);
  n.take(n.raft.suspect(n.now, NodeId(3), sg::test::nth_run(1)));
  n.take(n.raft.suspect(n.now, NodeId(2), sg::test::nth_run(4)));
  CHECK(n.raft.leader() == NodeId(2));
}

TEST_CASE("raft: given a leader, when a newer run of its process says hello, then it is forgotten") {
  Solo n(3);
  n.receive(2, 1, heartbeat(), 5);
  n.take(n.raft.link_up(n.now, NodeId(2), sg::test::nth_run(6)));
  CHECK(n.raft.leader() == kNoNode);
  CHECK(n.receive(2, 1, heartbeat(), 5) == Texts{});  // what the old run had sent
  CHECK(n.raft.leader() == kNoNode);
}

TEST_CASE("raft: given a leader that nobody answers, when an election timeout has passed, then it steps down (§6.2)") {
  Solo n(3);
  n.elect();
  Time elected = n.now;
  while (n.raft.is_leader()) {
    REQUIRE(n.now < elected + 2000ms);
    n.tick_at_deadline();
  }
  CHECK(n.now == elected + 1000ms);
}

TEST_CASE("raft: given a leader that one of two answers, then it stays") {
  Solo n(3);
  n.elect();
  for (int i = 0; i < 50; ++i) {
    n.tick_at_deadline();
    n.receive(3, 1, AppendEntriesReply{});
  }
  CHECK(n.raft.is_leader());
}

TEST_CASE("raft: given answers to rounds of heartbeats, then a leader is confirmed as of the newest that one of two has answered (§6.4)") {
  Solo n(3);
  n.elect();
  const Time elected = n.now;
  CHECK(n.raft.confirmed() == elected);
  AppendEntriesReply of_no_round;
  n.tick_at_deadline();
  const Time first = n.now;
  n.receive(3, 1, of_no_round);  // contact, and no answer to anything
  CHECK(n.raft.confirmed() == elected);
  n.tick_at_deadline();
  AppendEntriesReply late;
  late.round = 1;  // comes now, and was sent before the second round
  n.receive(2, 1, late);
  CHECK(n.raft.confirmed() == first);
  AppendEntriesReply unheard_of;
  unheard_of.round = 9;
  n.receive(3, 1, unheard_of);
  CHECK(n.raft.confirmed() == first);
  AppendEntriesReply newest;
  newest.round = 2;
  n.receive(3, 1, newest);
  CHECK(n.raft.confirmed() == n.now);
}

TEST_CASE("raft: given a leader, when a message carries a greater term, then it follows") {
  Solo n(3);
  n.elect();
  AppendEntriesReply refusal;
  n.receive(2, 9, refusal);
  CHECK(n.raft.role() == Role::follower);
  CHECK(n.raft.term() == Term{9});
}

TEST_CASE("raft: given a deposed leader, when it still sends, then the answer tells it the term") {
  Solo n(3, found(5));
  CHECK(n.receive(2, 3, heartbeat()) == Texts{"1->2 t5 AppendEntriesReply refused=0 conflict=0/0"});
  CHECK(n.raft.leader() == kNoNode);
}

TEST_CASE("raft: given a handover, when the target has everything, then TimeoutNow, and proposals are refused meanwhile (§3.10)") {
  Solo n(3);
  n.elect();
  n.disk_done();
  n.acknowledge(2, 1);
  n.propose("a");
  CHECK(n.take(n.raft.transfer_leadership(n.now)) == Texts{});
  n.propose("b");
  CHECK(!n.last.proposed);
  n.acknowledge(2, 2);
  REQUIRE(!n.last.messages.empty());
  CHECK(to_string(n.last.messages.front()) == "1->2 t1 TimeoutNow");
  // The target does not take over: after an election timeout the leader works again.
  Time asked = n.now;
  while (n.raft.transferring()) {
    REQUIRE(n.now <= asked + 1000ms);
    n.tick_at_deadline();
    n.acknowledge(2, 2);
  }
  n.propose("c");
  CHECK(n.last.proposed);
}

TEST_CASE("raft: given TimeoutNow of the leader, then a candidate without pre-vote, whose requests say so") {
  Solo n(3);
  n.receive(2, 1, heartbeat());
  n.disk_done();
  n.receive(2, 1, TimeoutNow{});
  CHECK(n.disk_done() == Texts{"1->2 t2 RequestVote last=0/0 transfer", "1->3 t2 RequestVote last=0/0 transfer"});
}

TEST_CASE("raft: given a node that is no voter, then it waits for nothing, follows, and answers by the ordinary rules") {
  Solo n(Solo::with(voters_to(4, 2)));
  CHECK(n.raft.deadline() == Time::never());
  // The asker may know of a change that makes this node a voter; whether the vote counts is the asker's to know.
  n.receive(2, 1, asks(0, 0));
  CHECK(n.disk_done() == Texts{"1->2 t1 RequestVoteReply granted"});
  CHECK(n.receive(3, 1, asks(0, 0)) == Texts{"1->3 t1 RequestVoteReply refused"});
  CHECK(n.raft.deadline() == Time::never());
  n.receive(3, 1, AppendEntries{LogIndex(0), Term(0), LogIndex(0), {command(1, 1)}});
  CHECK(n.disk_done() == Texts{"1->3 t1 AppendEntriesReply match=1"});
}

TEST_CASE("raft: given messages for others, of old runs, of a second voter of one run, or answers to an old run, then they are dropped") {
  Solo n(3);
  auto drop = [&](Message m) {
    CHECK(n.take(n.raft.receive(n.now, std::move(m))) == Texts{});
    CHECK(n.raft.term() == Term{0});
  };
  n.receive(2, 0, RequestVoteReply{}, 5);
  drop({NodeId(2), NodeId(3), VoterId(2), sg::test::nth_run(5), sg::test::nth_run(10), Term(3), heartbeat()});
  drop({NodeId(2), NodeId(1), VoterId(9), sg::test::nth_run(5), sg::test::nth_run(10), Term(3), heartbeat()});
  drop({NodeId(2), NodeId(1), VoterId(2), sg::test::nth_run(4), sg::test::nth_run(10), Term(3), heartbeat()});
  drop({NodeId(2), NodeId(1), VoterId(2), sg::test::nth_run(5), sg::test::nth_run(9), Term(3), RequestVoteReply{false, true}});
  AppendEntries gap{LogIndex(0), Term(0), LogIndex(0), {command(1, 2)}};
  drop({NodeId(2), NodeId(1), VoterId(2), sg::test::nth_run(5), sg::test::nth_run(10), Term(3), gap});
  drop({NodeId(2), NodeId(1), VoterId(2), sg::test::nth_run(5), sg::test::nth_run(10), Term(3),
        AppendEntries{LogIndex(-1), Term(0), LogIndex(0), {}}});
}

}  // namespace sg::raft::test
