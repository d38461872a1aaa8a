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
  metadata::RegisterBroker registration(int i, uint64_t run, uint64_t directory = 0) const {
    metadata::RegisterBroker r;
    r.node = NodeId(i);
    r.run = sg::test::nth_run(run, directory == 0 ? static_cast<uint64_t>(i) : directory);
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
std::vector<metadata::Copy> copies(std::initializer_list<int> ids, uint64_t directory = 1) {
  std::vector<metadata::Copy> out;
  for (int i : ids) out.push_back({NodeId(i), Uuid{0, directory}});
  return out;
}

// The partition "orders" on the nodes 1, 2 and 3.
CatalogueFacts::Partition facts(std::initializer_list<int> isr, NodeId leader, int leader_epoch, int partition_epoch,
                                std::set<CatalogueFacts::Disk> spoiled = {}) {
  CatalogueFacts::Partition p{nodes({1, 2, 3}),  {}, leader, LeaderEpoch(leader_epoch), PartitionEpoch(partition_epoch), 2,
                              std::move(spoiled)};
  for (int i : isr) p.isr.emplace_back(NodeId(i), Uuid{0, static_cast<uint64_t>(i)});  // the first disk of each
  return p;
}

}  // namespace

TEST_CASE("fold: brokers come and go, and leaders, ISRs and epochs follow") {
  Fixture f;
  CHECK(f.orders() == facts({1, 2, 3}, NodeId(1), 0, 0));
  f.fence(1);
  CHECK(f.orders() == facts({2, 3}, NodeId(2), 1, 1));
  f.record(f.registration(2, 2));  // clean and in time: it keeps its place, and another leads
  CHECK(f.orders() == facts({2, 3}, NodeId(3), 2, 2));
  f.record(metadata::DrainBroker{NodeId(3), f.epoch(3)});
  CHECK(f.orders() == facts({2}, NodeId(2), 3, 3));
  f.fence(2);  // the last member stays named
  CHECK(f.orders() == facts({2}, kNoNode, 4, 4));
  f.record(metadata::UnfenceBroker{NodeId(2), f.epoch(2)});
  CHECK(f.orders() == facts({2}, NodeId(2), 5, 5));
  f.record(metadata::UnfenceBroker{NodeId(1), f.epoch(1)});
  f.record(f.isr_of({1, 2}));
  CHECK(f.orders() == facts({1, 2}, NodeId(2), 5, 6));
  const CatalogueFacts::Disk first2{NodeId(2), Uuid{0, 2}}, second1{NodeId(1), Uuid{0, 9}};
  f.record(metadata::ReportDamage{NodeId(2), f.epoch(2), {kOrders}});
  CHECK(f.orders() == facts({1}, NodeId(1), 6, 7, {first2}));
  f.record(f.registration(2, 3));  // it calls itself clean, and is not
  CHECK(f.orders() == facts({1}, NodeId(1), 6, 7, {first2}));
  CHECK(f.all_found() == "E21");
  f.reports.clear();
  f.record(f.registration(1, 9, 9));  // an empty twin, or a new disk: the last member is still the one on the first disk
  CHECK(f.orders() == facts({1}, kNoNode, 7, 8, {first2}));
  metadata::RegisterBroker lost = f.registration(1, 10, 9);
  lost.clean = false;
  f.record(lost);
  CHECK(f.orders() == facts({1}, kNoNode, 7, 9, {first2, second1}));
  f.record(f.registration(1, 1));  // the first disk is back as it was once: not a later run of it
  CHECK(f.ghost.fold.facts().brokers.at(NodeId(1)).run == sg::test::nth_run(10, 9));
  f.record(f.registration(1, 2));
  f.record(metadata::UnfenceBroker{NodeId(1), f.epoch(1)});
  CHECK(f.orders() == facts({1}, NodeId(1), 8, 10, {first2, second1}));
  f.record(metadata::Healed{NodeId(2), f.epoch(2), {kOrders}});
  CHECK(f.orders() == facts({1}, NodeId(1), 8, 11, {second1}));
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

// Node 3 is about to stop when a topic is made.
std::string placed(std::initializer_list<int> replicas, int32_t min_isr) {
  Fixture f;
  f.record(metadata::DrainBroker{NodeId(3), f.epoch(3)});
  for (int i = 0; i < 8; ++i) f.record(metadata::AllocateProducerIds{});  // it has been so for some time
  f.catalogue.on_proposed(NodeId(1), LogIndex(f.catalogue_index),
                          {.name = "new", .topic_id = {}, .partitions = {nodes(replicas)}, .min_insync_replicas = min_isr, .configs = {}});
  return f.all_found();
}

const AddPairs kCataloguePairs({
    {"E9", "a broker is taken for live that has not applied what took it out of service",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       const metadata::Broker& b = *f.ghost.catalogue.broker(NodeId(3));
       f.catalogue.on_heartbeat({.node = NodeId(3), .run = b.run, .applied = LogIndex(b.since.v - (broken ? 1 : 0))});
       f.record(metadata::UnfenceBroker{NodeId(3), f.epoch(3)}, false);
       return f.all_found();
     }},
    {"E9", "a new topic stands on a broker that is about to stop, though another is live",
     [](bool broken) {
       return broken ? placed({1, 3}, 1) : placed({1, 2}, 1);
     }},
    {"E9", "a new topic's first replica is on a broker that is about to stop",
     [](bool broken) {
       return broken ? placed({3, 1, 2}, 1) : placed({1, 2, 3}, 1);
     }},
    {"E9", "a new topic has fewer live replicas than it needs",
     [](bool broken) {
       return placed({1, 2, 3}, broken ? 3 : 2);
     }},
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
         if (broken) w.p().isr = copies({1, 2, 3});
       });
     }},
    {"E9", "a leader is elected from outside the ISR",
     [](bool broken) {
       Fixture f;
       f.fence(3);
       f.record(metadata::UnfenceBroker{NodeId(3), f.epoch(3)});
       return f.judge_step(metadata::FenceBroker{NodeId(1), f.epoch(1)}, [&](Written& w) {
         if (broken) w.p().leader = NodeId(3), w.p().isr = copies({2, 3});
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
         if (broken) ++w.p().partition_epoch, w.p().replicas = nodes({1, 2, 4}), w.p().isr = copies({1, 2});
       });
     }},
});

}  // namespace
