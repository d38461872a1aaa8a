#include "scenarios/plan.h"

#include <algorithm>

namespace sg::scenario {

std::string_view to_string(Ending ending) {
  static constexpr std::string_view kNames[] = {"healed", "majority", "stopped"};
  static_assert(std::size(kNames) == kEndings);
  return kNames[static_cast<size_t>(ending)];
}

sim::Fault fault_of(const EveryCall& every, uint64_t seed) {
  ENSURE(!every.targets.empty() && !every.deaths.empty() && every.calls > 0 && every.one_in > 0);
  uint64_t index = (seed > 0 ? seed - 1 : 0) / static_cast<uint64_t>(every.one_in);
  auto take = [&](uint64_t choices) {
    const uint64_t chosen = index % choices;
    index /= choices;
    return chosen;
  };
  sim::Fault out;
  out.kind = sim::FaultKind::crash_point;
  out.at = every.at;
  out.point = every.point;
  out.target = every.targets[take(every.targets.size())];
  out.death = every.deaths[take(every.deaths.size())];
  out.value = static_cast<int64_t>(1 + take(static_cast<uint64_t>(every.calls)));
  out.duration = every.down;
  return out;
}

sim::FaultPlan draw_plan(const Scenario& scenario, const Rng& rng, uint64_t seed, Time begin, Time end) {
  sim::FaultPlan plan = sim::draw_fault_plan(rng, scenario.faults, begin, end);
  auto add = [&](sim::Fault fault) {
    fault.at = fault.at + (begin - Time{0});
    plan.faults.push_back(std::move(fault));
  };
  for (const sim::Fault& fault : scenario.at) add(fault);
  for (const EveryCall& every : scenario.every_call)
    if ((seed > 0 ? seed - 1 : 0) % static_cast<uint64_t>(every.one_in) == 0) add(fault_of(every, seed));
  std::ranges::stable_sort(plan.faults, {}, &sim::Fault::at);
  return plan;
}

bool needs_spares(const Scenario& scenario) {
  return std::ranges::any_of(scenario.faults, sim::needs_spare, &sim::FaultRule::kind) ||
         std::ranges::any_of(scenario.at, sim::needs_spare, &sim::Fault::kind);
}

}  // namespace sg::scenario
