#include "scenarios/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "scenarios/run.h"
#include "scenarios/scenario_file.h"
#include "sim/trace_file.h"

namespace sg::scenario {
namespace {

size_t events_in(const sim::MemoryTrace& trace) {
  return static_cast<size_t>(std::ranges::count_if(trace.records(), [](const auto& r) { return r.event.kind != sim::TraceKind::note; }));
}

Result<sim::MemoryTrace> trace_of(const std::string& name) {
  const size_t colon = name.rfind(':');
  uint64_t seed = 0;
  if (colon != std::string::npos) {
    auto [end, error] = std::from_chars(name.data() + colon + 1, name.data() + name.size(), seed);
    if (error == std::errc() && end == name.data() + name.size()) {
      TRY(Scenario scenario, find_scenario(name.substr(0, colon)));
      sim::Pools pools;
      sim::MemoryTrace trace;
      (void)run_once(scenario, seed, pools, {.plan = nullptr, .trace = &trace});
      return trace;
    }
  }
  return sim::read_trace_file(name);
}

}  // namespace

Result<Difference> diff_runs(const std::string& a, const std::string& b) {
  TRY(sim::MemoryTrace left, trace_of(a));
  TRY(sim::MemoryTrace right, trace_of(b));
  Difference out{.events_a = events_in(left), .events_b = events_in(right), .at = sim::first_difference(left, right), .text = {}};
  if (out.at) out.text = sim::describe_difference(left, right, *out.at, a, b);
  return out;
}

}  // namespace sg::scenario
