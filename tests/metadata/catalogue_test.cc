// The catalogue: what each record does to brokers, topics and partitions, and what it must refuse (architecture §6, correctness part 5).
#include "broker/metadata/catalogue.h"

#include <algorithm>

#include "tests/metadata/fixture.h"

namespace sg::metadata {
namespace {

// Three live brokers and a topic on all of them, led by the first.
struct ThreeBrokers : Replayed {
  ThreeBrokers() {
    for (int node : {1, 2, 3}) bring_up(node);
    stream = create("t", nodes({1, 2, 3}), 2);
  }
  const Partition& p() const { return partition(stream); }
  StreamId stream;
};

TEST_CASE("given no cluster id, when two are proposed, then the first holds") {
  Replayed r;
  r.must(SetCluster{Uuid{1, 1}});
  CHECK(r.apply(SetCluster{Uuid{2, 2}}).is(Errc::exists));
  CHECK(r.catalogue().cluster_id() == Uuid{1, 1});
}

TEST_CASE("given an unknown broker, when it registers, then its epoch is the log index and it is fenced until it is heard of") {
  Replayed r;
  r.must(SetCluster{Uuid{1, 1}});
  Applied applied = r.must(Replayed::registration(1, 5));
  CHECK(applied.broker_epoch == BrokerEpoch(2));
  CHECK(r.broker(1).fenced);
  r.unfence(1);
  CHECK(!r.broker(1).fenced);
  CHECK(r.apply(UnfenceBroker{NodeId(1), r.epoch(1)}).is(Errc::stale));
}

TEST_CASE("given a registered broker, when the same or an older run registers, then it is stale") {
  Replayed r;
  r.bring_up(1, 5);
  CHECK(r.apply(Replayed::registration(1, 5)).is(Errc::stale));
  CHECK(r.apply(Replayed::registration(1, 4)).is(Errc::stale));
  r.must(Replayed::registration(1, 4, 2));  // another directory counts for itself
  CHECK(r.apply(Replayed::registration(1, 4, 2)).is(Errc::stale));
}

TEST_CASE("given lost history, when it is cut, then nothing that the lost records may have given out is given out again") {
  Replayed r;
  r.bring_up(1);
  const StreamId led = r.create("t", nodes({1}));
  const StreamId offline = r.create("u", nodes({1}));
  r.must(ReportDamage{NodeId(1), r.epoch(1), {offline}});
  const LeaderEpoch before = r.partition(offline).leader_epoch;
  const ProducerId ids = r.catalogue().next_producer_id();
  r.must(HistoryCut{StreamId(40), LeaderEpoch(7)});
  CHECK(r.partition(led).leader == NodeId(1));
  CHECK(r.partition(led).leader_epoch == LeaderEpoch(8));
  CHECK(r.partition(offline).leader == kNoNode);
  CHECK(before < LeaderEpoch(7));
  CHECK(r.partition(offline).leader_epoch == LeaderEpoch(7));
  CHECK(r.catalogue().next_producer_id() == ids + kLostProducerIds);
  CHECK(r.create("v", nodes({1})) == StreamId(40));
  // What was known of more stays so.
  r.must(HistoryCut{StreamId(20), LeaderEpoch(3)});
  CHECK(r.partition(led).leader_epoch == LeaderEpoch(9));
  CHECK(r.create("w", nodes({1})) == StreamId(41));
}

TEST_CASE("given a new topic, then its stream ids are new for ever and the first live replica leads") {
  ThreeBrokers r;
  CHECK(r.p().leader == NodeId(1));
  CHECK(r.p().isr_nodes() == nodes({1, 2, 3}));
  CHECK(r.p().min_isr == 2);
  StreamId other = r.create("u", nodes({2, 3}), 5);
  CHECK(other == r.stream + 1);
  CHECK(r.partition(other).min_isr == 2);  // never above the replication factor
  r.must(DeleteTopic{r.catalogue().topic("u")->id});
  CHECK(r.catalogue().partition(other) == nullptr);
  CHECK(r.create("u", nodes({2})) == other + 1);
}

TEST_CASE("given a fenced replica, when a topic is created on it, then it is a replica and not in the ISR") {
  ThreeBrokers r;
  r.fence(1);
  StreamId s = r.create("u", nodes({1, 2}));
  CHECK(r.partition(s).isr_nodes() == nodes({2}));
  CHECK(r.partition(s).leader == NodeId(2));
  CreateTopic none{"v", Uuid{9, 9}, {nodes({1})}, 1, {}};
  CHECK(r.apply(none).is(Errc::unavailable));
}

TEST_CASE("given a topic, when its name, its id or a colliding name is taken again, then it is refused") {
  ThreeBrokers r;
  r.create("a.b", nodes({1}));
  CHECK(r.apply(CreateTopic{"a.b", Uuid{9, 9}, {nodes({1})}, 1, {}}).is(Errc::exists));
  CHECK(r.apply(CreateTopic{"a_b", Uuid{9, 9}, {nodes({1})}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(CreateTopic{"c", r.catalogue().topic("t")->id, {nodes({1})}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(CreateTopic{"c", Uuid{}, {nodes({1})}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(CreateTopic{"c", Uuid{9, 9}, {nodes({1, 1})}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(CreateTopic{"c", Uuid{9, 9}, {nodes({1, 2}), nodes({1})}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(CreateTopic{"c", Uuid{9, 9}, {nodes({4})}, 1, {}}).is(Errc::not_found));
  CHECK(r.apply(CreateTopic{"c", Uuid{9, 9}, {}, 1, {}}).is(Errc::invalid));
  CHECK(r.apply(DeleteTopic{Uuid{9, 9}}).is(Errc::not_found));
}

TEST_CASE("given a leader, when it is fenced, then it leaves the ISR and the next replica leads in a new epoch") {
  ThreeBrokers r;
  Applied applied = r.must(FenceBroker{NodeId(1), r.epoch(1)});
  CHECK(applied.partitions == std::vector{r.stream});
  CHECK(r.p().isr_nodes() == nodes({2, 3}));
  CHECK(r.p().leader == NodeId(2));
  CHECK(r.p().leader_epoch == LeaderEpoch(1));
  CHECK(r.apply(FenceBroker{NodeId(1), r.epoch(1)}).is(Errc::stale));
}

TEST_CASE("given a follower, when it is fenced, then the leader and its epoch stay") {
  ThreeBrokers r;
  r.fence(3);
  CHECK(r.p().isr_nodes() == nodes({1, 2}));
  CHECK(r.p().leader == NodeId(1));
  CHECK(r.p().leader_epoch == LeaderEpoch(0));
  CHECK(r.p().partition_epoch == PartitionEpoch(1));
}

TEST_CASE("given the last member of the ISR, when it is fenced, then the partition is offline until it is back") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  r.fence(1);
  CHECK(r.p().isr_nodes() == nodes({1}));
  CHECK(r.p().leader == kNoNode);
  SUBCASE("others that return are not electable") {
    r.unfence(2);
    r.must(Replayed::registration(3, 2));
    r.unfence(3);
    CHECK(r.p().leader == kNoNode);
  }
  SUBCASE("it returns as the same process") {
    r.unfence(1);
    CHECK(r.p().leader == NodeId(1));
  }
  SUBCASE("it returns clean as a new process") {
    r.must(Replayed::registration(1, 2));
    r.unfence(1);
    CHECK(r.p().leader == NodeId(1));
    CHECK(r.p().leader_epoch > LeaderEpoch(1));
  }
  SUBCASE("it returns with damage elsewhere") {
    RegisterBroker back = Replayed::registration(1, 2);
    back.damaged = {r.stream + 1};
    r.must(back);
    r.unfence(1);
    CHECK(r.p().leader == NodeId(1));
  }
}

TEST_CASE("given the last member of the ISR, when it returns without what it had, then the partition says so and stays offline") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  SUBCASE("from a fence") { r.fence(1); }
  SUBCASE("before anybody noticed") {}
  for (int kind = 0; kind < 3; ++kind) {
    ThreeBrokers copy = r;
    RegisterBroker back = Replayed::registration(1, 2, kind == 0 ? 2 : 1);
    if (kind == 1) back.damaged = {copy.stream};
    if (kind == 2) back.clean = false;
    copy.must(back);
    copy.unfence(2);
    if (copy.broker(1).fenced) copy.unfence(1);
    CHECK(!copy.catalogue().intact(copy.p(), copy.p().isr[0]));
    CHECK(copy.p().leader == kNoNode);
    CHECK(copy.p().isr == copies({1}));

    // A second start of what is left does not make it whole.
    copy.must(Replayed::registration(1, 3, kind == 0 ? 2 : 1));
    if (copy.broker(1).fenced) copy.unfence(1);
    CHECK(copy.p().leader == kNoNode);
  }
}

TEST_CASE(
    "given an unfenced broker, when it registers again clean, then it keeps its place in the ISR, and what it led begins a new epoch") {
  ThreeBrokers r;
  BrokerEpoch before = r.epoch(1);
  r.must(Replayed::registration(1, 2));
  CHECK(r.epoch(1) > before);
  CHECK(!r.broker(1).fenced);
  CHECK(r.p().isr_nodes() == nodes({1, 2, 3}));
  CHECK(r.p().leader == NodeId(2));  // the others are up for certain sooner
  CHECK(r.p().leader_epoch == LeaderEpoch(1));
  r.must(Replayed::registration(3, 2));
  CHECK(r.p().isr_nodes() == nodes({1, 2, 3}));
  CHECK(r.p().leader_epoch == LeaderEpoch(1));
}

TEST_CASE("given the only member, when it registers again clean before it is fenced, then it leads in a new epoch") {
  Replayed r;
  r.bring_up(1);
  StreamId s = r.create("t", nodes({1}));
  r.must(Replayed::registration(1, 2));
  CHECK(r.partition(s).leader == NodeId(1));
  CHECK(r.partition(s).leader_epoch == LeaderEpoch(1));
}

TEST_CASE("given an ISR of several, when a member registers damaged or emptied, then it leaves where its copy is not intact") {
  ThreeBrokers r;
  StreamId other = r.create("u", nodes({1, 2, 3}));
  SUBCASE("one stream is damaged") {
    RegisterBroker back = Replayed::registration(1, 2);
    back.damaged = {r.stream};
    r.must(back);
    CHECK(r.p().isr_nodes() == nodes({2, 3}));
    CHECK(r.partition(other).isr_nodes() == nodes({1, 2, 3}));
  }
  SUBCASE("damage that nobody can attribute counts for all") {
    RegisterBroker back = Replayed::registration(1, 2);
    back.clean = false;
    r.must(back);
    CHECK(r.p().isr_nodes() == nodes({2, 3}));
    CHECK(r.partition(other).isr_nodes() == nodes({2, 3}));
  }
  SUBCASE("another directory") {
    r.must(Replayed::registration(1, 2, 2));
    CHECK(r.broker(1).fenced);
    CHECK(r.p().isr_nodes() == nodes({2, 3}));
    CHECK(r.partition(other).isr_nodes() == nodes({2, 3}));
  }
  CHECK(r.p().leader == NodeId(2));
}

TEST_CASE("given a running broker, when it reports damage, then it resigns and leaves those ISRs, and the last copy is marked") {
  ThreeBrokers r;
  StreamId single = r.create("u", nodes({1}));
  r.must(ReportDamage{NodeId(1), r.epoch(1), {single, r.stream}});
  CHECK(r.p().isr_nodes() == nodes({2, 3}));
  CHECK(r.p().leader == NodeId(2));
  CHECK(r.partition(single).damaged == copies({1}));
  CHECK(r.partition(single).leader == kNoNode);
  CHECK(r.apply(ReportDamage{NodeId(1), r.epoch(1) - 1, {}}).is(Errc::stale));
}

TEST_CASE("given a power cut of the whole cluster, when all return clean in any order, then every partition is available") {
  std::vector<int> order{1, 2, 3};
  do {
    for (bool noticed : {false, true}) {
      ThreeBrokers r;
      if (noticed) {
        for (int node : {2, 1, 3}) r.fence(node);
        CHECK(r.p().isr_nodes() == nodes({3}));
      }
      for (int node : order) {
        r.must(Replayed::registration(node, 2));
        if (r.broker(node).fenced) r.unfence(node);
      }
      CHECK(r.p().online());
      if (!noticed) CHECK(r.p().isr_nodes() == nodes({1, 2, 3}));
    }
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("given a broker that is about to stop, when it drains, then others lead and it is not added again until it registers anew") {
  ThreeBrokers r;
  StreamId single = r.create("u", nodes({1}));
  r.must(DrainBroker{NodeId(1), r.epoch(1)});
  CHECK(r.p().leader == NodeId(2));
  CHECK(r.p().isr_nodes() == nodes({2, 3}));
  CHECK(r.partition(single).leader == NodeId(1));
  CHECK(r.apply(r.wish(r.stream, nodes({1, 2, 3}))).is(Errc::unavailable));
  r.must(Replayed::registration(1, 2));
  r.must(r.wish(r.stream, nodes({1, 2, 3})));
}

TEST_CASE("given the last in-sync replica drains, when another has caught up and it asks again, then that one leads") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  r.must(DrainBroker{NodeId(1), r.epoch(1)});
  CHECK(r.p().leader == NodeId(1));
  r.unfence(2);
  r.must(r.wish(r.stream, nodes({1, 2})));
  r.must(DrainBroker{NodeId(1), r.epoch(1)});
  CHECK(r.p().leader == NodeId(2));
  CHECK(r.p().isr_nodes() == nodes({2}));
}

TEST_CASE("given an ISR change, when it was based on an epoch that has passed, then it changes nothing") {
  ThreeBrokers r;
  ChangeIsr good = r.wish(r.stream, nodes({1, 2}));
  ChangeIsr bad = good;
  bad.partition_epoch = bad.partition_epoch + 1;
  CHECK(r.apply(bad).is(Errc::stale));
  bad = good;
  bad.leader_epoch = bad.leader_epoch - 1;
  CHECK(r.apply(bad).is(Errc::stale));
  bad = good;
  bad.leader_broker_epoch = bad.leader_broker_epoch - 1;
  CHECK(r.apply(bad).is(Errc::stale));
  bad = good;
  bad.leader = NodeId(2);
  bad.leader_broker_epoch = r.epoch(2);
  CHECK(r.apply(bad).is(Errc::stale));
  bad = good;
  bad.stream = StreamId(99);
  CHECK(r.apply(bad).is(Errc::not_found));
  r.must(good);
  CHECK(r.apply(good).is(Errc::stale));  // the same wish twice is one change
}

TEST_CASE("given an ISR change, when its members are not distinct replicas with the leader among them, then it is invalid") {
  ThreeBrokers r;
  r.bring_up(4);
  CHECK(r.apply(r.wish(r.stream, nodes({2, 3}))).is(Errc::invalid));
  CHECK(r.apply(r.wish(r.stream, nodes({1, 2, 2}))).is(Errc::invalid));
  CHECK(r.apply(r.wish(r.stream, nodes({1, 4}))).is(Errc::invalid));
  CHECK(r.apply(r.wish(r.stream, {})).is(Errc::invalid));
}

TEST_CASE("given a follower that restarted since its leader saw it caught up, when it is to be added, then it is not") {
  ThreeBrokers r;
  r.fence(3);
  ChangeIsr wish = r.wish(r.stream, nodes({1, 2, 3}));
  CHECK(r.apply(wish).is(Errc::unavailable));  // fenced
  r.must(Replayed::registration(3, 2));
  r.unfence(3);
  CHECK(r.apply(wish).is(Errc::unavailable));  // another broker epoch
  r.must(r.wish(r.stream, nodes({1, 2, 3})));
  CHECK(r.p().isr_nodes() == nodes({1, 2, 3}));
}

TEST_CASE("given producer id blocks, when brokers take them, then no id comes twice") {
  ThreeBrokers r;
  Applied first = r.must(AllocateProducerIds{NodeId(1), r.epoch(1), 1000});
  Applied second = r.must(AllocateProducerIds{NodeId(2), r.epoch(2), 10});
  Applied third = r.must(AllocateProducerIds{NodeId(1), r.epoch(1), 1000});
  CHECK(first.first_producer_id == ProducerId(0));
  CHECK(second.first_producer_id == ProducerId(1000));
  CHECK(third.first_producer_id == ProducerId(1010));
  CHECK(r.apply(AllocateProducerIds{NodeId(1), r.epoch(1) - 1, 10}).is(Errc::stale));
  CHECK(r.apply(AllocateProducerIds{NodeId(1), r.epoch(1), 0}).is(Errc::invalid));
  CHECK(r.apply(AllocateProducerIds{NodeId(9), BrokerEpoch(1), 10}).is(Errc::not_found));
}

TEST_CASE("given a snapshot that is cut or of another version, when it is restored, then it is refused and the state stays") {
  ThreeBrokers r;
  ByteVec bytes = r.catalogue().snapshot();
  Catalogue c;
  REQUIRE(c.restore(bytes).has_value());
  for (size_t length = 0; length < bytes.size(); ++length) CHECK(!c.restore(ByteSpan(bytes).first(length)).has_value());
  ByteVec other = bytes;
  other[0] += 1;
  CHECK(c.restore(other).is(Errc::unsupported));
  CHECK(c.snapshot() == bytes);
  CHECK(c.topic("t")->id == r.catalogue().topic("t")->id);
  CHECK(c.topic(r.catalogue().topic("t")->id)->name == "t");
}

}  // namespace
}  // namespace sg::metadata
