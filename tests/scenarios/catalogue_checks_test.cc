// The checks on the catalogue, and the fold that they rest on. Wrong catalogues cannot be made by records; they are written as snapshots.
#include "scenarios/checks/catalogue_checks.h"

#include <doctest/doctest.h>

#include "base/archive.h"
#include "tests/base/nth_run.h"
#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

using metadata::Catalogue;

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
  metadata::Partition& p() { return partitions.at(kOrders); }
};

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

struct Fixture : PartitionBench {
  const CatalogueFacts::Partition& orders() const { return *ghost.fold.partition(kOrders); }
  BrokerEpoch epoch(int i) const { return ghost.catalogue.broker(NodeId(i))->epoch; }
  metadata::ChangeIsr isr_of(const std::vector<int>& members) const {
    metadata::ChangeIsr r{kOrders, orders().leader, epoch(orders().leader.v), orders().leader_epoch, orders().partition_epoch, {}};
    for (int i : members) r.isr.push_back({NodeId(i), epoch(i)});
    return r;
  }
  metadata::RegisterBroker registration(int i, uint64_t run, uint64_t directory = 1) const {
    metadata::RegisterBroker r;
    r.node = NodeId(i);
    r.run = sg::test::nth_run(run, directory);
    return r;
  }
  // E9 alone, of `record` and what it made; `change` spoils that.
  std::string judge_step(const metadata::Record& record, const std::function<void(Written&)>& change) {
    const Catalogue before = ghost.catalogue;
    Catalogue after = before;
    REQUIRE(after.apply(LogIndex(catalogue_index + 1), record).has_value());
    catalogue.check_step(before, record, changed(after, change));
    return all_found();
  }
};

std::vector<NodeId> nodes(std::initializer_list<int> ids) {
  std::vector<NodeId> out;
  for (int i : ids) out.push_back(NodeId(i));
  return out;
}

}  // namespace

TEST_CASE("fold: brokers come and go, and leaders, ISRs and epochs follow") {
  Fixture f;
  CHECK(f.orders() ==
        CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({1, 2, 3}), NodeId(1), LeaderEpoch(0), PartitionEpoch(0), 2, false});
  f.fence(1);
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({2, 3}), NodeId(2), LeaderEpoch(1), PartitionEpoch(1), 2, false});
  f.record(f.registration(2, 2));  // clean and in time: it keeps its place, and another leads
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({2, 3}), NodeId(3), LeaderEpoch(2), PartitionEpoch(2), 2, false});
  f.record(metadata::DrainBroker{NodeId(3), f.epoch(3)});
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({2}), NodeId(2), LeaderEpoch(3), PartitionEpoch(3), 2, false});
  f.fence(2);  // the last member stays named
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({2}), kNoNode, LeaderEpoch(4), PartitionEpoch(4), 2, false});
  f.record(metadata::UnfenceBroker{NodeId(2), f.epoch(2)});
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({2}), NodeId(2), LeaderEpoch(5), PartitionEpoch(5), 2, false});
  f.record(metadata::UnfenceBroker{NodeId(1), f.epoch(1)});
  f.record(f.isr_of({1, 2}));
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({1, 2}), NodeId(2), LeaderEpoch(5), PartitionEpoch(6), 2, false});
  f.record(metadata::ReportDamage{NodeId(2), f.epoch(2), {kOrders}});
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({1}), NodeId(1), LeaderEpoch(6), PartitionEpoch(7), 2, false});
  f.record(f.registration(1, 9, 2));
  CHECK(f.orders() == CatalogueFacts::Partition{nodes({1, 2, 3}), nodes({1}), kNoNode, LeaderEpoch(7), PartitionEpoch(8), 2, true});
  CHECK(f.found() == "");  // and the broker's own catalogue agreed with each step
}

TEST_CASE("fold: what was overtaken changes nothing") {
  Fixture f;
  const metadata::ChangeIsr late = f.isr_of({1, 2});
  f.record(f.registration(3, 2));
  const CatalogueFacts before = f.ghost.fold.facts();
  f.record(metadata::FenceBroker{NodeId(3), BrokerEpoch(5)});
  f.record(f.registration(3, 2));
  f.record(metadata::UnfenceBroker{NodeId(1), f.epoch(1)});
  CHECK(f.ghost.fold.facts() == before);
  f.record(f.isr_of({1, 3}));
  const CatalogueFacts then = f.ghost.fold.facts();
  f.record(late);
  CHECK(f.ghost.fold.facts() == then);
  CHECK(f.found() == "");
}

TEST_CASE("E8: what a node holds for an index that is not committed is flagged; what is too old to compare is not") {
  Fixture f;
  Catalogue ahead = f.ghost.catalogue;
  ahead.skip(LogIndex(f.catalogue_index + 1));
  Catalogue fresh;
  f.catalogue.on_seen(NodeId(2), fresh);
  CHECK(f.all_found() == "");
  f.catalogue.on_seen(NodeId(2), ahead);
  CHECK(f.all_found() == "E8");
}

namespace {

const AddPairs kCataloguePairs({
    {"E7", "a snapshot holds another catalogue than the log up to its index",
     [](bool broken) {
       Fixture f;
       Catalogue other = f.ghost.catalogue;
       f.fence(3);
       const int fenced = broken ? 2 : 3;
       (void)other.apply(LogIndex(f.catalogue_index), metadata::FenceBroker{NodeId(fenced), f.epoch(fenced)});
       f.node(2).commit({entry(wal::kRaftSnapshots, f.catalogue_index, f.catalogue_index + 1, 1, other.snapshot())});
       return f.all_found();
     }},
    {"E7", "a snapshot is of another index than it says",
     [](bool broken) {
       Fixture f;
       const int64_t index = f.catalogue_index - (broken ? 1 : 0);
       f.node(2).commit({entry(wal::kRaftSnapshots, index, index + 1, 1, f.ghost.catalogue.snapshot())});
       return f.all_found();
     }},
    {"E8", "a node's catalogue names another leader than the log up to its index",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       f.catalogue.on_seen(NodeId(2), changed(f.ghost.catalogue, [&](Written& w) {
                             if (broken) w.p().leader = NodeId(2);
                           }));
       return f.all_found();
     }},
    {"E8", "a node that is behind has forgotten a fencing",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       const Catalogue then = f.ghost.catalogue;
       f.fence(2);
       f.catalogue.on_seen(NodeId(2), changed(then, [&](Written& w) { w.brokers.at(NodeId(3)).fenced = !broken; }));
       return f.all_found();
     }},
    {"E9", "a replica joins the ISR as it was before it registered anew",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       metadata::ChangeIsr r = f.isr_of({1, 2, 3});
       f.record(metadata::UnfenceBroker{NodeId(3), f.epoch(3)});
       const Catalogue before = f.ghost.catalogue;
       Catalogue after = before;
       REQUIRE(after.apply(LogIndex(f.catalogue_index + 1), r).has_value());
       if (broken) --r.isr[2].broker_epoch.v;  // as if the current one had not been asked for
       f.catalogue.check_step(before, r, after);
       return f.all_found();
     }},
    {"E9", "an ISR change of an older partition epoch counts",
     [](bool broken) {
       Fixture f;
       metadata::ChangeIsr r = f.isr_of({1, 2});
       const Catalogue before = f.ghost.catalogue;
       Catalogue after = before;
       REQUIRE(after.apply(LogIndex(f.catalogue_index + 1), r).has_value());
       if (broken) --r.partition_epoch.v;
       f.catalogue.check_step(before, r, after);
       return f.all_found();
     }},
    {"E9", "a fenced broker stays in the ISR beside others",
     [](bool broken) {
       Fixture f;
       return f.judge_step(metadata::FenceBroker{NodeId(3), f.epoch(3)}, [&](Written& w) {
         if (broken) w.p().isr = nodes({1, 2, 3});
       });
     }},
    {"E9", "a leader is elected from outside the ISR",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       f.record(metadata::UnfenceBroker{NodeId(3), f.epoch(3)});
       return f.judge_step(metadata::FenceBroker{NodeId(1), f.epoch(1)}, [&](Written& w) {
         if (broken) w.p().leader = NodeId(3), w.p().isr = nodes({2, 3});
       });
     }},
    {"E9", "a leader registers anew and goes on in its leader epoch",
     [](bool broken) {
       Fixture f;
       return f.judge_step(f.registration(1, 2), [&](Written& w) {
         if (broken) w.p().leader = NodeId(1), w.p().leader_epoch = LeaderEpoch(0);
       });
     }},
    {"E9", "a partition epoch goes back",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       return f.judge_step(metadata::FenceBroker{NodeId(2), f.epoch(2)}, [&](Written& w) {
         if (broken) w.p().partition_epoch = PartitionEpoch(0);
       });
     }},
    {"E9", "the replicas of a partition change by themselves",
     [](bool broken) {
       Fixture f;
       f.record(f.registration(4, 1));
       return f.judge_step(metadata::UnfenceBroker{NodeId(4), f.epoch(4)}, [&](Written& w) {
         if (broken) ++w.p().partition_epoch, w.p().replicas = nodes({1, 2, 4}), w.p().isr = nodes({1, 2});
       });
     }},
});

}  // namespace
