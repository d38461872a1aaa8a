// What the leader sends to whom: subscriptions, divergence, windows, news of the high watermark.
#include "tests/replica/timeline.h"

namespace sg::replica::test {

TEST_CASE("given a log with epochs 1, 3 and 4, a subscription is answered by data where it fits and by the diverging epoch where not") {
  struct Row {
    int64_t offset;
    int32_t last_epoch;
    const char* answer;
  };
  for (Row r : {Row{10, 1, "wake sender 2"},                   // a prefix
                {30, 4, "wake sender 2"},                      // all of it
                {0, -1, "wake sender 2"},                      // an empty log fits anything
                {11, 1, "send 2 diverged epoch 1 end 10"},     // longer in the same epoch
                {15, 2, "send 2 diverged epoch 1 end 10"},     // an epoch that is not here
                {31, 4, "send 2 diverged epoch 4 end 30"},     // longer than all of it
                {12, 0, "send 2 diverged epoch -1 end 0"}}) {  // older than anything here
    CAPTURE(r.offset);
    Timeline t(quick_config(), Offset(0), {at_offset(0, 1, 10), at_offset(10, 3, 10), at_offset(20, 4, 10)});
    t.lead(5, {1, 2, 3});
    CHECK(t.subscribe(kTwo, r.offset, r.last_epoch) == Lines{r.answer});
  }
}

TEST_CASE("given subscriptions of older epochs, strangers and the future, each gets its own answer") {
  Timeline t;
  t.lead(4, {1, 2, 3});
  auto subscribe = [&](NodeId from, int32_t leader_epoch, int64_t broker_epoch) {
    Subscribe m{kStream, LeaderEpoch(leader_epoch), BrokerEpoch(broker_epoch), 1, Offset(0), kNoLeaderEpoch};
    return t.event([&](Partition& p, Time now, Output& out) { p.subscribe(now, from, m, out); });
  };
  CHECK(subscribe(kTwo, 3, 12) == Lines{"send 2 refused 1"});       // fenced leader epoch
  CHECK(subscribe(kTwo, 4, 11) == Lines{"send 2 refused 2"});       // stale broker epoch
  CHECK(subscribe(NodeId(8), 4, 18) == Lines{"send 8 refused 3"});  // no replica
  CHECK(subscribe(kTwo, 5, 12) == Lines{"role 0 epoch 4"});         // the follower knows more: it waits here, and nobody leads meanwhile
  CHECK(t.lead(5, {1, 2, 3}) == Lines{"role 2 epoch 5", "wake sender 2"});
  CHECK(subscribe(kThree, 5, 40) == Lines{});
  t.follow(kTwo, 6);
  CHECK(subscribe(kThree, 6, 40) == Lines{});
  CHECK(subscribe(kThree, 6, 13) == Lines{"send 3 refused 0"});  // not the leader
}

TEST_CASE("given a window of 250 bytes, the third batch of 100 waits for an acknowledgement") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  for (uint64_t i = 1; i <= 5; ++i) t.append(i, records(1));
  CHECK(t.send(kTwo) == "0-2 high watermark 0");
  CHECK(t.send(kTwo) == "2-3 high watermark 0");  // 50 bytes are left, and one batch goes whatever its size
  CHECK(t.send(kTwo) == "");
  CHECK(t.ack(kTwo, 2) == Lines{"wake sender 2"});
  CHECK(t.send(kTwo) == "3-4 high watermark 0");
  CHECK(t.send(kTwo) == "4-5 high watermark 0");
  CHECK(t.send(kTwo) == "");
}

TEST_CASE("given a plan, when the follower subscribes anew while the batches are read, then it is stale") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.append(7, records(1));
  auto plan = t.partition().next_to_send(kTwo);
  REQUIRE(plan.has_value());
  t.subscribe(kTwo, 0, -1, 2);
  CHECK_FALSE(t.partition().sent(kTwo, *plan, Offset(1), {100}).has_value());
  CHECK(t.send(kTwo) == "0-1 high watermark 0");
}

TEST_CASE("given a lost session, nothing is sent, stale acknowledgements are dropped, and what was acknowledged still counts") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.send(kTwo);
  t.ack(kTwo, 1);
  t.event([](Partition& p, Time now, Output& out) { p.follower_lost(now, kTwo, out); });
  t.append(8, records(1));
  CHECK(t.send(kTwo) == "");
  CHECK(t.ack(kTwo, 2) == Lines{});
  CHECK(t.last_error == Errc::stopped);
  CHECK(t.durable(2) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given an acknowledgement of what was never sent, the session ends") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.ack(kTwo, 1);
  CHECK(t.last_error == Errc::invalid);
}

TEST_CASE("given a new high watermark and no data to ride with, it goes alone after the linger, once") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.durable(1);
  t.send(kTwo);
  t.ack(kTwo, 1);
  CHECK(t.send(kTwo) == "");
  CHECK(t.at(100ms) == Lines{"wake sender 2"});
  CHECK(t.send(kTwo) == "1-1 high watermark 1");
  CHECK(t.send(kTwo) == "");
  CHECK(t.at(150ms) == Lines{});
}

}  // namespace sg::replica::test
