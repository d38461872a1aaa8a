// What counts as a copy: directories that come and go, damage that is not forgotten, and the interleavings that the rules guard against
// (design: identity, Brokers and replicas).
#include <algorithm>

#include "base/archive.h"
#include "tests/metadata/fixture.h"

namespace sg::metadata {
namespace {

using test::nth_run;

struct ThreeBrokers : Replayed {
  ThreeBrokers() {
    for (int node : {1, 2, 3}) bring_up(node);
    stream = create("t", nodes({1, 2, 3}), 2);
    other = create("u", nodes({1, 2, 3}), 2);
  }
  const Partition& p() const { return partition(stream); }
  const Partition& q() const { return partition(other); }
  void come_back(int node, uint64_t run, uint64_t directory = 1) {
    must(registration(node, run, directory));
    if (broker(node).fenced) unfence(node);
  }
  StreamId stream;
  StreamId other;
};

TEST_CASE("given the last member, when an empty twin of it registers, then the good copy is still the member, and leads when it is back") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  SUBCASE("fenced before") { r.fence(1); }
  SUBCASE("not noticed before") {}
  for (uint64_t twin = 1; twin <= 3; ++twin) {
    r.come_back(1, 1, 10 + twin);
    CHECK(r.p().isr == copies({1}));
    CHECK(r.p().leader == kNoNode);
    r.come_back(2, 2 * twin);
    CHECK(r.p().leader == kNoNode);  // another node's copy is not it either
  }
  r.come_back(1, 2);
  CHECK(r.p().leader == NodeId(1));
  CHECK(r.broker(1).former.empty());
  r.must(r.wish(r.stream, nodes({1, 2})));
  CHECK(r.p().isr == copies({1, 2}));
}

TEST_CASE(
    "given the directory of the last member, when it comes back in an earlier state, then it is refused: it may lack what was "
    "acknowledged") {
  ThreeBrokers r;
  r.come_back(1, 5);
  r.fence(2);
  r.fence(3);
  r.come_back(1, 1, 9);  // an empty disk meanwhile
  REQUIRE(r.broker(1).former == std::vector{nth_run(5)});
  CHECK(r.apply(Replayed::registration(1, 4)).is(Errc::stale));
  CHECK(r.apply(Replayed::registration(1, 5)).is(Errc::stale));
  r.must(Replayed::registration(1, 6));
}

TEST_CASE("given an unmounted disk, when the node runs without it once and with it again, then it keeps no place, and joins as any other") {
  ThreeBrokers r;
  r.come_back(1, 1, 9);
  CHECK(r.p().isr == copies({2, 3}));
  CHECK(r.broker(1).former.empty());  // nothing there that others lack
  r.must(r.wish(r.stream, nodes({1, 2, 3})));
  CHECK(r.p().isr[0] == copies({1}, 9)[0]);
  r.come_back(1, 2);
  CHECK(r.p().isr == copies({2, 3}));
  r.must(r.wish(r.stream, nodes({1, 2, 3})));
  CHECK(r.p().isr == copies({1, 2, 3}));
}

TEST_CASE("given damage that nobody can attribute, when it is registered, then it counts for every stream of the node, named or not") {
  ThreeBrokers r;
  StreamId elsewhere = r.create("v", nodes({2, 3}));
  RegisterBroker back = Replayed::registration(1, 2);
  back.clean = false;
  back.damaged = {r.stream};  // the other one lay wholly in the lost stretch, and is in no list
  r.must(back);
  CHECK(r.p().damaged == copies({1}));
  CHECK(r.q().damaged == copies({1}));
  CHECK(r.partition(elsewhere).damaged.empty());
  CHECK(r.q().isr == copies({2, 3}));
  // What is made later was never damaged.
  StreamId later = r.create("w", nodes({1, 2}));
  CHECK(r.partition(later).leader == NodeId(1));
}

TEST_CASE("given a damaged replica, when it restarts and calls itself clean, then it neither joins an ISR nor leads, until it is healed") {
  ThreeBrokers r;
  SUBCASE("found while it ran") { r.must(ReportDamage{NodeId(1), r.epoch(1), {r.stream}}); }
  SUBCASE("found by recovery") {
    RegisterBroker back = Replayed::registration(1, 2);
    back.damaged = {r.stream};
    r.must(back);
  }
  SUBCASE("found while it was in no ISR") {
    r.fence(1);
    r.unfence(1);
    r.must(ReportDamage{NodeId(1), r.epoch(1), {r.stream}});
  }
  for (uint64_t run = 3; run < 6; ++run) {
    r.come_back(1, run);
    CHECK(r.apply(r.wish(r.stream, nodes({1, 2, 3}))).is(Errc::unavailable));
    CHECK(!r.catalogue().may_join(r.p(), NodeId(1)));
    CHECK(r.catalogue().may_join(r.q(), NodeId(1)));
  }
  r.fence(2);
  r.fence(3);
  CHECK(r.p().leader == kNoNode);
  r.unfence(2);
  r.unfence(3);
  CHECK(r.p().leader == NodeId(3));
  CHECK(r.apply(Healed{NodeId(1), r.epoch(1) - 1, {r.stream}}).is(Errc::stale));
  r.must(Healed{NodeId(1), r.epoch(1), {r.other}});  // another stream's
  CHECK(r.p().damaged == copies({1}));
  r.must(Healed{NodeId(1), r.epoch(1), {r.stream}});
  CHECK(r.p().damaged.empty());
  r.must(r.wish(r.stream, nodes({1, 3})));
}

TEST_CASE("given a damaged last copy, when it is healed, then its partition is online again") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  r.must(ReportDamage{NodeId(1), r.epoch(1), {r.stream}});
  CHECK(r.p().leader == kNoNode);
  CHECK(r.p().isr == copies({1}));
  CHECK(r.q().leader == NodeId(1));
  r.must(Healed{NodeId(1), r.epoch(1), {r.stream}});
  CHECK(r.p().leader == NodeId(1));
}

TEST_CASE("given a damaged directory, when the node is given an empty one, then that is whole, and the damaged one stays damaged") {
  ThreeBrokers r;
  r.must(ReportDamage{NodeId(1), r.epoch(1), {r.stream}});
  r.come_back(1, 1, 9);
  r.must(r.wish(r.stream, nodes({1, 2, 3})));
  CHECK(r.p().isr[0] == copies({1}, 9)[0]);
  CHECK(r.p().damaged == copies({1}));
  r.come_back(1, 2);  // the old disk once more
  CHECK(r.apply(r.wish(r.stream, nodes({1, 2, 3}))).is(Errc::unavailable));
}

TEST_CASE("given damage and former directories, when their topics are deleted, then nothing is left of them") {
  ThreeBrokers r;
  r.fence(2);
  r.fence(3);
  r.must(ReportDamage{NodeId(1), r.epoch(1), {r.stream, r.other}});
  r.come_back(1, 1, 9);
  CHECK(r.broker(1).former == std::vector{nth_run(1)});
  r.must(DeleteTopic{r.catalogue().topic("t")->id});
  CHECK(r.broker(1).former.size() == 1);
  r.must(DeleteTopic{r.catalogue().topic("u")->id});
  CHECK(r.broker(1).former.empty());
  CHECK(r.catalogue().partitions().empty());
}

TEST_CASE("given streams that are reported by a node without a replica of them, when they are applied, then nothing is kept") {
  ThreeBrokers r;
  r.bring_up(4);
  ByteVec before = pack(r.p());
  r.must(ReportDamage{NodeId(4), r.epoch(4), {r.stream, StreamId(999)}});
  RegisterBroker back = Replayed::registration(4, 2);
  back.clean = false;
  back.damaged = {r.stream, StreamId(999)};
  r.must(back);
  CHECK(pack(r.p()) == before);
}

// --- What older releases wrote ---------------------------------------------------------------------------------------------------------

// A registration of version 1, field by field.
ByteVec registration_1(int node, int64_t incarnation, Uuid directory) {
  ByteVec out{1, 1};
  pack(out, NodeId(node));
  pack(out, incarnation);
  pack(out, directory);
  pack(out, Endpoint{"k", 9092});
  pack(out, Endpoint{"p", 9192});
  pack(out, std::string("rack"));
  pack(out, true);
  pack(out, std::vector<StreamId>{StreamId(17)});
  return out;
}

TEST_CASE("given a registration of the older format, when it is read, then its directory and its counter make the run") {
  auto record = decode_record(registration_1(3, 1'700'000'000'000, Uuid{5, 6}));
  REQUIRE(record.has_value());
  const auto& r = std::get<RegisterBroker>(*record);
  CHECK(r.run == Run{Uuid{5, 6}, Incarnation(1'700'000'000'000), 0});
  CHECK(r.voter == VoterId(0));
  CHECK(r.peer == Endpoint{"p", 9192});
  CHECK(r.rack == "rack");
  CHECK(r.damaged == std::vector{StreamId(17)});
  ByteVec other = encode(Record(DeleteTopic{Uuid{7, 7}}));
  other[0] = 1;
  auto deletion = decode_record(other);
  REQUIRE(deletion.has_value());
  CHECK(*deletion == Record(DeleteTopic{Uuid{7, 7}}));
  ByteVec later = encode(Record(Healed{}));
  later[0] = 1;  // a kind that version 1 did not have
  CHECK(decode_record(later).is(Errc::unsupported));
}

TEST_CASE("given a snapshot of the older format, when it is restored, then each member is the copy in its broker's directory") {
  ByteVec bytes{1};
  pack(bytes, LogIndex(9));
  pack(bytes, Uuid{1, 1});
  pack(bytes, uint32_t{2});
  for (int node : {1, 2}) {
    pack(bytes, NodeId(node));
    pack(bytes, NodeId(node));
    pack(bytes, BrokerEpoch(node));
    pack(bytes, int64_t{40 + node});
    pack(bytes, Uuid{0, 7});
    pack(bytes, Endpoint{"k", 9092});
    pack(bytes, Endpoint{"p", 9192});
    pack(bytes, std::string());
    pack(bytes, false);
    pack(bytes, false);
    pack(bytes, LogIndex(node));
  }
  Catalogue::Topics topics{{"t", Topic{"t", Uuid{7, 7}, 1, {}, {StreamId(16), StreamId(17)}}}};
  pack(bytes, topics);
  pack(bytes, uint32_t{2});
  for (int64_t stream : {16, 17}) {
    const bool lost = stream == 17;
    pack(bytes, StreamId(stream));
    pack(bytes, StreamId(stream));
    pack(bytes, Uuid{7, 7});
    pack(bytes, static_cast<int32_t>(stream - 16));
    pack(bytes, nodes({1, 2}));
    pack(bytes, lost ? nodes({2}) : nodes({1, 2}));
    pack(bytes, lost ? kNoNode : NodeId(1));
    pack(bytes, LeaderEpoch(2));
    pack(bytes, PartitionEpoch(3));
    pack(bytes, int32_t{1});
    pack(bytes, lost);
  }
  pack(bytes, StreamId(18));
  pack(bytes, ProducerId(5));

  Catalogue c;
  Result<> restored = c.restore(bytes);
  const std::string why = restored ? "" : restored.error().what;
  INFO(why);
  REQUIRE(restored.has_value());
  CHECK(joined(check_state(c)) == "");
  CHECK(c.broker(NodeId(2))->run == Run{Uuid{0, 7}, Incarnation(42), 0});
  CHECK(c.partition(StreamId(16))->isr == copies({1, 2}, 7));
  CHECK(c.partition(StreamId(17))->damaged == copies({2}, 7));
  Catalogue again;
  REQUIRE(again.restore(c.snapshot()).has_value());
  CHECK(again.snapshot() == c.snapshot());
}

}  // namespace
}  // namespace sg::metadata
