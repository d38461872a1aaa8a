// The checks themselves: each kind of wrong state or step is flagged, and its clean neighbour passes. Wrong states cannot be made by
// records; they are written as snapshots.
#include "broker/metadata/invariants.h"

#include <functional>

#include "base/archive.h"
#include "tests/metadata/fixture.h"

namespace sg::metadata {
namespace {

// The layout of a catalogue snapshot behind its version byte.
struct Written {
  LogIndex applied;
  Uuid cluster_id;
  Catalogue::Brokers brokers;
  Catalogue::Topics topics;
  Catalogue::Partitions partitions;
  StreamId next_stream;
  ProducerId next_producer_id;
  template <class A>
  void serialize(A& a) {
    a(applied, cluster_id, brokers, topics, partitions, next_stream, next_producer_id);
  }
  Partition& p() { return partitions.begin()->second; }
  Broker& b(int node) { return brokers.at(NodeId(node)); }
};

Catalogue good() {
  Replayed r;
  r.must(SetCluster{Uuid{1, 1}});
  for (int node : {1, 2, 3, 4}) r.bring_up(node);
  r.create("t", nodes({1, 2, 3}), 2);
  return r.catalogue();
}

Catalogue changed(const Catalogue& from, const std::function<void(Written&)>& change) {
  ByteVec bytes = from.snapshot();
  auto written = unpack<Written>(ByteSpan(bytes).subspan(1));
  REQUIRE(written.has_value());
  change(*written);
  bytes.resize(1);
  pack(bytes, *written);
  Catalogue result;
  REQUIRE(result.restore(bytes).has_value());
  return result;
}

bool state_is_flagged(const std::function<void(Written&)>& change) { return !check_state(changed(good(), change)).empty(); }

// One record later.
bool step_is_flagged(const std::function<void(Written&)>& change) {
  Catalogue before = good();
  return !check_transition(before, changed(before,
                                           [&](Written& w) {
                                             ++w.applied;
                                             change(w);
                                           }))
              .empty();
}

TEST_CASE("given states, when one rule is broken, then it is flagged, and its clean neighbour is not") {
  CHECK(!state_is_flagged([](Written&) {}));
  CHECK(state_is_flagged([](Written& w) { w.b(2).fenced = true; }));
  CHECK(!state_is_flagged([](Written& w) { w.b(4).fenced = true; }));
  CHECK(state_is_flagged([](Written& w) { w.p().leader = kNoNode; }));
  CHECK(state_is_flagged([](Written& w) { w.p().damaged = copies({1}); }));      // in an ISR of several
  CHECK(!state_is_flagged([](Written& w) { w.p().damaged = copies({1}, 7); }));  // of a directory that is not there
  CHECK(state_is_flagged([](Written& w) { w.p().damaged = copies({2, 2}, 7); }));
  CHECK(state_is_flagged([](Written& w) { w.p().isr = copies({1, 2, 3}, 7); }));
  CHECK(state_is_flagged([](Written& w) { w.b(1).former = {sg::test::nth_run(1, 7)}; }));
  CHECK(state_is_flagged([](Written& w) { w.p().isr = copies({1, 1}); }));
  CHECK(state_is_flagged([](Written& w) { w.p().replicas = nodes({1, 2, 3, 3}); }));
  CHECK(state_is_flagged([](Written& w) { w.p().min_isr = 4; }));
  CHECK(state_is_flagged([](Written& w) { w.p().leader_epoch = LeaderEpoch(1); }));
  CHECK(state_is_flagged([](Written& w) { w.b(2).epoch = w.b(1).epoch; }));
  CHECK(state_is_flagged([](Written& w) { w.b(2).epoch = BrokerEpoch(100); }));
  auto last_member = [](bool fenced, NodeId leader) {
    return state_is_flagged([=](Written& w) {
      w.p().isr = copies({1});
      w.p().leader = leader;
      w.b(1).fenced = fenced;
    });
  };
  auto last_copy = [](std::vector<Copy> isr, std::vector<Copy> damaged, NodeId leader) {
    return state_is_flagged([=](Written& w) {
      w.p().isr = isr;
      w.p().damaged = damaged;
      w.p().leader = leader;
    });
  };
  CHECK(!last_copy(copies({1}, 7), {}, kNoNode));
  CHECK(last_copy(copies({1}, 7), {}, NodeId(1)));
  CHECK(!last_copy(copies({1}), copies({1}), kNoNode));
  CHECK(last_copy(copies({1}), copies({1}), NodeId(1)));
  CHECK(!last_member(false, NodeId(1)));
  CHECK(!last_member(true, kNoNode));
  CHECK(last_member(true, NodeId(1)));
  CHECK(last_member(false, kNoNode));
}

TEST_CASE("given steps, when one rule is broken, then it is flagged, and its clean neighbour is not") {
  CHECK(!step_is_flagged([](Written&) {}));
  CHECK(step_is_flagged([](Written& w) { --w.applied.v; }));
  CHECK(step_is_flagged([](Written& w) { w.cluster_id = Uuid{2, 2}; }));
  CHECK(step_is_flagged([](Written& w) { w.next_producer_id = ProducerId(-1); }));
  CHECK(step_is_flagged([](Written& w) { w.p().isr = copies({1, 2}); }));  // no new partition epoch
  auto step = [](std::vector<Copy> isr, NodeId leader, int epoch) {
    return step_is_flagged([=](Written& w) {
      ++w.p().partition_epoch;
      w.p().isr = isr;
      w.p().leader = leader;
      w.p().leader_epoch = LeaderEpoch(epoch);
    });
  };
  CHECK(!step(copies({1, 2}), NodeId(1), 0));
  CHECK(!step(copies({2, 3}), NodeId(2), 1));
  CHECK(step(copies({2, 3}), NodeId(2), 0));
  CHECK(step(copies({1, 2}), NodeId(1), -1));
  CHECK(step_is_flagged([](Written& w) { w.p().partition_epoch = PartitionEpoch(2); }));
  // A new run of a broker.
  auto restart = [](bool epoch_follows, uint64_t directory, int leader_epoch) {
    return step_is_flagged([=](Written& w) {
      w.b(1).epoch = BrokerEpoch(epoch_follows ? w.applied.v : w.applied.v - 1);
      w.b(1).since = w.applied;
      w.b(1).run = sg::test::nth_run(2, directory);
      w.p().leader_epoch = LeaderEpoch(leader_epoch);
      w.p().partition_epoch = PartitionEpoch(1);
    });
  };
  CHECK(!restart(true, 1, 1));
  CHECK(restart(false, 1, 1));
  CHECK(restart(true, 1, 0));
  CHECK(restart(true, 2, 1));
}

TEST_CASE("given the last member, when it is exchanged for another or one that is not live joins, then it is flagged") {
  Catalogue before = changed(good(), [](Written& w) { w.p().isr = copies({1}); });
  auto to = [&](std::vector<Copy> isr, NodeId leader, int epoch, bool fenced) {
    Catalogue start = changed(before, [&](Written& w) { w.b(2).fenced = fenced; });
    return !check_transition(start, changed(start,
                                            [&](Written& w) {
                                              ++w.applied;
                                              ++w.p().partition_epoch;
                                              w.p().isr = isr;
                                              w.p().leader = leader;
                                              w.p().leader_epoch = LeaderEpoch(epoch);
                                            }))
                .empty();
  };
  CHECK(!to(copies({1, 2}), NodeId(1), 0, false));
  CHECK(to(copies({1, 2}), NodeId(1), 0, true));
  CHECK(to(copies({1, 2}), NodeId(1), 1, false));
  CHECK(to(copies({1, 2}), NodeId(2), 1, false));
  CHECK(to(copies({2}), NodeId(2), 1, false));
}

}  // namespace
}  // namespace sg::metadata
