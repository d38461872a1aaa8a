// The leader: commit rule, waits, high watermark, queries.
#include "tests/replica/timeline.h"

namespace sg::replica::test {

TEST_CASE("given an ISR of three, when all have a batch durable, then acks=all is answered, and not before") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.catch_up(kThree);
  CHECK(t.append(7, records(3)) == Lines{"ok", "wake sender 2", "wake sender 3"});
  CHECK(t.send(kTwo) == "0-3 high watermark 0");  // before the leader's own disk has it
  CHECK(t.send(kThree) == "0-3 high watermark 0");
  CHECK(t.ack(kTwo, 3) == Lines{});
  CHECK(t.durable(3) == Lines{});
  CHECK(t.ack(kThree, 3) == Lines{"high watermark 3", "complete 7 ok at 0"});
}

TEST_CASE("given followers that have it, when the leader's own disk is last, then its sync completes the wait") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.send(kTwo);
  CHECK(t.ack(kTwo, 1) == Lines{});
  CHECK(t.durable(1) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given acks=1, the leader's own disk answers") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  CHECK(t.append(7, records(1), Acks::leader) == Lines{"ok"});
  CHECK(t.append(8, records(1), Acks::leader) == Lines{"ok"});
  CHECK(t.durable(1) == Lines{"complete 7 ok at 0"});
  CHECK(t.durable(2) == Lines{"complete 8 ok at 1"});
  CHECK(t.high_watermark() == 0);
}

TEST_CASE("given an ISR below the minimum, acks=all is refused, acks=1 is not, and the high watermark stands") {
  Timeline t;
  t.lead(1, {1});
  CHECK(t.append(7, records(1)) == Lines{"not_enough_replicas"});
  CHECK(t.append(8, records(1), Acks::leader) == Lines{"ok"});
  CHECK(t.durable(1) == Lines{"complete 8 ok at 0"});
  CHECK(t.high_watermark() == 0);
}

TEST_CASE("given fewer replicas than min.insync.replicas, the factor is the minimum") {
  Timeline t;
  t.state().replicas.resize(1);
  t.lead(1, {1});
  t.append(7, records(1));
  CHECK(t.durable(1) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given a wait, when the ISR falls below the minimum, then the deadline says so, and otherwise that time ran out") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.durable(1);
  CHECK(t.partition().deadline() == t.now() + 1s);
  CHECK(t.at(1s) == Lines{"complete 7 request_timed_out at 0"});
  t.append(8, records(1));
  t.isr({1});
  CHECK(t.high_watermark() == 0);
  CHECK(t.at(2s) == Lines{"complete 8 not_enough_replicas_after_append at 1"});
}

TEST_CASE("given a member that holds a wait back, when the catalogue removes it, then the wait is over") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.durable(1);
  t.send(kTwo);
  t.ack(kTwo, 1);
  CHECK(t.isr({1, 2}) == Lines{"high watermark 1", "complete 7 ok at 0"});
}

TEST_CASE("given waits of both kinds, when leadership goes, then all fail with not_leader") {
  Timeline t;
  t.lead(1, {1, 2, 3});
  t.append(7, records(1));
  t.append(8, records(1), Acks::leader);
  CHECK(t.follow(kTwo, 2) == Lines{"complete 8 not_leader at 1", "complete 7 not_leader at 0", "role 1 epoch 2"});
  CHECK(t.append(9, records(1)) == Lines{"not_leader"});
  CHECK(t.latest().outcome == Outcome::not_leader);
}

TEST_CASE("given a batch under way, its retry waits for the original, and both are answered with its offset") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(2, 0));
  CHECK(t.append(8, records(2, 0)) == Lines{"duplicate"});
  CHECK(t.append(9, records(2, 2))[0] == "ok");
  t.durable(4);
  t.send(kTwo);
  CHECK(t.ack(kTwo, 2) == Lines{"high watermark 2", "complete 7 ok at 0", "complete 8 ok at 0"});
  CHECK(t.append(10, records(2, 0)) == Lines{"duplicate", "complete 10 ok at 0"});
  CHECK(t.append(11, records(2, 6)) == Lines{"out_of_order_sequence"});
}

TEST_CASE("given no state, a first batch in mid-sequence is refused once, and another leader refuses it once more") {
  Timeline t;
  t.lead(1, {1, 2});
  CHECK(t.append(7, records(2, 6)) == Lines{"producer_unknown"});
  CHECK(t.append(8, records(2, 8)) == Lines{"producer_unknown"});
  t.follow(kTwo, 2);
  t.lead(3, {1, 2});
  CHECK(t.append(9, records(2, 6)) == Lines{"producer_unknown"});
  CHECK(t.append(10, records(2, 8)) == Lines{"producer_unknown"});
  CHECK(t.append(11, records(2, 6))[0] == "ok");
  CHECK(t.append(12, records(2, 8))[0] == "ok");
  CHECK(t.append(13, records(2, 4)) == Lines{"out_of_order_sequence"});
}

TEST_CASE("given a first batch that was refused once and then for want of replicas, when it comes again, then it is taken") {
  Timeline t;
  t.lead(1, {1});
  CHECK(t.append(7, records(2, 6)) == Lines{"producer_unknown"});
  CHECK(t.append(8, records(2, 6)) == Lines{"not_enough_replicas"});
  t.isr({1, 2});
  CHECK(t.append(9, records(2, 6))[0] == "ok");
}

TEST_CASE("given a new leader to which a producer turns with its second batch, then it is refused once, and called a gap when it returns") {
  Timeline t;
  t.lead(1, {1, 2});
  CHECK(t.append(7, records(2, 0))[0] == "ok");
  CHECK(t.append(8, records(2, 4)) == Lines{"out_of_order_sequence"});  // this leader has heard what came before
  t.follow(kTwo, 2);
  t.lead(3, {1, 2});
  CHECK(t.append(9, records(2, 4)) == Lines{"earlier_awaited"});
  CHECK(t.append(10, records(2, 2))[0] == "ok");
  CHECK(t.append(11, records(2, 4))[0] == "ok");
  CHECK(t.append(12, records(2, 8)) == Lines{"out_of_order_sequence"});

  t.follow(kTwo, 4);
  t.lead(5, {1, 2});
  CHECK(t.append(13, records(2, 8)) == Lines{"earlier_awaited"});
  CHECK(t.append(14, records(2, 10)) == Lines{"earlier_awaited"});
  CHECK(t.append(15, records(2, 8)) == Lines{"out_of_order_sequence"});
}

TEST_CASE("given a batch that was refused for want of replicas or room, then those behind it wait for it") {
  Timeline t;
  t.lead(1, {1, 2});
  CHECK(t.append(7, records(2, 0))[0] == "ok");
  t.isr({1});
  CHECK(t.append(8, records(2, 2)) == Lines{"not_enough_replicas"});
  t.isr({1, 2});
  CHECK(t.append(9, records(2, 4)) == Lines{"earlier_awaited"});
  CHECK(t.append(10, records(2, 4)) == Lines{"earlier_awaited"});
  CHECK(t.append(11, records(2, 2))[0] == "ok");
  CHECK(t.append(12, records(2, 4))[0] == "ok");
  t.partition().set_log_full(true);
  CHECK(t.append(13, records(2, 6)) == Lines{"log_full"});
  t.partition().set_log_full(false);
  CHECK(t.append(14, records(2, 8)) == Lines{"earlier_awaited"});
  CHECK(t.append(15, records(2, 6))[0] == "ok");
}

TEST_CASE("given a full log, new batches are refused and repetitions are answered") {
  Timeline t;
  t.lead(1, {1, 2});
  t.append(7, records(1, 0), Acks::leader);
  t.durable(1);
  t.partition().set_log_full(true);
  CHECK(t.append(8, records(1, 1)) == Lines{"log_full"});
  CHECK(t.append(9, records(1, 0), Acks::leader) == Lines{"duplicate", "complete 9 ok at 0"});
}

TEST_CASE("given a new leader, latest is not available until the high watermark reaches the start of its epoch (KIP-207)") {
  Timeline t(quick_config(), Offset(2), {at_offset(0, 1, 2), at_offset(2, 1, 3)});
  t.lead(2, {1, 2});
  CHECK(t.high_watermark() == 2);
  CHECK(t.latest().outcome == Outcome::offset_not_available);
  CHECK(t.partition().read({Offset(1)}).bound == Offset(2));      // what is known to be committed is served
  CHECK(t.partition().read({Offset(9)}).outcome == Outcome::ok);  // and beyond the end, who knows: wait
  t.catch_up(kTwo);
  CHECK(t.latest().outcome == Outcome::ok);
  CHECK(t.latest().offset == Offset(5));
  CHECK(t.partition().read({Offset(5)}).outcome == Outcome::ok);
  CHECK(t.partition().read({Offset(6)}).outcome == Outcome::offset_out_of_range);
}

TEST_CASE("given records of an epoch from an earlier run, that epoch is not led again") {
  Timeline t(quick_config(), Offset(0), {at_offset(0, 4, 2)});
  CHECK(t.lead(4, {1, 2, 3}) == Lines{"role 0 epoch 4"});
  CHECK(t.append(7, records(1)) == Lines{"not_leader"});
  CHECK(t.lead(5, {1, 2, 3}) == Lines{"role 2 epoch 5"});
}

TEST_CASE("given another registration than the catalogue's newest, no role is taken") {
  Timeline t;
  t.state().replicas[0].broker_epoch = BrokerEpoch(12);  // this node serves under 11
  CHECK(t.lead(1, {1, 2, 3}) == Lines{"role 0 epoch 1"});
}

namespace {

// Node 2 registers anew, in this directory, and its next subscription says where its log ends.
Lines comes_back(Timeline& t, uint64_t directory, int64_t broker_epoch, int64_t offset, int32_t last_epoch) {
  ReplicaState& two = t.state().replicas[1];
  two.broker_epoch = BrokerEpoch(broker_epoch);
  two.directory = Uuid{0, directory};
  t.tell();
  Subscribe m{kStream, t.state().leader_epoch, two.broker_epoch, 9, Offset(offset), LeaderEpoch(last_epoch)};
  return t.event([&](Partition& p, Time now, Output& out) { p.subscribe(now, kTwo, m, out); });
}

// Node 2 of directory 1 has acknowledged 4 records in epoch 1.
void two_has_four(Timeline& t) {
  t.state().replicas[1].directory = Uuid{0, 1};
  t.lead(1, {1, 2, 3});
  t.catch_up(kTwo);
  t.append(7, records(4));
  t.durable(4);
  t.send(kTwo);
  t.ack(kTwo, 4);
  t.append(8, records(2));  // sent, and not acknowledged
  t.durable(6);
  t.send(kTwo);
}

}  // namespace

TEST_CASE("given a member that comes back with all it had acknowledged, with more or less of the rest, then it goes on") {
  for (int64_t end : {4, 6}) {
    Timeline t;
    two_has_four(t);
    CHECK(comes_back(t, 1, 40, end, 1) == Lines{"wake sender 2"});
  }
}

TEST_CASE(
    "given a member that comes back with less than it had acknowledged in this epoch, then it is told, counts no longer, and is voted "
    "out") {
  Timeline t;
  two_has_four(t);
  CHECK(comes_back(t, 1, 40, 3, 1) == Lines{"send 2 refused 5", "propose 1 3"});
  // Nor does it count after another restart, with whatever it says then, or before it has registered again.
  CHECK(comes_back(t, 1, 41, 6, 1) == Lines{"send 2 refused 5"});
  t.state().replicas[1].fenced = false;
  t.isr({1, 3});
  CHECK(comes_back(t, 1, 42, 6, 1) == Lines{"send 2 refused 5"});
}

TEST_CASE("given a member that comes back with a log that parts from the leader's below what it had acknowledged, then it is told") {
  Timeline t(quick_config(), Offset(0), {at_offset(0, 0, 2)});
  t.state().replicas[1].directory = Uuid{0, 1};
  t.lead(2, {1, 2, 3});
  t.catch_up(kTwo);
  t.append(7, records(4));
  t.durable(6);
  t.send(kTwo);
  t.ack(kTwo, 6);
  CHECK(comes_back(t, 1, 40, 5, 1) == Lines{"send 2 refused 5", "propose 1 3"});  // of an epoch that is not in this log
}

TEST_CASE("given another directory, or another leader epoch, then what was acknowledged before is held against nobody") {
  Timeline t;
  two_has_four(t);
  CHECK(comes_back(t, 2, 40, 0, -1) == Lines{"wake sender 2"});
  Timeline u;
  two_has_four(u);
  u.follow(kThree, 2);
  u.lead(3, {1, 2, 3});
  CHECK(comes_back(u, 1, 40, 3, 1) == Lines{"wake sender 2"});
}

}  // namespace sg::replica::test
