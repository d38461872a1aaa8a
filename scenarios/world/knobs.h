// How the brokers of a run are configured: drawn from the seed, or production's defaults where the scenario asks for these; then what the
// scenario itself says of single knobs. Spec: correctness.md part 1, 6 and 9.
// Invariant: whatever is drawn, together with any override within its bounds, is a configuration that a broker accepts.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/config.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace sg::scenario {

// What a scenario may set. Names end with their unit, and are those of broker::Config.
struct Knob {
  std::string_view name;
  int64_t low;
  int64_t high;
  int64_t step;  // values are multiples of it
  void (*set)(broker::Config&, int64_t);
};
std::span<const Knob> knobs();

struct DrawnConfig {
  broker::Config config;
  std::string text;  // one "key = value" per line
};
// Each override has a random stream of its own: another one beside it changes nothing.
DrawnConfig draw_config(const sim::World& world, const ClusterSpec& spec);

}  // namespace sg::scenario
