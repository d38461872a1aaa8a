// The in-sync set: who is put out, who may join, and which set the leader counts while it does not know what was committed.
#include <algorithm>

#include "tests/replica/timeline.h"

namespace sg::replica::test {

namespace {
Lines refuse(Timeline& t, IsrRefusal why) {
  auto epoch = t.state().partition_epoch;
  return t.event([&](Partition& p, Time now, Output& out) { p.isr_refused(now, epoch, why, out); });
}
// Node 3 is out of the ISR, has everything, and is proposed.
void propose_three(Timeline& t) {
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.subscribe(kThree, 0, -1);
  t.send(kThree);
  CHECK(t.ack(kThree, 0) == Lines{"propose 1 2 3"});
}
// One more record, durable on nodes 1 and 2 and not on 3.
void commit_without_three(Timeline& t, uint64_t token) {
  int64_t end = t.partition().log().log_end().v + 1;
  t.append(token, records(1));
  t.durable(end);
  t.send(kTwo);
  t.ack(kTwo, end);
}
}  // namespace

TEST_CASE("given a follower that lags for replica.lag.time.max, the leader proposes to go on without it, once") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.catch_up(kThree);
  CHECK(t.partition().deadline() == Time::never());  // an idle partition costs nothing
  CHECK(t.at(60s) == Lines{});
  t.append(7, records(1), Acks::leader);
  t.durable(1);
  t.send(kTwo);
  t.ack(kTwo, 1);
  t.at(69s);
  CHECK(t.partition().deadline() == t.now() + 1s);
  CHECK(t.at(70s) == Lines{"propose 1 2"});
  CHECK(t.at(71s) == Lines{});
  CHECK(t.isr({1, 2}) == Lines{"high watermark 1"});
}

TEST_CASE("given a follower that has everything and asks for no more, it lags from when it was lost, also where nothing is written") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.catch_up(kThree);
  t.at(20s);
  t.event([](Partition& p, Time now, Output& out) { p.follower_lost(now, kThree, out); });
  CHECK(t.partition().deadline() == t.now() + 10s);
  CHECK(t.at(29s) == Lines{});
  CHECK(t.at(30s) == Lines{"propose 1 2"});
}

TEST_CASE("given a shrink that the catalogue has not committed, the high watermark still waits for the member") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.durable(1);
  t.send(kTwo);
  t.ack(kTwo, 1);
  auto lines = t.at(10s);
  CHECK(std::ranges::count(lines, "propose 1 2") == 1);
  CHECK(t.high_watermark() == 0);
}

TEST_CASE("given a follower that always keeps up with a log that never rests, it does not lag") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  for (int64_t i = 1; i <= 60; ++i) {
    t.append(static_cast<uint64_t>(i), records(1), Acks::leader);
    t.durable(i);
    t.send(kTwo);
    if (i > 1) t.ack(kTwo, i - 1);  // always one behind
    auto lines = t.at(i * 1s);
    CHECK(std::ranges::count(lines, "propose 1") == 0);
  }
}

TEST_CASE("given a replica out of the ISR, it joins when durable to the start of the leader's epoch, not before") {
  // Known as committed: 2. But the leader before may have committed all 5.
  Timeline t(quick_config(), Offset(2), {at_offset(0, 1, 2), at_offset(2, 1, 3)});
  t.lead(2, {1, 2});
  t.subscribe(kThree, 2, 1);
  CHECK(t.send(kThree) == "2-5 high watermark 2");
  CHECK(t.ack(kThree, 2) == Lines{});
  CHECK(t.ack(kThree, 4) == Lines{});
  CHECK(t.ack(kThree, 5) == Lines{"propose 1 2 3"});
}

TEST_CASE("given a fenced replica that has everything, it joins when it is unfenced, and is counted under its own registration only") {
  Timeline t;
  t.state().replicas[2].fenced = true;
  t.lead(1, {1, 2});
  t.subscribe(kThree, 0, -1);
  t.send(kThree);
  CHECK(t.ack(kThree, 0) == Lines{});
  t.state().replicas[2].broker_epoch = BrokerEpoch(99);
  t.state().replicas[2].fenced = false;
  CHECK(t.tell() == Lines{});  // what the older registration had is not known of this one
  CHECK(t.subscribe(kThree, 0, -1, 2) == Lines{"send 3 refused 2"});
}

TEST_CASE("given a pending addition, the high watermark counts it before the catalogue has committed it") {
  Timeline t;
  propose_three(t);
  commit_without_three(t, 7);
  CHECK(t.high_watermark() == 0);
  t.send(kThree);
  CHECK(t.ack(kThree, 1) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given an addition refused as ineligible, it is counted no more, and is tried again after a pause") {
  Timeline t;
  propose_three(t);
  commit_without_three(t, 7);
  CHECK(refuse(t, IsrRefusal::ineligible) == Lines{"high watermark 1", "complete 7 ok at 0"});
  CHECK(t.at(199ms) == Lines{"wake sender 2", "wake sender 3"});
  t.send(kThree);
  CHECK(t.ack(kThree, 1) == Lines{});
  CHECK(t.at(200ms) == Lines{"propose 1 2 3"});
}

TEST_CASE("given an addition without an answer, it is counted until a newer partition epoch, whatever is answered later") {
  Timeline t;
  propose_three(t);
  commit_without_three(t, 7);
  CHECK(refuse(t, IsrRefusal::unknown) == Lines{});
  t.state().replicas[2].fenced = true;
  CHECK(t.tell() == Lines{});
  CHECK(t.at(200ms) == Lines{"propose 1 2"});  // nothing changes, but once committed it voids the first
  CHECK(refuse(t, IsrRefusal::ineligible) == Lines{});
  CHECK(t.high_watermark() == 0);  // the first one may still come true
  CHECK(t.isr({1, 2}) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given a stale answer, the addition is counted until newer state has come") {
  Timeline t;
  propose_three(t);
  commit_without_three(t, 7);
  CHECK(refuse(t, IsrRefusal::stale) == Lines{});
  CHECK(t.high_watermark() == 0);
  CHECK(t.isr({1, 2, 3}) == Lines{});
  CHECK(t.high_watermark() == 0);
}

TEST_CASE("given an answer to a proposal of an older partition epoch, nothing happens") {
  Timeline t;
  propose_three(t);
  commit_without_three(t, 7);
  CHECK(t.event([&](Partition& p, Time now, Output& out) { p.isr_refused(now, PartitionEpoch(0), IsrRefusal::ineligible, out); }) ==
        Lines{});
  CHECK(t.high_watermark() == 0);
}

TEST_CASE("given a silent controller, nothing is proposed until it is heard") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.append(7, records(1), Acks::leader);
  t.event([](Partition& p, Time now, Output& out) { p.standing(now, Standing::silent, out); });
  auto lines = t.at(11s);
  CHECK(std::ranges::none_of(lines, [](const std::string& l) { return l.starts_with("propose"); }));
  CHECK(t.event([](Partition& p, Time now, Output& out) { p.standing(now, Standing::registered, out); }) ==
        Lines{"wake readers", "propose 1"});
}

}  // namespace sg::replica::test
