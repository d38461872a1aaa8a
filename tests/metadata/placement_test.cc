// Placement: even over brokers, distinct racks, live brokers first, never fewer replicas than asked for. And what a topic may be called.
#include "broker/metadata/placement.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

#include "broker/metadata/topic_rules.h"
#include "tests/metadata/fixture.h"

namespace sg::metadata {
namespace {

std::vector<Candidate> brokers(int n, int racks = 0) {
  std::vector<Candidate> result;
  for (int i = 0; i < n; ++i) {
    result.push_back({.node = NodeId(i + 1), .rack = racks ? "r" + std::to_string(i % racks) : "", .leaders = 0, .replicas = 0});
  }
  return result;
}

int64_t spread(const std::vector<Candidate>& load, int64_t Candidate::*field) {
  auto [low, high] = std::ranges::minmax_element(load, {}, field);
  return (*high).*field - (*low).*field;
}

TEST_CASE("given too few brokers, when replicas are placed, then it is refused and never smaller") {
  auto load = brokers(2);
  CHECK(place(load, 1, 3, 1, 0).is(Errc::unavailable));
  CHECK(place(load, 0, 1, 1, 0).is(Errc::invalid));
  CHECK(place(load, 1, 0, 1, 0).is(Errc::invalid));
  std::vector<Candidate> none;
  CHECK(place(none, 1, 1, 1, 0).is(Errc::unavailable));
}

TEST_CASE("given brokers that are down, when replicas are placed, then these come last, and only where live ones do not suffice") {
  auto load = brokers(4);
  load[0].live = load[2].live = false;
  auto two = place(load, 1, 2, 2, 0);
  REQUIRE(two.has_value());
  CHECK((*two)[0] == nodes({2, 4}));
  auto three = place(load, 2, 3, 2, 0);
  REQUIRE(three.has_value());
  CHECK((*three)[0] == nodes({4, 2, 3}));
  CHECK((*three)[1] == nodes({2, 4, 1}));
  auto before = load;
  CHECK(place(load, 1, 4, 3, 0).is(Errc::unavailable));
  for (size_t i = 0; i < load.size(); ++i) CHECK(load[i].replicas == before[i].replicas);
  CHECK(place(load, 1, 4, 2, 0).has_value());
}

TEST_CASE("given topics one after another, when they are placed, then leaders stay even, and replicas too where the factor is the same") {
  CHECK(rc::check([] {
    int n = *rc::gen::inRange(1, 10);
    auto load = brokers(n);
    int live = *rc::gen::inRange(1, n + 1);
    for (int i = live; i < n; ++i) load[static_cast<size_t>(i)].live = false;
    int topics = *rc::gen::inRange(1, 12);
    bool same_factor = *rc::gen::arbitrary<bool>();
    int factor = *rc::gen::inRange(1, n + 1);
    for (int t = 0; t < topics; ++t) {
      int partitions = *rc::gen::inRange(1, 9);
      if (!same_factor) factor = *rc::gen::inRange(1, n + 1);
      auto rotation = *rc::gen::arbitrary<uint64_t>();
      auto again = load;
      auto assignment = place(load, partitions, factor, 1, rotation);
      RC_ASSERT(assignment.has_value());
      RC_ASSERT(*assignment == *place(again, partitions, factor, 1, rotation));
      RC_ASSERT(static_cast<int>(assignment->size()) == partitions);
      for (const auto& replicas : *assignment) {
        RC_ASSERT(static_cast<int>(replicas.size()) == factor);
        RC_ASSERT(std::set<NodeId>(replicas.begin(), replicas.end()).size() == replicas.size());
        for (int i = 0; i < factor; ++i) RC_ASSERT((replicas[static_cast<size_t>(i)].v <= live) == (i < live));
      }
      std::vector<Candidate> up(load.begin(), load.begin() + live);
      RC_ASSERT(spread(up, &Candidate::leaders) <= 1);
      if (same_factor) RC_ASSERT(spread(up, &Candidate::replicas) <= 2);
    }
  }));
}

TEST_CASE("given racks, when replicas are placed, then those of one partition are on as many racks as there can be") {
  CHECK(rc::check([] {
    int racks = *rc::gen::inRange(1, 5);
    int n = *rc::gen::inRange(racks, 12);
    auto load = brokers(n, racks);
    std::map<NodeId, std::string> rack_of;
    for (const Candidate& b : load) rack_of[b.node] = b.rack;
    int factor = *rc::gen::inRange(1, n + 1);
    auto assignment = place(load, *rc::gen::inRange(1, 30), factor, 1, *rc::gen::arbitrary<uint64_t>());
    RC_ASSERT(assignment.has_value());
    for (const auto& replicas : *assignment) {
      std::set<std::string> used;
      for (NodeId node : replicas) used.insert(rack_of[node]);
      RC_ASSERT(static_cast<int>(used.size()) == std::min(racks, factor));
    }
    RC_ASSERT(spread(load, &Candidate::leaders) <= 1);
  }));
}

TEST_CASE("given a catalogue, when candidates are asked for, then fenced and draining brokers are not live, and the load is counted") {
  Catalogue c;
  LogIndex index(0);
  auto apply = [&](const Record& record) {
    ++index;
    auto applied = c.apply(index, record);
    REQUIRE(applied.has_value());
  };
  for (int n : {1, 2, 3, 4}) {
    apply(RegisterBroker{NodeId(n), Run{Uuid{1, 1}, Incarnation(1), 1}, VoterId(1), {}, {}, "r" + std::to_string(n), true, {}});
    apply(UnfenceBroker{NodeId(n), BrokerEpoch(index.v)});
  }
  apply(CreateTopic{"t", Uuid{1, 1}, {{NodeId(1), NodeId(2)}, {NodeId(1), NodeId(3)}}, 1, {}});
  apply(FenceBroker{NodeId(3), c.broker(NodeId(3))->epoch});
  apply(DrainBroker{NodeId(4), c.broker(NodeId(4))->epoch});
  auto load = candidates(c);
  REQUIRE(load.size() == 4);
  CHECK(load[0].node == NodeId(1));
  CHECK(load[0].leaders == 2);
  CHECK(load[0].replicas == 2);
  CHECK(load[1].rack == "r2");
  CHECK(load[1].leaders == 0);
  CHECK(load[1].replicas == 1);
  CHECK(load[0].live);
  CHECK(load[1].live);
  CHECK(!load[2].live);
  CHECK(load[2].replicas == 1);
  CHECK(!load[3].live);
}

TEST_CASE("given names, when they are checked, then Kafka's rules decide") {
  for (std::string_view good : {"a", "A-1_b.c", "...", "__consumer_offsets"}) CHECK(check_topic_name(good).has_value());
  for (std::string_view bad : {"", ".", "..", "a b", "a/b", "\xc3\xa4", "a:b"}) CHECK(check_topic_name(bad).is(Errc::invalid));
  CHECK(check_topic_name(std::string(249, 'x')).has_value());
  CHECK(check_topic_name(std::string(250, 'x')).is(Errc::invalid));
  CHECK(names_collide("a.b_c", "a_b.c"));
  CHECK(!names_collide("a.b", "a-b"));
  CHECK(!names_collide("a.b", "a.bc"));
}

TEST_CASE("given settings, when they are checked, then what would have no effect is refused") {
  auto good = check_configs({{"min.insync.replicas", "2"}, {"cleanup.policy", "delete"}});
  REQUIRE(good.has_value());
  CHECK(good->min_insync_replicas == 2);
  CHECK(good->configs[0].name == "cleanup.policy");
  CHECK(check_configs({{"min.insync.replicas", "0"}}).is(Errc::invalid));
  CHECK(check_configs({{"min.insync.replicas", "2x"}}).is(Errc::invalid));
  CHECK(check_configs({{"cleanup.policy", "compact"}}).is(Errc::unsupported));
  CHECK(check_configs({{"no.such.setting", "1"}}).is(Errc::invalid));
  CHECK(check_configs({{"retention.ms", "-1"}, {"retention.ms", "-1"}}).is(Errc::invalid));
}

}  // namespace
}  // namespace sg::metadata
