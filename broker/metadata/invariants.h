// What must hold of a catalogue, and of each step from one state to the next (correctness E9). Written against the public view only, so
// that it shares no rule with the code that it checks. Tests and the simulator call it after every step.
#pragma once

#include <string>
#include <vector>

#include "broker/metadata/catalogue.h"

namespace sg::metadata {

// One line per violation; empty if all holds. Cost: the whole catalogue.
std::vector<std::string> check_state(const Catalogue& catalogue);

// `after` is `before` with one record applied.
std::vector<std::string> check_transition(const Catalogue& before, const Catalogue& after);

}  // namespace sg::metadata
