// Draws a fault plan from its distributions.
#include <algorithm>

#include "base/ensure.h"
#include "sim/fault.h"

namespace sg::sim {
namespace {

Duration draw_duration(Rng& rng, const DurationRange& range) {
  ENSURE(range.low.count() >= 0 && range.low <= range.high, "a range of {} to {} ns", range.low.count(), range.high.count());
  if (range.low.count() > 0 && range.high / range.low >= 10) return Duration(rng.log_between(range.low.count(), range.high.count()));
  return Duration(rng.between(range.low.count(), range.high.count()));
}

int64_t draw_value(Rng& rng, const ValueRange& range) {
  return range.low > 0 ? rng.log_between(range.low, range.high) : rng.between(range.low, range.high);
}

template <class T>
T draw_one(Rng& rng, const std::vector<T>& choices) {
  uint64_t index = rng.below(std::max<size_t>(1, choices.size()));
  return choices.empty() ? T{} : choices[index];
}

}  // namespace

FaultPlan draw_fault_plan(const Rng& rng, const std::vector<FaultRule>& rules, Time from, Time to) {
  FaultPlan plan;
  for (size_t r = 0; r < rules.size(); ++r) {
    const FaultRule& rule = rules[r];
    ENSURE(rule.every.high.count() > 0, "a rule of {} without a pause between its faults", to_string(rule.kind));
    Rng stream = rng.split("rule", r);
    if (!stream.chance(rule.enabled_percent, 100)) continue;
    Time at = from;
    for (uint64_t occasion = 0;; ++occasion) {
      at = at + std::max(Duration(1), draw_duration(stream, rule.every));
      if (at >= to || (rule.at_most > 0 && occasion >= rule.at_most)) break;
      for (uint32_t i = 0; i < rule.at_once; ++i) {
        Rng own = stream.split("fault", occasion * 1000 + i);
        Fault fault;
        fault.kind = rule.kind;
        fault.path = rule.path;
        fault.until = rule.until;
        fault.at = at + draw_duration(own, {Duration(0), rule.spread});
        const std::string drawn = draw_one(own, rule.targets);
        // As many faults at once as there are targets: each is struck, not one of them twice.
        fault.target = rule.at_once > 1 && rule.at_once == rule.targets.size() ? rule.targets[i] : drawn;
        fault.peer = draw_one(own, rule.peers);
        fault.duration = draw_duration(own, rule.duration);
        fault.value = draw_value(own, rule.value);
        fault.death = draw_one(own, rule.deaths);
        fault.point = draw_one(own, rule.points);
        if (!rule.choices.empty()) fault.choice = draw_one(own, rule.choices);
        fault.draw = own.next();
        if (fault.at < to) plan.faults.push_back(std::move(fault));
      }
    }
  }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
  return plan;
}

}  // namespace sg::sim
