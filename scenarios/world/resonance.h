// A world without jitter: every link, disk, clock and scheduler takes the same time always, on all machines, so that what happens at one of
// them happens at the same moment at the others. Pure. Spec: correctness.md part 1, 9.
#pragma once

#include "sim/world.h"

namespace sg::scenario {

// Keeps what was drawn for the slowest.
void take_jitter(sim::NetworkOptions& options);
void take_jitter(sim::NodeOptions& options);

}  // namespace sg::scenario
