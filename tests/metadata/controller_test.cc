// Timelines of failure detection: who is fenced when, who comes back how.
#include "broker/metadata/controller.h"
#include "tests/base/nth_run.h"

#include <algorithm>

#include "tests/metadata/timeline.h"

namespace sg::metadata {
namespace {

TEST_CASE("given an empty cluster, when its first controller starts, then it names the cluster once") {
  Timeline t;
  t.start();
  REQUIRE(t.proposed.size() == 1);
  t.apply_all();
  Uuid id = t.catalogue().cluster_id();
  CHECK(!id.is_zero());
  t.stop();
  t.fail_over(2);
  CHECK(t.proposed.empty());
  CHECK(t.catalogue().cluster_id() == id);
}

TEST_CASE("given a new broker, when it has registered, then it is unfenced by the first heartbeat that has applied its registration") {
  Timeline t;
  t.start();
  t.apply_all();
  uint64_t id = t.request(2, Replayed::registration(2, 10));
  t.apply_all();
  auto epoch = std::get<RegisterReply>(t.reply(id).body).broker_epoch;
  CHECK(epoch == t.broker(2).epoch);
  CHECK(t.beat(2, LogIndex(epoch.v - 1)) == HeartbeatStatus::fenced);
  CHECK(t.proposed.empty());
  CHECK(t.beat(2) == HeartbeatStatus::fenced);
  CHECK(t.beat(2) == HeartbeatStatus::fenced);
  CHECK(t.proposed.size() == 1);  // once, however many heartbeats come meanwhile
  t.apply_all();
  CHECK(t.beat(2) == HeartbeatStatus::ok);
}

TEST_CASE("given heartbeats, when they stop, then the broker is fenced a session after the last, and once") {
  ThreeNodes t;
  t.beat_all({1, 2, 3});
  for (int i = 0; i < 29; ++i) {
    t.pass(100ms);
    t.beat_all({1, 3});
    CHECK(t.proposed.empty());
  }
  Time last_chance = t.controller().deadline();
  CHECK(last_chance == t.now + 100ms);
  t.run_to_deadline();
  REQUIRE(t.proposed.size() == 1);
  t.take(t.controller().on_deadline(t.now));
  t.beat_all({1, 3});
  CHECK(t.proposed.size() == 1);
  CHECK(t.controller().deadline() > t.now);  // no busy loop while the record is on its way
  t.apply_all();
  CHECK(t.broker(2).fenced);
  CHECK(t.p().leader == NodeId(3));
  CHECK(t.p().isr_nodes() == nodes({3, 1}));
}

TEST_CASE("given a fence that Raft lost, when the retry is due, then it is proposed again, unless the broker was heard of") {
  ThreeNodes t;
  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(10)));
  REQUIRE(t.proposed.size() == 1);
  t.lose_one();
  CHECK(t.proposed.empty());
  SUBCASE("silent: again") {
    CHECK(t.controller().deadline() == t.now + 100ms);
    t.run_to_deadline();
    CHECK(t.proposed.size() == 1);
  }
  SUBCASE("heard of: the suspicion is cancelled") {
    t.beat(2);
    t.pass(200ms);
    t.take(t.controller().on_deadline(t.now));
    CHECK(t.proposed.empty());
  }
}

TEST_CASE("given suspicion, when it comes, then the broker is fenced at once; once per run; and traffic brings it back") {
  ThreeNodes t;
  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(9)));
  CHECK(t.proposed.empty());  // of a run that is over
  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(10)));
  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(10)));
  REQUIRE(t.proposed.size() == 1);
  LogIndex before = t.catalogue().applied();
  t.apply_all();
  CHECK(t.broker(2).fenced);
  CHECK(t.p().leader == NodeId(3));

  // What it sent before it died proves nothing.
  CHECK(t.beat(2, before) == HeartbeatStatus::fenced);
  CHECK(t.proposed.empty());
  // What it sends after it has learned of its fencing does.
  t.beat(2);
  t.apply_all();
  CHECK(!t.broker(2).fenced);
  CHECK(t.proposed.empty());

  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(10)));
  CHECK(t.proposed.empty());  // it was wrong once: now only silence counts

  t.boot(2, 11);
  t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(11)));
  CHECK(t.proposed.size() == 1);
}

TEST_CASE("given a newer run says hello, when it registers in time, then it keeps its place; else the old one is fenced") {
  ThreeNodes t;
  t.take(t.controller().on_alive(t.now, NodeId(2), sg::test::nth_run(11)));
  CHECK(t.proposed.empty());
  CHECK(t.controller().deadline() == t.now + 100ms);
  SUBCASE("in time") {
    t.boot(2, 11);
    CHECK(t.p().isr_nodes() == nodes({2, 3, 1}));
    CHECK(t.p().leader == NodeId(3));
    CHECK(t.controller().deadline() > t.now + 100ms);
  }
  SUBCASE("on its way: it is waited for") {
    t.request(2, Replayed::registration(2, 11));
    t.pass(1s);
    t.take(t.controller().on_deadline(t.now));
    CHECK(t.proposed.size() == 1);
    t.apply_all();
    CHECK(t.p().isr_nodes() == nodes({2, 3, 1}));
  }
  SUBCASE("not in time") {
    t.run_to_deadline();
    t.apply_all();
    CHECK(t.broker(2).fenced);
    CHECK(t.p().isr_nodes() == nodes({3, 1}));
    t.boot(2, 11);
    CHECK(t.p().isr_nodes() == nodes({3, 1}));
  }
  SUBCASE("gone again: it is fenced at once") {
    t.take(t.controller().on_suspicion(t.now, NodeId(2), sg::test::nth_run(11)));
    t.apply_all();
    CHECK(t.broker(2).fenced);
  }
}

TEST_CASE("given a new controller, when it starts, then it probes the others at once and gives each a full session") {
  ThreeNodes t;
  t.beat_all({1, 2, 3});
  t.pass(2900ms);  // nobody was heard of: the old controller was gone
  t.fail_over(3);
  CHECK(t.probes == nodes({1, 2}));
  CHECK(t.controller().deadline() == t.now + 3s);
  t.take(t.controller().on_probe_refused(t.now, NodeId(1)));
  t.take(t.controller().on_alive(t.now, NodeId(2), sg::test::nth_run(10)));
  REQUIRE(t.proposed.size() == 1);
  t.apply_all();
  CHECK(t.broker(1).fenced);
  CHECK(!t.broker(2).fenced);
}

TEST_CASE("given a probe that is refused late, when the node has registered anew meanwhile, then that does not count against it") {
  ThreeNodes t;
  t.fail_over(3);
  t.boot(2, 11);
  t.take(t.controller().on_probe_refused(t.now, NodeId(2)));
  CHECK(t.proposed.empty());
}

TEST_CASE("given the last in-sync replica, when it dies and returns, then its partition is offline in between") {
  ThreeNodes t;
  for (int node : {3, 1, 2}) {
    t.take(t.controller().on_suspicion(t.now, NodeId(node), sg::test::nth_run(10)));
    t.apply_all();
  }
  CHECK(t.p().isr_nodes() == nodes({2}));
  CHECK(t.p().leader == kNoNode);
  t.boot(1, 11);
  t.boot(3, 11);
  CHECK(t.p().leader == kNoNode);
  SUBCASE("clean") {
    t.boot(2, 11);
    CHECK(t.p().leader == NodeId(2));
  }
  SUBCASE("emptied") {
    t.boot(2, 11, 2);
    CHECK(t.p().leader == kNoNode);
    CHECK(t.p().isr == copies({2}));
  }
}

TEST_CASE(
    "given a power cut of all nodes, when they return in any order within a session, then nobody loses a place and all is available") {
  std::vector<int> order{1, 2, 3};
  do {
    ThreeNodes t;
    t.pass(1s);
    t.fail_over(order[0]);
    for (int node : order) {
      t.take(t.controller().on_alive(t.now, NodeId(node), sg::test::nth_run(11)));
      t.pass(20ms);
      t.boot(node, 11);
    }
    CHECK(t.p().isr_nodes() == nodes({2, 3, 1}));
    CHECK(t.p().online());
    CHECK(t.proposed.empty());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("given a heartbeat of another epoch, run or node, when it comes, then it is told to register") {
  ThreeNodes t;
  const Broker b = t.broker(2);
  auto status = [&](NodeId node, Run run, BrokerEpoch epoch) {
    t.take(t.controller().on_heartbeat(t.now, {node, run, epoch, t.catalogue().applied(), 5}));
    CHECK(t.heartbeats.back().sequence == 5);
    CHECK(t.heartbeats.back().to == node);
    return t.heartbeats.back().status;
  };
  CHECK(status(b.node, b.run, b.epoch) == HeartbeatStatus::ok);
  CHECK(status(b.node, sg::test::nth_run(11), b.epoch) == HeartbeatStatus::register_again);
  CHECK(status(b.node, b.run, b.epoch - 1) == HeartbeatStatus::register_again);
  CHECK(status(NodeId(8), b.run, b.epoch) == HeartbeatStatus::register_again);
}

TEST_CASE("given requests in flight, when leadership is lost, then each is answered not_controller, and old tokens mean nothing") {
  ThreeNodes t;
  uint64_t id = t.request(2, AllocateProducerIds{NodeId(2), t.broker(2).epoch, 1000});
  Proposal in_flight = t.proposed.front();
  t.stop();
  CHECK(t.reply(id).error == ControllerError::not_controller);
  CHECK(t.controller().deadline() == Time::never());
  t.replies.clear();
  t.take(t.controller().on_applied(t.now, in_flight.token, t.log.apply(in_flight.record)));
  CHECK(t.replies.empty());
  id = t.request(2, DeleteTopicsRequest{});
  CHECK(t.reply(id).error == ControllerError::not_controller);
  size_t answered = t.heartbeats.size();
  t.take(t.controller().on_heartbeat(t.now, {NodeId(2), sg::test::nth_run(10), t.broker(2).epoch, t.catalogue().applied(), 1}));
  CHECK(t.heartbeats.size() == answered);
}

}  // namespace
}  // namespace sg::metadata
