// Who may still speak (correctness E25): the table, row by row; and what a partition does with those who wait when its row changes.
#include "broker/replica/standing.h"

#include "tests/replica/timeline.h"

namespace sg::replica::test {
namespace {

constexpr Question kAll[] = {Question::append, Question::append_all, Question::fetch, Question::look_up, Question::leads};

Speaker leader(Standing standing) {
  return {.standing = standing, .damaged = false, .leads = true, .epoch = LeaderEpoch(3), .newest_epoch = LeaderEpoch(3)};
}
Asked fetch(int32_t current, int32_t last) { return {Question::fetch, LeaderEpoch(current), LeaderEpoch(last)}; }

Lines stand(Timeline& t, Standing standing) {
  return t.event([&](Partition& p, Time now, Output& out) { p.standing(now, standing, out); });
}

// Node 1 leads epoch 1 with node 2, and [0, 2) is committed.
struct CommittedTwo : Timeline {
  CommittedTwo() {
    lead(1, {1, 2});
    catch_up(kTwo);
    append(7, records(2));
    durable(2);
    send(kTwo);
    ack(kTwo, 2);
  }
};

Outcome read(Timeline& t, int64_t offset, int32_t current = 1, int32_t last = -1) {
  return t.partition().read({Offset(offset), LeaderEpoch(current), LeaderEpoch(last)}).outcome;
}

}  // namespace

TEST_CASE("given what a node has applied and was told, then its standing follows") {
  const Station in_office{.registered = true, .fenced = false, .since = LogIndex(9), .told = LogIndex(0), .heard = Time{1'000'000'000}};
  const Time soon = Time{1'000'000'000} + 2999ms;
  CHECK(standing_of(in_office, 3s, soon) == Standing::registered);
  CHECK(standing_of(in_office, 3s, soon + 1ms) == Standing::silent);
  Station s = in_office;
  s.registered = false;
  CHECK(standing_of(s, 3s, soon) == Standing::unregistered);
  s.replaced = true;  // by an earlier run, as far as it knows
  CHECK(standing_of(s, 3s, soon) == Standing::unregistered);
  s.was_registered = true;
  CHECK(standing_of(s, 3s, soon) == Standing::superseded);
  CHECK(standing_of(s, 3s, soon + 1ms) == Standing::superseded);
  s = in_office;
  s.fenced = true;
  CHECK(standing_of(s, 3s, soon) == Standing::fenced);
  s = in_office;
  s.told = LogIndex(9);  // of what it has applied: it was told late
  CHECK(standing_of(s, 3s, soon) == Standing::registered);
  s.told = LogIndex(10);
  CHECK(standing_of(s, 3s, soon) == Standing::fenced);
  s.since = LogIndex(12);  // it has applied that, and that it was taken back in
  CHECK(standing_of(s, 3s, soon) == Standing::registered);
}

TEST_CASE("given a registered leader, everything is answered as usual, and epochs are fenced") {
  for (Question q : kAll) CHECK(may_speak(leader(Standing::registered), {q}).speech == Speech::as_usual);
  CHECK(may_speak(leader(Standing::registered), fetch(3, 3)).speech == Speech::as_usual);
  CHECK(may_speak(leader(Standing::registered), fetch(2, 2)).error == Outcome::fenced_leader_epoch);
  CHECK(may_speak(leader(Standing::registered), fetch(4, 3)).error == Outcome::unknown_leader_epoch);
  CHECK(may_speak(leader(Standing::registered), fetch(-1, 4)).error == Outcome::unknown_leader_epoch);
  CHECK(may_speak(leader(Standing::registered), fetch(4, 3)).speech == Speech::nothing);
}

TEST_CASE("given a silent leader, acks=all goes on and whoever names its very epoch reads what is committed; nothing else is said") {
  CHECK(may_speak(leader(Standing::silent), {Question::append_all}).speech == Speech::as_usual);
  CHECK(may_speak(leader(Standing::silent), fetch(3, -1)).speech == Speech::committed);
  CHECK(may_speak(leader(Standing::silent), fetch(3, 3)).speech == Speech::committed);
  for (const Asked& asked : {Asked{Question::append}, Asked{Question::look_up}, Asked{Question::leads}, fetch(-1, -1), fetch(2, -1),
                             fetch(4, -1), fetch(3, 4)}) {
    CHECK(may_speak(leader(Standing::silent), asked).speech == Speech::nothing);
    CHECK(may_speak(leader(Standing::silent), asked).error == Outcome::controller_silent);
  }
}

TEST_CASE("given a node outside, or a follower, or a leader that a later epoch has reached, or a damaged replica, then nothing is said") {
  Speaker deposed = leader(Standing::registered);
  deposed.newest_epoch = LeaderEpoch(4);
  Speaker follower = leader(Standing::registered);
  follower.leads = false;
  Speaker damaged = follower;
  damaged.damaged = true;
  for (Question q : kAll) {
    for (const Speaker& s : {leader(Standing::unregistered), leader(Standing::fenced), leader(Standing::superseded), deposed, follower}) {
      CHECK(may_speak(s, {q}).speech == Speech::nothing);
      CHECK(may_speak(s, {q}).error == Outcome::not_leader);
    }
    CHECK(may_speak(damaged, {q}).speech == Speech::nothing);
    CHECK(may_speak(damaged, {q}).error == Outcome::damaged);
  }
}

TEST_CASE("given a leader that falls silent, who waits for its disk alone is told at once, and acks=all after a second") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  t.append(7, records(1));
  t.append(8, records(1), Acks::leader);
  t.at(600ms);
  t.append(9, records(1));
  CHECK(stand(t, Standing::silent) == Lines{"wake readers", "complete 8 controller_silent at 1"});
  CHECK(t.partition().deadline() == t.now() + 400ms);
  CHECK(t.at(999ms) == Lines{});
  CHECK(t.at(1000ms) == Lines{"complete 7 controller_silent at 0"});
  CHECK(t.append(10, records(1))[0] == "ok");
  t.durable(4);
  CHECK(t.send(kTwo) == "0-2 high watermark 0");
  CHECK(t.ack(kTwo, 2)[0] == "high watermark 2");
  t.send(kTwo);
  CHECK(t.ack(kTwo, 4) == Lines{"high watermark 4", "complete 9 ok at 2", "complete 10 ok at 3"});
}

TEST_CASE("given waits that are older than a second, when the silence begins, then they are let go at once") {
  Timeline t;
  t.lead(1, {1, 2});
  t.append(7, records(1));
  t.advance(900ms);
  t.append(8, records(1));
  t.advance(1100ms);
  CHECK(stand(t, Standing::silent) == Lines{"wake readers", "complete 7 controller_silent at 0"});
}

TEST_CASE("given a silent leader, a sequence that does not follow is no gap: another may lead, and have what is missing") {
  Timeline t;
  t.lead(1, {1, 2});
  t.catch_up(kTwo);
  CHECK(t.append(7, records(2, 0))[0] == "ok");
  stand(t, Standing::silent);
  for (uint64_t token : {8, 9}) CHECK(t.append(token, records(2, 8)) == Lines{"controller_silent"});
  CHECK(t.append(10, records(2, 2))[0] == "ok");
  CHECK(t.append(11, records(2, 2))[0] == "duplicate");
  stand(t, Standing::registered);
  CHECK(t.append(12, records(2, 8)) == Lines{"out_of_order_sequence"});
}

TEST_CASE("given a silent leader, a fetch is given committed records or an error, never news of its log") {
  CommittedTwo t;
  t.append(8, records(1));
  stand(t, Standing::silent);
  CHECK(read(t, 0) == Outcome::ok);
  CHECK(read(t, 0, 1, 1) == Outcome::ok);
  CHECK(read(t, 2) == Outcome::controller_silent);        // nothing to give: it would wait
  CHECK(read(t, 9) == Outcome::controller_silent);        // not: out of range
  CHECK(read(t, 2, 1, 0) == Outcome::controller_silent);  // not: diverging
  CHECK(read(t, 0, -1) == Outcome::controller_silent);    // whoever does not say whom it takes for the leader
  CHECK(t.latest().outcome == Outcome::controller_silent);
  stand(t, Standing::registered);
  CHECK(read(t, 2) == Outcome::ok);
  CHECK(read(t, 9) == Outcome::offset_out_of_range);
  CHECK(t.partition().read({Offset(2), LeaderEpoch(1), LeaderEpoch(0)}).diverging.has_value());
  CHECK(t.latest().outcome == Outcome::ok);
}

TEST_CASE("given a leader whose node is fenced or superseded, then all who wait are told, and nothing is said until the catalogue does") {
  CommittedTwo t;
  t.append(8, records(1));
  t.append(9, records(1), Acks::leader);
  CHECK(stand(t, Standing::fenced) == Lines{"wake readers", "complete 9 not_leader at 3", "complete 8 not_leader at 2"});
  CHECK(t.append(10, records(1)) == Lines{"not_leader"});
  CHECK(read(t, 0) == Outcome::not_leader);
  CHECK(t.latest().outcome == Outcome::not_leader);
  CHECK(t.follow(kTwo, 2).back() == "role 1 epoch 2");
}

TEST_CASE("given a leader, when any message names a later epoch, then it steps down before the catalogue tells") {
  CommittedTwo t;
  t.append(8, records(1));
  Ack ahead{kStream, LeaderEpoch(2), BrokerEpoch(12), 1, Offset(2)};
  CHECK(t.event([&](Partition& p, Time now, Output& out) { CHECK(p.ack(now, kTwo, ahead, out).has_value()); }) ==
        Lines{"complete 8 not_leader at 2", "role 0 epoch 1"});
  CHECK(read(t, 0) == Outcome::not_leader);
  CHECK(t.isr({1}) == Lines{});                         // older news do not bring it back
  CHECK(t.lead(3, {1, 2}) == Lines{"role 2 epoch 3"});  // a newer leadership does
}

TEST_CASE(
    "given a subscription under a later epoch, then the leader steps down, and the subscriber is served when the catalogue has told") {
  CommittedTwo t;
  Subscribe ahead{kStream, LeaderEpoch(2), BrokerEpoch(12), 5, Offset(2), LeaderEpoch(1)};
  CHECK(t.event([&](Partition& p, Time now, Output& out) { p.subscribe(now, kTwo, ahead, out); }) == Lines{"role 0 epoch 1"});
  CHECK(t.lead(2, {1, 2}) == Lines{"role 2 epoch 2", "wake sender 2"});
}

TEST_CASE("given an epoch that is over by another node's word, then it is not led any more when the catalogue comes to it") {
  Timeline t;
  t.follow(kTwo, 1);
  t.open(kTwo);
  Refused later{kStream, LeaderEpoch(4), 1, RefuseReason::fenced_leader_epoch};
  t.event([&](Partition& p, Time now, Output& out) { p.refused(now, kTwo, later, out); });
  CHECK(t.lead(3, {1, 2}).back() == "role 0 epoch 3");
  CHECK(t.append(7, records(1)) == Lines{"not_leader"});
  CHECK(t.lead(4, {1, 2}) == Lines{"role 2 epoch 4"});
}

// --- Damage ----------------------------------------------------------------------------------------------------------------------

TEST_CASE("given a leader that finds damage, then it steps down, all who wait are told, and it is reported") {
  CommittedTwo t;
  t.append(8, records(1));
  t.append(9, records(1), Acks::leader);
  auto damage = [&] { return t.event([](Partition& p, Time, Output& out) { p.damaged(Offset(0), Offset(2), out); }); };
  CHECK(damage() == Lines{"complete 9 not_leader at 3", "complete 8 not_leader at 2", "faulted", "role 0 epoch 1"});
  CHECK(damage() == Lines{});  // once
  CHECK(t.partition().is_damaged());
  CHECK(t.append(10, records(1)) == Lines{"damaged"});
  CHECK(read(t, 0) == Outcome::damaged);
  CHECK(t.latest().outcome == Outcome::damaged);
}

TEST_CASE("given a damaged replica, then it goes on hearing the catalogue and takes no role, whatever that says") {
  CommittedTwo t;
  t.event([](Partition& p, Time, Output& out) { p.damaged(Offset(0), Offset(2), out); });
  CHECK(t.follow(kTwo, 2) == Lines{});
  CHECK(t.partition().leader() == kTwo);
  CHECK(t.partition().leader_epoch() == LeaderEpoch(2));
  CHECK(t.open(kTwo) == Lines{});
  CHECK(t.data(2, {}) == Lines{});
  CHECK(t.lead(3, {1, 2}) == Lines{});
  CHECK(t.partition().role() == Role::none);
  CHECK(t.partition().leader_epoch() == LeaderEpoch(3));
}

TEST_CASE("given a follower that finds damage, then its leader is told no more, and it acknowledges nothing") {
  Timeline t;
  t.follow(kTwo, 1);
  t.open(kTwo);
  t.data(0, {at_offset(0, 1, 2)});
  const Lines lines = t.event([](Partition& p, Time, Output& out) { p.damaged(Offset(0), Offset(2), out); });
  CHECK(lines == Lines{"send 2 unsubscribe", "faulted", "role 0 epoch 1"});
  CHECK(t.durable(2) == Lines{});
}

}  // namespace sg::replica::test
