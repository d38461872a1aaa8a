// The fault plan of a run: what a scenario draws, what it fixes, and what it counts out from the seed.
#pragma once

#include "base/rng.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

// The one death that this seed stands for.
sim::Fault fault_of(const EveryCall& every, uint64_t seed);

// `rng`: the stream of the faults. Faults are drawn for [begin, end); moments count from `begin`.
sim::FaultPlan draw_plan(const Scenario& scenario, const Rng& rng, uint64_t seed, Time begin, Time end);

// Whether the scenario may need machines beside those of its nodes.
bool needs_spares(const Scenario& scenario);

}  // namespace sg::scenario
