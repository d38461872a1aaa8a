#include "scenarios/world/knobs.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::scenario {
namespace {

using broker::Config;
using std::chrono::milliseconds;

// In the order in which they are set: what counts in others' units comes behind them.
constexpr Knob kKnobs[] = {
    {"segment_bytes", 4096, 1 << 20, 4096,
     [](Config& c, int64_t v) { c.journal.segment_bytes = c.journal.first_segment_bytes = static_cast<uint64_t>(v); }},
    {"budget_segments", 4, 1 << 20, 1,
     [](Config& c, int64_t v) { c.journal.budget_bytes = static_cast<uint64_t>(v) * c.journal.segment_bytes; }},
    {"tail_cache_bytes", 1, 64 << 20, 1, [](Config& c, int64_t v) { c.journal.tail_cache_bytes = static_cast<uint64_t>(v); }},
    {"snapshot_every", 1, 1'000'000, 1, [](Config& c, int64_t v) { c.raft.snapshot_every = v; }},
    {"kept_behind_snapshot", 0, 1'000'000, 1, [](Config& c, int64_t v) { c.raft.kept_behind_snapshot = v; }},
    {"append_max_entries", 1, 1024, 1, [](Config& c, int64_t v) { c.raft.append_max_entries = static_cast<size_t>(v); }},
    {"heartbeat_ms", 10, 150, 1, [](Config& c, int64_t v) { c.timing.heartbeat = milliseconds(v); }},
    {"election_min_ms", 300, 10'000, 1,
     [](Config& c, int64_t v) {
       const Duration spread = c.timing.election_max - c.timing.election_min;
       c.timing.election_min = milliseconds(v);
       c.timing.election_max = c.timing.election_min + spread;
     }},
    {"election_spread_ms", 0, 10'000, 1, [](Config& c, int64_t v) { c.timing.election_max = c.timing.election_min + milliseconds(v); }},
    {"session_timeout_ms", 450, 60'000, 1, [](Config& c, int64_t v) { c.timing.session_timeout = milliseconds(v); }},
    {"replica_lag_time_max_ms", 1, 60'000, 1, [](Config& c, int64_t v) { c.timing.replica_lag_time_max = milliseconds(v); }},
    {"link_timeout_ms", 450, 10'000, 1, [](Config& c, int64_t v) { c.timing.link_timeout = milliseconds(v); }},
    {"replica_window_bytes", 1, 64 << 20, 1, [](Config& c, int64_t v) { c.limits.replica_window_bytes = static_cast<size_t>(v); }},
    {"message_max_bytes", 1024, 1 << 20, 1, [](Config& c, int64_t v) { c.broker.message_max_bytes = static_cast<int32_t>(v); }},
    {"request_max_bytes", 2 << 20, 100 << 20, 1, [](Config& c, int64_t v) { c.limits.request_max_bytes = static_cast<size_t>(v); }},
    {"answer_max_bytes", 1, 55 << 20, 1, [](Config& c, int64_t v) { c.limits.answer_max_bytes = static_cast<size_t>(v); }},
    {"connections", 8, 4096, 1, [](Config& c, int64_t v) { c.limits.connections = static_cast<size_t>(v); }},
    {"connection_max_requests", 1, 1000, 1, [](Config& c, int64_t v) { c.limits.connection_max_requests = static_cast<size_t>(v); }},
    {"connection_max_in_flight_bytes", 1, 64 << 20, 1,
     [](Config& c, int64_t v) { c.limits.connection_max_in_flight_bytes = static_cast<size_t>(v); }},
    {"connection_max_answer_bytes", 1, 4 << 20, 1,
     [](Config& c, int64_t v) { c.limits.connection_max_answer_bytes = static_cast<size_t>(v); }},
    {"node_max_in_flight_bytes", 1, 256 << 20, 1, [](Config& c, int64_t v) { c.limits.node_max_in_flight_bytes = static_cast<size_t>(v); }},
    {"node_max_unfinished_bytes", 1, 256 << 20, 1,
     [](Config& c, int64_t v) { c.limits.node_max_unfinished_bytes = static_cast<size_t>(v); }},
    {"node_max_answer_bytes", 1, 256 << 20, 1, [](Config& c, int64_t v) { c.limits.node_max_answer_bytes = static_cast<size_t>(v); }},
    {"connection_max_idle_ms", 100, 600'000, 1, [](Config& c, int64_t v) { c.limits.connection_max_idle = milliseconds(v); }},
    {"patience_ms", 100, 60'000, 1, [](Config& c, int64_t v) { c.limits.patience = milliseconds(v); }},
};

void draw(Config& config, Rng rng) {
  auto& j = config.journal;
  j.segment_bytes = static_cast<uint64_t>(rng.log_between(1, 64)) * 4096;
  j.first_segment_bytes = j.segment_bytes;
  j.tail_cache_bytes = static_cast<uint64_t>(rng.log_between(1, 1024)) * 1024;
  config.raft.snapshot_every = rng.log_between(10, 1000);
  auto& t = config.timing;
  t.heartbeat = milliseconds(rng.between(30, 150));
  t.election_min = milliseconds(rng.between(300, 700));
  t.election_max = t.election_min + milliseconds(rng.between(100, 700));
  t.session_timeout = milliseconds(rng.between(500, 4000));
  t.replica_lag_time_max = milliseconds(rng.log_between(500, 10'000));
  config.limits.replica_window_bytes = static_cast<size_t>(rng.log_between(1, 4 << 20));
  config.raft.append_max_entries = static_cast<size_t>(rng.log_between(1, 1024));
  t.link_timeout = milliseconds(rng.between(500, 1500));
}

std::string text_of(const Config& config) {
  const auto& j = config.journal;
  const auto& t = config.timing;
  return fmt::format(
      "journal.segment_bytes = {}\njournal.tail_cache_bytes = {}\nraft.snapshot_every = {}\nraft.append_max_entries = "
      "{}\ntiming.heartbeat_ms = {}\n"
      "timing.election_timeout_ms = [{}, {}]\ntiming.session_timeout_ms = {}\ntiming.replica_lag_time_max_ms = {}\nreplica_window_bytes = "
      "{}\ntiming.link_timeout_ms = {}\n",
      j.segment_bytes, j.tail_cache_bytes, config.raft.snapshot_every, config.raft.append_max_entries, t.heartbeat / 1ms,
      t.election_min / 1ms, t.election_max / 1ms, t.session_timeout / 1ms, t.replica_lag_time_max / 1ms, config.limits.replica_window_bytes,
      t.link_timeout / 1ms);
}

// What the scenario has set, one line.
std::string override_knobs(Config& config, const std::vector<KnobOverride>& overrides, const Rng& random) {
  std::string text;
  for (const Knob& knob : kKnobs) {
    auto wanted = std::ranges::find(overrides, knob.name, &KnobOverride::name);
    if (wanted == overrides.end()) continue;
    Rng rng = random.split(knob.name);
    const int64_t value = rng.between(wanted->value.low / knob.step, wanted->value.high / knob.step) * knob.step;
    knob.set(config, value);
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", knob.name, value);
  }
  return text.empty() ? text : fmt::format("knobs = {{ {} }}\n", text);
}

}  // namespace

std::span<const Knob> knobs() { return kKnobs; }

DrawnConfig draw_config(const sim::World& world, const ClusterSpec& spec) {
  DrawnConfig out;
  Config& config = out.config;
  if (spec.draw_knobs) {
    draw(config, world.rng("knobs"));
  } else {
    // A simulated disk is not worth 64 MiB of zeros per node, nor as much memory.
    config.journal.segment_bytes = 256 << 10;
    config.journal.first_segment_bytes = 64 << 10;
    config.journal.tail_cache_bytes = 256 << 10;
  }
  if (spec.resonance) config.timing.election_max = config.timing.election_min;
  const std::string overridden = override_knobs(config, spec.knobs, world.rng("knob overrides"));
  out.text = spec.draw_knobs ? text_of(config) : "knobs = production defaults, journal segments and tail cache of 256 KiB\n";
  if (spec.resonance) out.text += "resonance = true\n";
  out.text += overridden;
  Result<> valid = broker::validate(config);
  ENSURE(valid, "no broker would start like this: {}", valid ? "" : valid.error().what);
  return out;
}

}  // namespace sg::scenario
