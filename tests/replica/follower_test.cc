// The follower: subscribe, truncate by epoch, write what comes, acknowledge what is durable.
#include "tests/replica/timeline.h"

namespace sg::replica::test {

TEST_CASE("given an empty follower, when its session opens, then it subscribes, writes, and acknowledges only what is durable") {
  Timeline t;
  CHECK(t.follow(kTwo, 3) == Lines{"role 1 epoch 3"});
  CHECK(t.open(kTwo) == Lines{"send 2 subscribe at 0 epoch -1"});
  CHECK(t.data(0, {}) == Lines{"send 2 ack 0"});
  CHECK(t.data(0, {at_offset(0, 2, 3), at_offset(3, 3, 2)}) == Lines{"write 0-5"});
  CHECK(t.durable(3) == Lines{"send 2 ack 3"});
  CHECK(t.durable(5) == Lines{"send 2 ack 5"});
}

TEST_CASE("given the leader's high watermark, the follower's is that or its own end, and never goes back") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  t.data(100, {at_offset(0, 3, 4)});
  CHECK(t.high_watermark() == 4);
  t.data(2, {at_offset(4, 3, 1)});
  CHECK(t.high_watermark() == 4);
}

TEST_CASE("given a log that parted from the leader's, it is truncated by epoch until it fits (KIP-279)") {
  // Ours: epoch 1 to 10, epoch 2 to 14, epoch 3 to 20. The leader's: epoch 1 to 8, epoch 4.
  Timeline t(quick_config(), Offset(6), {at_offset(0, 1, 6), at_offset(6, 1, 4), at_offset(10, 2, 4), at_offset(14, 3, 6)});
  t.follow(kTwo, 5);
  CHECK(t.open(kTwo) == Lines{"send 2 subscribe at 20 epoch 3"});
  CHECK(t.diverged(1, 8) == Lines{"truncate to 8", "send 2 subscribe at 8 epoch 1"});
  CHECK(t.data(6, {at_offset(8, 4, 1)}, 2) == Lines{"write 8-9", "send 2 ack 8"});
}

TEST_CASE("given that the leader's largest epoch is missing here, the one below it decides, step by step") {
  // Ours: epoch 1 to 10, epoch 3 to 20. The leader has epoch 2 where we have none.
  Timeline t(quick_config(), Offset(0), {at_offset(0, 1, 10), at_offset(10, 3, 10)});
  t.follow(kTwo, 5);
  t.open(kTwo);
  CHECK(t.diverged(2, 15) == Lines{"truncate to 10", "send 2 subscribe at 10 epoch 1"});
  CHECK(t.diverged(1, 4, 2) == Lines{"truncate to 4", "send 2 subscribe at 4 epoch 1"});
  CHECK(t.diverged(-1, 0, 3) == Lines{"truncate to 0", "send 2 subscribe at 0 epoch -1"});
}

TEST_CASE("given a divergence below the high watermark, nothing is truncated and the replica is out of service") {
  Timeline t(quick_config(), Offset(10), {at_offset(0, 1, 10), at_offset(10, 3, 10)});
  t.follow(kTwo, 5);
  t.open(kTwo);
  CHECK(t.diverged(1, 9) == Lines{"send 2 unsubscribe", "faulted", "role 0 epoch 5"});
  CHECK(t.partition().log().log_end() == Offset(20));
  CHECK(t.follow(kThree, 6) == Lines{});
}

TEST_CASE("given a truncation, reports on the old tail count no more, and the truncation's own does") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  t.data(0, {at_offset(0, 3, 4), at_offset(4, 3, 4)});
  t.follow(kThree, 4);
  CHECK(t.open(kThree) == Lines{"send 3 subscribe at 8 epoch 3"});
  CHECK(t.diverged(3, 4, 2) == Lines{"truncate to 4", "send 3 subscribe at 4 epoch 3"});
  CHECK(t.data(0, {at_offset(4, 4, 8)}, 3) == Lines{"write 4-12", "send 3 ack 0"});
  auto late = [](Partition& p, Time now, Output& out) { p.durable(now, 0, Offset(8), out); };
  CHECK(t.event(late) == Lines{});
  CHECK(t.durable(4) == Lines{"send 3 ack 4"});
}

TEST_CASE("given data of another subscription, epoch or sender, it is dropped; given a gap or an epoch that goes back, the session ends") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  CHECK(t.data(0, {at_offset(0, 3, 1)}, 9) == Lines{});
  CHECK(t.last_error == Errc::stopped);
  CHECK(t.data(0, {at_offset(1, 3, 1)}) == Lines{});
  CHECK(t.last_error == Errc::invalid);
  CHECK(t.data(0, {at_offset(0, 4, 1)}) == Lines{});
  CHECK(t.last_error == Errc::invalid);
  CHECK(t.data(0, {at_offset(0, 2, 1), at_offset(1, 1, 1)}) == Lines{});
  CHECK(t.last_error == Errc::invalid);
  CHECK(t.partition().log().log_end() == Offset(0));
}

TEST_CASE("given no answer or a refusal, the follower asks again under a new number; given a closed session, it waits for the next") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  CHECK(t.at(2s) == Lines{"send 2 subscribe at 0 epoch -1"});
  t.event([&](Partition& p, Time now, Output& out) {
    p.refused(now, kTwo, Refused{kStream, LeaderEpoch(2), 2, RefuseReason::not_leader}, out);
  });
  CHECK(t.partition().deadline() == t.now() + 100ms);
  CHECK(t.at(2100ms) == Lines{"send 2 subscribe at 0 epoch -1"});
  t.event([](Partition& p, Time now, Output& out) { p.session_closed(now, kTwo, out); });
  CHECK(t.partition().deadline() == Time::never());
  CHECK(t.open(kTwo) == Lines{"send 2 subscribe at 0 epoch -1"});
  CHECK(t.data(0, {}, 3) == Lines{});  // an answer to an older question
  CHECK(t.data(0, {}, 4) == Lines{"send 2 ack 0"});
}

TEST_CASE("given a new leader, the old one is told, and what was durable is acknowledged only once the logs are known to fit") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  t.open(kThree);
  t.data(0, {at_offset(0, 3, 4)});
  CHECK(t.follow(kThree, 4) == Lines{"send 2 unsubscribe", "send 3 subscribe at 4 epoch 3", "role 1 epoch 4"});
  CHECK(t.durable(4) == Lines{});
  CHECK(t.data(0, {}, 2) == Lines{"send 3 ack 4"});
}

TEST_CASE("given a recovered log, its state is what the batches say, and the mark of the high watermark is its lower bound") {
  Timeline t(quick_config(), Offset(7), {at_offset(0, 1, 5), at_offset(5, 2, 5)});
  CHECK(t.high_watermark() == 7);
  CHECK(t.partition().log().durable_end() == Offset(10));
  CHECK(t.partition().log().epochs().last() == LeaderEpoch(2));
  Timeline shorter(quick_config(), Offset(7), {at_offset(0, 1, 5)});
  CHECK(shorter.high_watermark() == 5);
}

TEST_CASE("given a batch with the largest offset delta that its header can hold, then it ends behind its base") {
  Descriptor batch{.base = Offset(7), .epoch = LeaderEpoch(0), .info = {.record_count = 1, .last_offset_delta = INT32_MAX}};
  CHECK(batch.end() == Offset(7 + (INT64_C(1) << 31)));
}

TEST_CASE("given a leader that has counted more from this directory, then it is damaged; not if the leader of another epoch says so") {
  Timeline t;
  t.follow(kTwo, 3);
  t.open(kTwo);
  auto told = [&](int32_t epoch, uint64_t subscription) {
    return t.event([&](Partition& p, Time now, Output& out) {
      p.refused(now, kTwo, Refused{kStream, LeaderEpoch(epoch), subscription, RefuseReason::holds_less}, out);
    });
  };
  CHECK(told(2, 1) == Lines{});
  CHECK_FALSE(t.partition().is_damaged());
  t.at(2100ms);
  CHECK(told(3, 1) == Lines{});  // an answer to an older question
  CHECK(told(3, 2) == Lines{"send 2 unsubscribe", "faulted", "role 0 epoch 3"});
  CHECK(t.partition().is_damaged());
}

}  // namespace sg::replica::test
