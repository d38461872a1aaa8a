// The checks on what clients observed: for each anomaly a hand-made history that must be flagged, beside a neighbour that differs in one
// thing and must pass; and the legal cases of correctness.md part 2. The whole battery judges each story, so that a test also says which
// other checks stay silent.
#include "scenarios/checks/history_checks.h"

#include <doctest/doctest.h>

#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;

namespace {

const PartitionName kOrders{"orders", 0};
const PartitionName kOther{"orders", 1};

Time ms(int64_t n) { return Time{n * 1'000'000}; }

// One idempotent producer (client 1) had its records 0, 1 and 2 acknowledged one after the other, client 9 read them, and three replicas
// hold them.
struct Story {
  Story() {
    for (int64_t i = 0; i < 3; ++i) {
      send(i, Outcome::ok, i);
      read(9, i, {1, i});
      end(1, 1, i + 1);
    }
    for (int32_t node = 1; node <= 3; ++node) replicas.push_back({NodeId(node), kOrders, true, {}});
    for (int64_t i = 0; i < 3; ++i) store(i, {1, i});
  }

  Send& send(int64_t number, Outcome outcome, int64_t offset) {
    history.sends.push_back({.value = {1, number},
                             .partition = kOrders,
                             .acks = -1,
                             .idempotent = true,
                             .first_attempt = ms(10 * number),
                             .completed = ms(10 * number + 5),
                             .outcome = outcome,
                             .offset = Offset(offset)});
    return history.sends.back();
  }
  void read(int32_t client, int64_t offset, ValueId value) { history.reads.push_back({client, kOrders, Offset(offset), value, ms(100)}); }
  void end(int32_t broker, int32_t epoch, int64_t end) {
    history.ends.push_back({9, kOrders, NodeId(broker), LeaderEpoch(epoch), Offset(end), ms(50)});
  }
  // On every replica; its time is 1,000 ms and its offset.
  void store(int64_t offset, ValueId value) {
    for (ReplicaContents& r : replicas) r.records.push_back({Offset(offset), LeaderEpoch(1), value, 1000 + offset});
  }
  TopicOp& topic(TopicOp::Kind kind, int64_t begun, int64_t ended) {
    history.topic_ops.push_back(
        {.client = 1, .kind = kind, .topic = "orders", .begun = ms(begun), .ended = ms(ended), .outcome = Outcome::ok});
    return history.topic_ops.back();
  }
  void look(int64_t asked_ms, int64_t offset, int64_t timestamp_ms, int64_t begun = 100) {
    history.time_looks.push_back({9, kOrders, asked_ms, timestamp_ms, Offset(offset), ms(begun), ms(begun + 1)});
  }
  // The last record is gone from every replica, and nobody has read it.
  void lose_last() {
    for (ReplicaContents& r : replicas) r.records.pop_back();
    history.reads.pop_back();
  }

  // The names of the checks that found something, each once, in their order.
  std::string found() const {
    std::string names;
    for (const Violation& v : check_history(history, replicas))
      if (!names.ends_with(v.check)) names += (names.empty() ? "" : " ") + v.check;
    return names;
  }

  History history;
  std::vector<ReplicaContents> replicas;
};

}  // namespace

TEST_CASE("given a run without incident, then no check finds anything") {
  CHECK(Story().found() == "");
  CHECK(check_history({}, {}).empty());
}

TEST_CASE("H1: given an acknowledged record that no replica holds any more, then it is lost; with an unknown outcome it is not") {
  Story s;
  s.lose_last();
  CHECK(s.found() == "H1");
  CHECK(check_lost(s.history, s.replicas).size() == 1);
  s.history.sends.back().outcome = Outcome::unknown;
  CHECK(s.found() == "");
}

TEST_CASE("H1: given another record at the acknowledged offset, then both are named") {
  Story s;
  s.lose_last();
  s.send(7, Outcome::unknown, -1);
  s.store(2, {1, 7});
  std::vector<Violation> lost = check_lost(s.history, s.replicas);
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].text.find("record 2 of client 1") != std::string::npos);
  CHECK(lost[0].text.find("record 7 of client 1") != std::string::npos);
}

TEST_CASE("H1: given an acknowledged record that one in-sync replica lacks, then it is lost; outside the ISR it may lack it") {
  Story s;
  s.replicas[2].records.pop_back();
  CHECK(s.found() == "H1 H3 H4");
  s.replicas[2].in_sync = false;
  CHECK(s.found() == "");
}

TEST_CASE("H1: given acks=1 or acks=0, then a loss is legal") {
  Story s;
  s.lose_last();
  s.history.sends.back().idempotent = false;
  for (int16_t acks : {int16_t{1}, int16_t{0}}) {
    s.history.sends.back().acks = acks;
    CHECK(s.found() == "");
  }
}

TEST_CASE("H2: given a record twice in the log, then it is a duplicate, unless its producer was not idempotent") {
  Story s;
  s.store(3, {1, 2});
  CHECK(s.found() == "H2");
  s.history.sends[2].idempotent = false;
  CHECK(s.found() == "");
}

TEST_CASE("H2: given a record that was read at two offsets, then it is a duplicate; read twice at one offset it is not") {
  Story s;
  s.replicas.clear();
  s.read(8, 2, {1, 2});
  CHECK(s.found() == "");
  s.read(8, 3, {1, 2});
  CHECK(s.found() == "H2");
  s.history.sends[2].idempotent = false;
  CHECK(s.found() == "");
}

TEST_CASE("H3: given in-sync replicas of which one has another epoch, then they differ; outside the ISR it may") {
  Story s;
  s.replicas[1].records[2].epoch = LeaderEpoch(2);
  CHECK(s.found() == "H3");
  s.replicas[1].in_sync = false;
  CHECK(s.found() == "");
}

TEST_CASE("H3: given a longer in-sync replica, then they differ at its end; a longer one of another partition does not count") {
  Story s;
  s.send(3, Outcome::unknown, -1);
  s.replicas[0].records.push_back({Offset(3), LeaderEpoch(1), {1, 3}});
  CHECK(s.found() == "H3");
  s.replicas[1].records.push_back({Offset(3), LeaderEpoch(1), {1, 3}});
  s.replicas[2].records.push_back({Offset(3), LeaderEpoch(1), {1, 3}});
  CHECK(s.found() == "");
  s.replicas.push_back({NodeId(1), kOther, true, {}});
  CHECK(s.found() == "");
}

TEST_CASE("H4: given a stored record that nobody sent, then it is a phantom; a send that timed out may appear late") {
  Story s;
  s.store(3, {1, 3});
  CHECK(s.found() == "H4");
  Send& late = s.send(3, Outcome::unknown, -1);
  CHECK(s.found() == "");
  late.partition = kOther;
  CHECK(s.found() == "H4");
}

TEST_CASE("H4: given a send that certainly failed, then its record may stand nowhere") {
  Story s;
  s.send(3, Outcome::failed, -1);
  CHECK(s.found() == "");
  s.store(3, {1, 3});
  CHECK(s.found() == "H4");
}

TEST_CASE("H4: given a read of a record that nobody sent, then it is a phantom also without any replica") {
  Story s;
  s.replicas.clear();
  s.read(9, 3, {4, 4});
  CHECK(s.found() == "H4");
}

TEST_CASE("H4: given two readers that saw different records at one offset, then one of them saw what did not last") {
  Story s;
  s.replicas.clear();
  s.send(3, Outcome::unknown, -1);
  s.read(8, 1, {1, 1});
  CHECK(s.found() == "");
  s.read(8, 2, {1, 3});
  CHECK(s.found() == "H4");
}

TEST_CASE("H4: given a read record that the final log does not hold, then it was read above what is committed") {
  Story s;
  s.send(3, Outcome::unknown, -1);
  s.read(9, 3, {1, 3});
  CHECK(s.found() == "H4");
  s.store(3, {1, 3});
  CHECK(s.found() == "");
}

TEST_CASE("H4: given an anomaly that a client noted, then it is passed on in its words") {
  Story s;
  s.history.anomalies.push_back({9, kOrders, "a batch whose checksum fails", ms(7)});
  std::vector<Violation> all = check_history(s.history, s.replicas);
  REQUIRE(all.size() == 1);
  CHECK(all[0].check == "H4");
  CHECK(all[0].text.find("a batch whose checksum fails") != std::string::npos);
}

TEST_CASE("H7: given an idempotent producer's records in the wrong order, then they are flagged; without idempotence they may swap") {
  Story s;
  s.send(3, Outcome::unknown, -1);
  s.send(4, Outcome::unknown, -1);
  s.store(3, {1, 4});
  s.store(4, {1, 3});
  CHECK(s.found() == "H7");
  s.history.sends[3].idempotent = s.history.sends[4].idempotent = false;
  CHECK(s.found() == "");
}

TEST_CASE("H7: given a send that was given up, then under another identity it may stand behind later ones; under the same it may not") {
  Story s;
  s.send(3, Outcome::unknown, -1);
  s.send(4, Outcome::unknown, -1).producer = ProducerId(8);
  s.store(3, {1, 4});
  s.store(4, {1, 3});
  CHECK(s.found() == "");
  s.history.sends[3].producer = ProducerId(8);
  CHECK(s.found() == "H7");
}

TEST_CASE("H17: given a record that came in when everybody had read to the end, then nobody is owed it") {
  Story s;
  s.history.followers = {{9, kOrders}};
  s.send(3, Outcome::unknown, -1);
  s.store(3, {1, 3});
  CHECK(s.found() == "H17");
  s.history.owed_to_followers = {{kOrders, Offset(3)}};
  CHECK(s.found() == "");
  s.history.owed_to_followers = {{kOrders, Offset(4)}};
  CHECK(s.found() == "H17");
}

TEST_CASE("H7: given two producers, then only the order within each counts") {
  Story s;
  s.send(0, Outcome::unknown, -1).value.client = 2;
  s.store(3, {2, 0});
  CHECK(s.found() == "");
}

TEST_CASE("H7: given a send that began after another was acknowledged, then it has the larger offset; overlapping sends are free") {
  Story s;
  s.replicas.clear();
  s.history.reads.clear();
  s.history.sends.erase(s.history.sends.begin() + 1);
  Send& moved = s.send(3, Outcome::ok, 1);  // record 2 was acknowledged at offset 2 at 25 ms
  moved.first_attempt = ms(26);
  CHECK(s.found() == "H7");
  moved.first_attempt = ms(25);  // the same moment: nobody can say which came first
  CHECK(s.found() == "");
  moved.first_attempt = ms(26);
  moved.partition = kOther;
  CHECK(s.found() == "");
  moved.partition = kOrders;
  moved.offset = Offset(17);  // gaps are legal
  CHECK(s.found() == "");
}

TEST_CASE("H7: given an earlier send with acks=1, then its offset may be given again") {
  Story s;
  s.replicas.clear();
  s.history.reads.clear();
  s.send(3, Outcome::ok, 2);
  CHECK(s.found() == "H7");
  s.history.sends[2].acks = 1;
  CHECK(s.found() == "");
}

TEST_CASE("H7: given a later send with acks=1, then a deposed leader may have given it an older offset") {
  Story s;
  s.replicas.clear();
  s.history.reads.clear();
  s.send(3, Outcome::ok, 2);
  CHECK(s.found() == "H7");
  s.history.sends.back().acks = 1;
  s.history.sends.back().idempotent = false;
  CHECK(s.found() == "");
}

TEST_CASE("given gaps between offsets, as control records leave them, then nothing is wrong") {
  Story s;
  s.send(3, Outcome::ok, 9);
  s.read(9, 9, {1, 3});
  s.store(9, {1, 3});
  CHECK(s.found() == "");
}

TEST_CASE("H11: given an end that goes back under one broker and epoch, then it is flagged; across epochs, brokers and clients it may") {
  Story s;
  s.end(1, 1, 2);
  CHECK(s.found() == "H11");
  EndSeen& last = s.history.ends.back();
  last.leader_epoch = LeaderEpoch(2);
  CHECK(s.found() == "");
  last.leader_epoch = LeaderEpoch(1);
  last.broker = NodeId(2);
  CHECK(s.found() == "");
  last.broker = NodeId(1);
  last.client = 8;
  CHECK(s.found() == "");
  last.client = 9;
  last.end = Offset(3);  // told twice
  CHECK(s.found() == "");
}

// --- Told twice (pairs.h) --------------------------------------------------------------------------------------------------------

namespace {

const testing::AddPairs kHistoryPairs({
    {"H1", "an acknowledged record is on no replica",
     [](bool broken) {
       Story s;
       s.lose_last();
       if (!broken) s.history.sends.back().outcome = Outcome::unknown;
       return s.found();
     }},
    {"H2", "a record of an idempotent producer stands twice in the log",
     [](bool broken) {
       Story s;
       s.store(3, {1, 2});
       s.history.sends[2].idempotent = broken;
       return s.found();
     }},
    {"H3", "in-sync replicas differ in the epoch of a record",
     [](bool broken) {
       Story s;
       s.replicas[1].records[2].epoch = LeaderEpoch(2);
       s.replicas[1].in_sync = broken;
       return s.found();
     }},
    {"H4", "a record stands in the log that nobody sent",
     [](bool broken) {
       Story s;
       s.store(3, {1, 3});
       if (!broken) s.send(3, Outcome::unknown, -1);  // it timed out, and appears later
       return s.found();
     }},
    {"H4", "a record stands in the log whose send certainly failed",
     [](bool broken) {
       Story s;
       s.store(3, {1, 3});
       s.send(3, broken ? Outcome::failed : Outcome::unknown, -1);
       return s.found();
     }},
    {"H1", "a record is gone with its topic, whose deletion was over before it was sent",
     [](bool broken) {
       Story s;
       s.lose_last();  // record 2, first sent at 20 ms
       s.topic(TopicOp::Kind::deleted, 5, broken ? 19 : 20);
       return s.found();
     }},
    {"H1", "a record is gone that a leader took which had not heard of the deletion of its topic",
     [](bool broken) {
       Story s;
       s.lose_last();  // record 2, acknowledged at 25 ms
       s.history.late_acks.push_back({kOrders, Offset(2), Offset(3), ms(broken ? 26 : 25)});
       return s.found();
     }},
    {"H15", "a record of a topic that was deleted stands in the next one of its name",
     [](bool broken) {
       Story s;
       s.topic(TopicOp::Kind::deleted, broken ? 26 : 25, 30);  // record 2 was acknowledged at 25 ms
       s.history.sends.pop_back();
       s.history.sends.push_back({.value = {1, 2},
                                  .partition = kOrders,
                                  .acks = -1,
                                  .first_attempt = ms(20),
                                  .completed = ms(25),
                                  .outcome = Outcome::ok,
                                  .offset = Offset(2)});
       s.history.sends.erase(s.history.sends.begin(), s.history.sends.begin() + 2);
       s.history.reads.erase(s.history.reads.begin(), s.history.reads.begin() + 2);
       for (ReplicaContents& r : s.replicas) r.records.erase(r.records.begin(), r.records.begin() + 2);
       return s.found();
     }},
    {"H11", "the first record from a time on is not the first",
     [](bool broken) {
       Story s;
       s.look(1001, broken ? 2 : 1, broken ? 1002 : 1001);
       return s.found();
     }},
    {"H11", "a record is named with a time that it does not have",
     [](bool broken) {
       Story s;
       s.look(1001, 1, broken ? 1002 : 1001);
       return s.found();
     }},
    {"H11", "there is no record from a time on, although one was acknowledged before",
     [](bool broken) {
       Story s;
       s.look(1002, -1, -1, broken ? 26 : 25);  // record 2 was acknowledged at 25 ms
       return s.found();
     }},
    {"H13", "a topic that was made is not listed at the end",
     [](bool broken) {
       Story s;
       s.topic(TopicOp::Kind::made, 1, 2).topic = "new";
       s.history.listings = {{"node1", {"new", "orders"}}, {"node2", {broken ? "old" : "new"}}};
       return s.found();
     }},
    {"H13", "a topic that was deleted is listed at the end",
     [](bool broken) {
       Story s;
       s.topic(TopicOp::Kind::made, 1, 2).topic = "new";
       s.topic(TopicOp::Kind::deleted, 3, 4).topic = "new";
       s.history.listings = {{"node1", {broken ? "new" : "old"}}};
       return s.found();
     }},
    {"H14", "a topic is called there already that nobody has made since it was deleted",
     [](bool broken) {
       Story s;
       s.topic(TopicOp::Kind::made, 1, 2).topic = "new";
       TopicOp& last = s.topic(TopicOp::Kind::deleted, 3, 4);
       last.topic = "new";
       if (!broken) last.outcome = Outcome::unknown;
       TopicOp& again = s.topic(TopicOp::Kind::made, 5, 6);
       again.topic = "new";
       again.outcome = Outcome::failed;
       again.denied = true;
       return s.found();
     }},
    {"H14", "a topic is called unknown that was made, and that nobody else deletes",
     [](bool broken) {
       Story s;
       s.topic(TopicOp::Kind::made, 1, 2).topic = "new";
       TopicOp& gone = s.topic(TopicOp::Kind::deleted, 3, 4);
       gone.topic = "new";
       gone.outcome = Outcome::failed;
       gone.denied = true;
       gone.alone = broken;
       return s.found();
     }},
    {"H7", "the records of an idempotent producer stand in another order than they were sent in",
     [](bool broken) {
       Story s;
       s.send(3, Outcome::unknown, -1);
       s.send(4, Outcome::unknown, -1);
       s.store(3, {1, broken ? 4 : 3});
       s.store(4, {1, broken ? 3 : 4});
       return s.found();
     }},
    {"H7", "a send that began after another was acknowledged has the smaller offset",
     [](bool broken) {
       Story s;
       s.replicas.clear();
       s.history.reads.clear();
       s.history.sends.erase(s.history.sends.begin() + 1);
       s.send(3, Outcome::ok, 1).first_attempt = ms(broken ? 26 : 25);  // record 2 was acknowledged at offset 2 at 25 ms
       return s.found();
     }},
    {"H18", "an odd question is answered with what it may not be answered",
     [](bool broken) {
       Story s;
       s.history.odd_answers.push_back(
           {9, kOrders, "node1:9092", "Fetch v9 with a leader epoch to come", {"A", "B"}, broken ? "records" : "B", ms(50)});
       return s.found();
     }},
    {"H17", "who follows a partition from its beginning has not read its last record",
     [](bool broken) {
       Story s;
       s.history.followers.push_back({9, kOrders});
       if (broken) s.history.reads.pop_back();
       return s.found();
     }},
    {"H17", "who follows a partition from its beginning has skipped a record",
     [](bool broken) {
       Story s;
       s.history.followers.push_back({9, kOrders});
       if (broken) s.history.reads.erase(s.history.reads.begin() + 1);
       return s.found();
     }},
    {"H11", "the end that one broker tells one client goes back within an epoch",
     [](bool broken) {
       Story s;
       s.end(1, broken ? 1 : 2, 2);
       return s.found();
     }},
});

}  // namespace
