// A cluster of brokers whose operators make mistakes: which machine runs what, and what the checks say of it.
#include "scenarios/world/cluster.h"

#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

struct Office {
  sim::Pools pools;
  sim::World world{1, {}, pools};
  Cluster cluster{world, {.nodes = 3, .topics = {}, .spares = 1, .draw_knobs = false}};
  ~Office() {
    for (sim::Node* machine : cluster.machines())
      if (machine->running()) machine->die(sim::Death::kill);
  }
  static sim::Fault mistake(sim::FaultKind kind, std::string choice = "") {
    sim::Fault out;
    out.kind = kind;
    out.choice = std::move(choice);
    return out;
  }
};

}  // namespace

TEST_CASE("given nodes and a spare machine, then each has an id of its own, and only nodes are asked for") {
  Office o;
  CHECK(o.cluster.nodes().size() == 3);
  REQUIRE(o.cluster.machines().size() == 4);
  CHECK(o.cluster.machine_id(2) == NodeId(3));
  CHECK(o.cluster.machine_id(3) == kFirstSpare);
  CHECK(&o.cluster.machine(kFirstSpare) == o.cluster.machines()[3]);
  CHECK(o.cluster.bootstrap().size() == 3);
  CHECK(is_spare(kFirstSpare));
  CHECK_FALSE(is_spare(NodeId(3)));
}

TEST_CASE("given a twin, then it runs on the spare machine with the node's id, and there is no second one meanwhile") {
  Office o;
  o.cluster.start();
  sim::Node& node2 = *o.cluster.nodes()[1];
  sim::Node* spare = o.cluster.spare(node2);
  REQUIRE(spare == o.cluster.machines()[3]);
  o.cluster.begin(*spare, Office::mistake(sim::FaultKind::operator_twin));
  CHECK(o.cluster.spare(node2) == nullptr);
  spare->start();
  o.world.run_until(Time{0} + 100ms);
  CHECK(o.cluster.running(kFirstSpare) != nullptr);
  CHECK(o.cluster.running(NodeId(2)) != nullptr);
  CHECK_FALSE(o.cluster.is_named_after(kFirstSpare, NodeId(2)));
  o.world.network().lend_name(node2.index(), spare->index());
  CHECK(o.cluster.is_named_after(kFirstSpare, NodeId(2)));
  CHECK_FALSE(o.cluster.is_named_after(kFirstSpare, NodeId(1)));
  o.world.network().give_name_back(node2.index(), spare->index());
  o.cluster.end(*spare);
  REQUIRE(o.cluster.mistakes().size() == 1);
  CHECK(o.cluster.mistakes()[0].mistake == "operator_twin");
  CHECK(o.cluster.mistakes()[0].running.has_value());
  CHECK_FALSE(o.cluster.mistakes()[0].refused);
}

TEST_CASE("given a node that is started under another's id on its own disk, then it refuses, and says so") {
  Office o;
  o.cluster.start();
  o.world.run_until(Time{0} + 500ms);
  sim::Node& node1 = *o.cluster.nodes()[0];
  node1.die(sim::Death::kill);
  o.cluster.begin(node1, Office::mistake(sim::FaultKind::operator_start, "other_node"));
  node1.start();
  o.world.run_until(Time{0} + 1s);
  CHECK_FALSE(node1.running());
  REQUIRE(o.cluster.exits().size() == 1);
  CHECK(o.cluster.exits()[0].machine == "node1");
  CHECK(o.cluster.exits()[0].mistake == "other_node");
  CHECK(o.cluster.exits()[0].why == "the data directory belongs to node 1, this process is node 2");
  o.cluster.end(node1);
  CHECK(o.cluster.mistakes()[0].refused);
  node1.start();
  o.world.run_until(Time{0} + 2s);
  CHECK(node1.running());
}

namespace {

const AddPairs kTwinPairs({
    {"twin", "a second process is registered while the first is heard",
     [](bool broken) {
       Bench b;
       b.partitions.on_newcomer(NodeId(1), NodeId(1), kFirstSpare, "registered as", broken);
       return b.all_found();
     }},
    {"E9", "a second process acts as the leader that the catalogue means",
     [](bool broken) {
       PartitionBench b;
       b.partitions.on_data(broken ? kFirstSpare : NodeId(1), b.data(0));
       return b.all_found();
     }},
    {"E1", "a second process leads the term that the first was elected for",
     [](bool broken) {
       RaftBench b;
       auto twin = std::make_unique<FakeJournal>(kFirstSpare, b.judge, b);
       twin->open();
       FakeJournal& journal = *twin;
       b.ledgers.add(std::move(twin->ledger));
       journal.hard = {Term(1), NodeId(1)};
       journal.commit({fact(wal::RecordKind::advance_start, wal::kRaftLog, 1)});
       b.raft.on_message(broken ? kFirstSpare : NodeId(1), NodeId(2), b.message(1, 2, 1, raft::AppendEntries{}));
       return b.all_found();
     }},
});

}  // namespace

TEST_CASE("given a registration of another machine's directory, then the node's id means that machine from then on") {
  Bench b;
  auto twin = std::make_unique<FakeJournal>(kFirstSpare, b.judge, b);
  b.ledgers.add(std::move(twin->ledger));
  CHECK(b.ledgers.machine_of(NodeId(1)) == NodeId(1));
  CHECK(b.ledgers.registered(NodeId(1), Uuid{9, 9}) == NodeId(1));  // nobody has it: its own machine is meant
  twin->directory = Uuid{0, 1};                                     // a copy of node 1's
  twin->open();
  CHECK(b.ledgers.registered(NodeId(1), Uuid{0, 1}) == NodeId(1));  // a copy does not take over by being one
  b.ledger(1).died(sim::Death::wipe);
  CHECK(b.ledgers.registered(NodeId(1), Uuid{0, 1}) == kFirstSpare);
  CHECK(b.ledgers.machine_of(NodeId(1)) == kFirstSpare);
  CHECK(b.ledgers.machine_of(NodeId(2)) == NodeId(2));
}
