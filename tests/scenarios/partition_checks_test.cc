// The checks on partitions: for each a sequence that must be flagged, and its clean neighbour. Node 1 leads orders-0.
#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

using Fixture = PartitionBench;

constexpr Time at(int64_t seconds) { return Time{seconds * 1'000'000'000}; }

}  // namespace

TEST_CASE("partition: acks=all with the batch on the whole ISR passes and is committed") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  CHECK(f.found() == "");
  CHECK(f.high_watermark() == 2);
}

TEST_CASE("partition: acks=all on a majority of the ISR only is E14") {
  Fixture f;
  f.replicate_to(2);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  CHECK(f.found() == "E14");
}

TEST_CASE("partition: acks=all on an ISR below the minimum is E14, with a minimum of 1 it is not") {
  for (int32_t min : {1, 2}) {
    Fixture f(min);
    f.fence(2);
    f.fence(3);
    f.replicate_to(1);
    f.partitions.on_produced(NodeId(1), f.produced(0, 2));
    CHECK(f.found() == (min == 1 ? "" : "E14"));
  }
}

TEST_CASE("partition: acks=all counted from copies that are written and not synced is E14") {
  Fixture f;
  f.replicate_to(2);
  f.node(3).disk.syncs = false;
  f.node(3).commit({entry(kOrders, 0, 2, 0)});
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  CHECK(f.found() == "E14");
}

TEST_CASE("partition: an answer that names a place where another batch stands is E14") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2, -1, {6, 6, 6}));
  CHECK(f.found() == "E14");
}

TEST_CASE("partition: acks=1 before the leader's own sync is E14") {
  Fixture f;
  f.replicate_to(1);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2, 1));
  CHECK(f.found() == "");
  f.node(1).disk.syncs = false;
  f.node(1).commit({entry(kOrders, 2, 3, 0)});
  f.partitions.on_produced(NodeId(1), f.produced(2, 3, 1));
  CHECK(f.found() == "E14");
}

TEST_CASE("partition: a deposed leader may still answer what its whole ISR held, and nothing else") {
  Fixture f;
  f.replicate_to(3);
  f.fence(1);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  CHECK(f.found() == "");
  f.node(1).commit({entry(kOrders, 2, 3, 0)});
  f.partitions.on_produced(NodeId(1), f.produced(2, 3));
  CHECK(f.found() == "E14");
}

TEST_CASE("partition: leading an epoch that the catalogue gave to nobody or to another node is E9") {
  Fixture f;
  f.partitions.on_data(NodeId(1), f.data(0));
  CHECK(f.found() == "");
  f.partitions.on_data(NodeId(2), f.data(0));
  CHECK(f.found() == "E9");
  f.reports.clear();
  replica::Data early = f.data(0);
  early.leader_epoch = f.leader_epoch() + 1;
  f.partitions.on_data(NodeId(2), early);
  CHECK(f.found() == "E9");
}

TEST_CASE("partition: a high watermark beyond what every ISR member holds is E10") {
  Fixture f;
  f.replicate_to(2);
  f.partitions.on_data(NodeId(1), f.data(2));
  CHECK(f.found() == "E10");
}

TEST_CASE("partition: an acknowledgement of more than the disk would keep is E10") {
  Fixture f;
  f.replicate_to(2);
  f.partitions.on_ack(NodeId(2), {kOrders, f.leader_epoch(), BrokerEpoch(1), 1, Offset(2)});
  CHECK(f.found() == "");
  f.partitions.on_ack(NodeId(3), {kOrders, f.leader_epoch(), BrokerEpoch(1), 1, Offset(2)});
  CHECK(f.found() == "E10");
}

TEST_CASE("partition: a replica that joins the ISR without the high watermark is E11") {
  for (bool caught_up : {true, false}) {
    Fixture f;
    f.fence(3);
    f.replicate_to(caught_up ? 3 : 2);
    f.partitions.on_data(NodeId(1), f.data(2));
    REQUIRE(f.found() == "");
    const BrokerEpoch e1 = f.ghost.catalogue.broker(NodeId(1))->epoch, e2 = f.ghost.catalogue.broker(NodeId(2))->epoch,
                      e3 = f.ghost.catalogue.broker(NodeId(3))->epoch;
    f.record(metadata::UnfenceBroker{NodeId(3), e3});
    const metadata::Partition p = *f.ghost.catalogue.partition(kOrders);
    f.record(metadata::ChangeIsr{
        kOrders, NodeId(1), e1, p.leader_epoch, p.partition_epoch, {{NodeId(1), e1}, {NodeId(2), e2}, {NodeId(3), e3}}});
    REQUIRE(f.ghost.catalogue.partition(kOrders)->isr.size() == 3);
    CHECK(f.found() == (caught_up ? "" : "E11"));
  }
}

TEST_CASE("partition: a watermark over a log that differs from what was committed is E12") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_data(NodeId(1), f.data(2));
  f.node(2).commit({truncation(kOrders, 0), entry(kOrders, 0, 2, 3, {8, 8})});
  f.reports.clear();  // the truncation itself is E16
  f.fence(1);
  f.reports.clear();
  f.partitions.on_watermark_given(at(1), at(1), NodeId(2), kOrders, 2);
  CHECK(f.found() == "E12");
}

TEST_CASE("partition: a watermark that goes back within one leadership is E13, unless it was asked for before") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_watermark_given(at(2), at(1), NodeId(1), kOrders, 2);
  f.partitions.on_watermark_given(at(3), at(1), NodeId(1), kOrders, 0);
  CHECK(f.found() == "");
  f.partitions.on_watermark_given(at(4), at(3), NodeId(1), kOrders, 0);
  CHECK(f.found() == "E13");
}

TEST_CASE("partition: a latest offset below what an earlier leader gave is E13; its fetches may still know less") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_watermark_given(at(2), at(1), NodeId(1), kOrders, 2);
  f.fence(1);
  f.partitions.on_watermark_given(at(4), at(3), NodeId(2), kOrders, 0);
  f.partitions.on_latest_given(at(5), at(4), NodeId(2), kOrders, f.leader_epoch(), 2);
  CHECK(f.found() == "");
  f.partitions.on_latest_given(at(7), at(6), NodeId(2), kOrders, f.leader_epoch(), 0);
  CHECK(f.found() == "E13");
}

TEST_CASE("partition: electing a node that lost what was acknowledged is E15") {
  for (bool kept : {true, false}) {
    Fixture f;
    f.replicate_to(3);
    f.partitions.on_produced(NodeId(1), f.produced(0, 2));
    if (!kept) f.node(2).commit({truncation(kOrders, 0)});
    f.reports.clear();  // the truncation itself is E16
    f.fence(1);
    CHECK(f.ghost.catalogue.partition(kOrders)->leader == NodeId(2));
    CHECK(f.found() == (kept ? "" : "E15"));
  }
}

TEST_CASE("partition: what the simulator destroyed is not held against a node until it registers again") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  f.ledger(2).died(sim::Death::wipe);
  f.partitions.finish();
  CHECK(f.found() == "");
  // It registers again, and as the very disk that was meant.
  f.node(2).end = {};
  f.node(2).open();
  f.ledger(2).registered(Incarnation(1));
  f.partitions.finish();
  CHECK(f.found() == "E11");
}

TEST_CASE("partition: cutting below the high watermark inside the ISR is E16, above it or outside it is not") {
  Fixture f;
  f.replicate_to(3);
  f.partitions.on_produced(NodeId(1), f.produced(0, 2));
  f.node(2).commit({entry(kOrders, 2, 5, 0), truncation(kOrders, 2)});
  CHECK(f.found() == "");
  f.fence(3);
  f.node(3).commit({truncation(kOrders, 0)});
  CHECK(f.found() == "");
  f.node(2).commit({truncation(kOrders, 0)});
  CHECK(f.found() == "E16");
}

TEST_CASE("partition: a batch given to a consumer above the high watermark, or another one than is committed, is E17") {
  Fixture f;
  f.replicate_to(3);
  f.node(1).commit({entry(kOrders, 2, 3, 0)});
  f.partitions.on_watermark_given(at(1), at(1), NodeId(1), kOrders, 2);
  const uint32_t crc = crc32c(ByteVec{1, 2, 3});
  f.partitions.on_batch_given(NodeId(1), kOrders, 0, 2, crc);
  CHECK(f.found() == "");
  f.partitions.on_batch_given(NodeId(1), kOrders, 2, 3, crc);
  CHECK(f.found() == "E17");
  f.reports.clear();
  f.partitions.on_batch_given(NodeId(1), kOrders, 0, 2, crc + 1);
  CHECK(f.found() == "E17");
}

TEST_CASE("partition: what a damaged leader says is committed where all others of its ISR hold it") {
  for (int copies : {2, 3}) {
    Fixture f;
    f.replicate_to(copies);
    f.ledger(1).file_lost(f.node(1).path());
    REQUIRE(f.ledger(1).damaged(kOrders));
    f.partitions.on_watermark_given(at(1), at(1), NodeId(1), kOrders, 2);
    CHECK(f.high_watermark() == (copies == 3 ? 2 : 0));
    CHECK(f.found() == "");
  }
}

// --- Told twice (pairs.h) --------------------------------------------------------------------------------------------------------

namespace {

const AddPairs kPartitionPairs({
    {"E9", "a node sends data as leader of an epoch that another one has",
     [](bool broken) {
       Fixture f;
       f.partitions.on_data(NodeId(broken ? 2 : 1), f.data(0));
       return f.all_found();
     }},
    {"E9", "a deposed leader goes on in the next epoch",
     [](bool broken) {
       Fixture f;
       const replica::Data before = f.data(0);
       f.fence(1);
       f.partitions.on_data(NodeId(1), broken ? f.data(0) : before);
       return f.all_found();
     }},
    {"E10", "a leader's high watermark passes what one ISR member lacks",
     [](bool broken) {
       Fixture f;
       f.replicate_to(broken ? 2 : 3);
       f.partitions.on_data(NodeId(1), f.data(2));
       return f.all_found();
     }},
    {"E10", "a consumer is told a high watermark that rests on fewer than min ISR",
     [](bool broken) {
       Fixture f(broken ? 2 : 1);
       f.fence(2);
       f.fence(3);
       f.replicate_to(1);
       f.partitions.on_watermark_given(at(1), at(1), NodeId(1), kOrders, 2);
       return f.all_found();
     }},
    {"E10", "a follower acknowledges what its disk would not keep",
     [](bool broken) {
       Fixture f;
       f.node(3).disk.syncs = !broken;
       f.replicate_to(3);
       f.partitions.on_ack(NodeId(3), {kOrders, f.leader_epoch(), BrokerEpoch(1), 1, Offset(2)});
       return f.all_found();
     }},
    {"E10", "a follower acknowledges something else than its leader has there",
     [](bool broken) {
       Fixture f;
       f.replicate_to(1);
       f.node(3).commit({entry(kOrders, 0, 2, broken ? 7 : 0)});
       f.partitions.on_ack(NodeId(3), {kOrders, f.leader_epoch(), BrokerEpoch(1), 1, Offset(2)});
       return f.all_found();
     }},
    {"E10", "a follower acknowledges what is older than what its leader has there",
     [](bool broken) {
       Fixture f;
       f.fence(2);
       f.fence(1);  // node 3 leads in a later epoch
       const int64_t epoch = f.leader_epoch().v;
       f.node(3).commit({entry(kOrders, 0, 2, broken ? epoch : 0)});
       f.node(2).commit({entry(kOrders, 0, 2, broken ? 0 : epoch)});
       f.partitions.on_ack(NodeId(2), {kOrders, f.leader_epoch(), BrokerEpoch(1), 1, Offset(2)});
       return f.all_found();
     }},
    {"E11", "a member of the ISR has lost what is committed",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_data(NodeId(1), f.data(2));
       if (!broken) f.fence(3);
       f.node(3).commit({truncation(kOrders, 0)});
       f.reports.clear();  // that it cuts inside the ISR is E16
       f.partitions.finish();
       return f.all_found();
     }},
    {"E12", "a node tells a high watermark over a log that differs from what is committed",
     [](bool broken) {
       Fixture f;
       f.replicate_to(2);
       f.fence(3);
       f.partitions.on_data(NodeId(1), f.data(2));
       f.node(3).commit({entry(kOrders, 0, 2, 0, broken ? ByteVec{8, 8} : ByteVec{1, 2, 3})});
       f.partitions.on_watermark_given(at(1), at(1), NodeId(3), kOrders, 2);
       return f.all_found();
     }},
    {"E13", "the high watermark goes back for clients of one leader",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_watermark_given(at(2), at(1), NodeId(1), kOrders, 2);
       f.partitions.on_watermark_given(at(4), at(3), NodeId(1), kOrders, broken ? 0 : 2);
       return f.all_found();
     }},
    {"E13", "a new leader names a latest offset below what was given before",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_watermark_given(at(2), at(1), NodeId(1), kOrders, 2);
       f.fence(1);
       f.partitions.on_latest_given(at(4), at(3), NodeId(2), kOrders, f.leader_epoch(), broken ? 0 : 2);
       return f.all_found();
     }},
    {"E14", "acks=all is answered before every ISR member has the batch",
     [](bool broken) {
       Fixture f;
       f.replicate_to(broken ? 2 : 3);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2));
       return f.all_found();
     }},
    {"E14", "acks=all is answered on copies that are written and not synced",
     [](bool broken) {
       Fixture f;
       f.node(3).disk.syncs = !broken;
       f.replicate_to(3);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2));
       return f.all_found();
     }},
    {"E14", "acks=1 is answered before the leader's own sync",
     [](bool broken) {
       Fixture f;
       f.node(1).disk.syncs = !broken;
       f.replicate_to(1);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2, 1));
       return f.all_found();
     }},
    {"E14", "an answer names a place where another batch stands",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2, -1, broken ? ByteVec{6, 6, 6} : ByteVec{1, 2, 3}));
       return f.all_found();
     }},
    {"E15", "a node is elected that lacks what was acknowledged",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2));
       if (broken) f.node(2).commit({truncation(kOrders, 0)});
       f.reports.clear();                                                         // that it cuts inside the ISR is E16
       f.fence(1);                                                                // node 2 is next
       std::erase_if(f.reports, [](const auto& r) { return r.first == "E11"; });  // it is in the ISR as well
       return f.all_found();
     }},
    {"E16", "a member of the ISR cuts its log below the high watermark",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_produced(NodeId(1), f.produced(0, 2));
       f.node(2).commit({entry(kOrders, 2, 5, 0), truncation(kOrders, broken ? 0 : 2)});
       return f.all_found();
     }},
    {"E17", "a consumer reads above the high watermark",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_watermark_given(at(1), at(1), NodeId(1), kOrders, 2);
       f.node(1).commit({entry(kOrders, 2, 3, 0)});
       const int64_t base = broken ? 2 : 0;
       f.partitions.on_batch_given(NodeId(1), kOrders, base, broken ? 3 : 2, crc32c(ByteVec{1, 2, 3}));
       return f.all_found();
     }},
    {"E17", "a consumer reads another batch than the committed one",
     [](bool broken) {
       Fixture f;
       f.replicate_to(3);
       f.partitions.on_watermark_given(at(1), at(1), NodeId(1), kOrders, 2);
       f.partitions.on_batch_given(NodeId(1), kOrders, 0, 2, crc32c(broken ? ByteVec{9} : ByteVec{1, 2, 3}));
       return f.all_found();
     }},
});

}  // namespace

TEST_CASE("partitions: a request that times out although the only ISR member holds its batch is L5") {
  for (bool alone : {true, false}) {
    Bench f;
    f.make_topic(1);
    f.node(1).commit({entry(kOrders, 0, 3, 0)});
    if (alone) {
      f.fence(2);
      f.fence(3);
    }
    f.partitions.on_timed_out(NodeId(1), kOrders, crc32c(ByteVec{7, 7}));  // another batch
    CHECK(f.found() == "");
    f.partitions.on_timed_out(NodeId(1), kOrders, crc32c(ByteVec{1, 2, 3}));
    CHECK(f.found() == (alone ? "L5" : ""));
  }
}
