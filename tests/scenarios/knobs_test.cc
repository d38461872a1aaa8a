// What a scenario sets of the brokers' configuration, and what it leaves as drawn.
#include "scenarios/world/knobs.h"

#include <doctest/doctest.h>

#include <set>

#include "scenarios/world/resonance.h"

using namespace sg;
using namespace sg::scenario;

namespace {

DrawnConfig drawn(uint64_t seed, const std::vector<KnobOverride>& knobs, bool resonance = false, bool draw_knobs = true) {
  sim::Pools pools;
  sim::World world(seed, {}, pools);
  return draw_config(world, {.topics = {}, .draw_knobs = draw_knobs, .knobs = knobs, .resonance = resonance});
}

bool has(const std::string& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

}  // namespace

TEST_CASE("given a knob that is set, then it is so in every seed, it is printed, and all others are as drawn without it") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const DrawnConfig plain = drawn(seed, {});
    const DrawnConfig set = drawn(seed, {{"budget_segments", {6, 6}}, {"tail_cache_bytes", {1, 4096}}});
    CHECK(set.config.journal.budget_bytes == 6 * plain.config.journal.segment_bytes);
    CHECK(set.config.journal.tail_cache_bytes <= 4096);
    CHECK(set.config.journal.segment_bytes == plain.config.journal.segment_bytes);
    CHECK(set.config.timing.session_timeout == plain.config.timing.session_timeout);
    CHECK(set.config.timing.link_timeout == plain.config.timing.link_timeout);
    CHECK(has(set.text, "knobs = { budget_segments = 6, tail_cache_bytes = "));
    // Another override changes nothing of the first.
    CHECK(drawn(seed, {{"tail_cache_bytes", {1, 4096}}}).config.journal.tail_cache_bytes == set.config.journal.tail_cache_bytes);
  }
}

TEST_CASE("given a range in steps, then what is drawn lies in it on a step, and seeds differ") {
  std::set<uint64_t> values;
  for (uint64_t seed = 1; seed <= 40; ++seed)
    values.insert(drawn(seed, {{"segment_bytes", {4096, 16384}}}, false, false).config.journal.segment_bytes);
  CHECK(values == std::set<uint64_t>{4096, 8192, 12288, 16384});
}

TEST_CASE("given any knob at either of its bounds, alone or with all others at theirs, then a broker accepts it in every seed") {
  for (bool high : {false, true}) {
    std::vector<KnobOverride> all;
    for (const Knob& knob : knobs()) {
      const int64_t value = high ? knob.high : knob.low;
      all.push_back({std::string(knob.name), {value, value}});
      for (uint64_t seed = 1; seed <= 5; ++seed) CHECK(broker::validate(drawn(seed, {all.back()}).config));
    }
    CHECK(broker::validate(drawn(1, all).config));
  }
  CHECK(broker::validate(
      drawn(1, {{"heartbeat_ms", {150, 150}}, {"election_min_ms", {300, 300}}, {"session_timeout_ms", {450, 450}}}).config));
}

TEST_CASE("given resonance, then election timeouts are equal, and whatever takes a time takes always the same") {
  const DrawnConfig config = drawn(1, {}, true);
  CHECK(config.config.timing.election_min == config.config.timing.election_max);
  CHECK(has(config.text, "resonance = true"));
  sim::NetworkOptions network;
  network.link.tail_per_million = 7;
  take_jitter(network);
  CHECK(network.link.latency_min == network.link.latency_max);
  CHECK(network.link.tail_per_million == 0);
  sim::NodeOptions node;
  node.clock_drift_ppm = 50;
  node.wall_offset = 3ms;
  take_jitter(node);
  CHECK(node.clock_drift_ppm == 0);
  CHECK(node.wall_offset == Duration(0));
  CHECK(node.wake_min == node.wake_max);
  CHECK(node.disk.latency.sync_min == node.disk.latency.sync_max);
}
