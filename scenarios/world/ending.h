// What stays as it is when the faults have stopped (correctness.md part 2: three endings, drawn per seed): nothing, where everything is
// healed; a minority of the nodes that is broken for ever, one of several ways; or whatever no fault had an end for.
//
// Invariant: of the ending `majority`, a majority of the nodes hear each other, and the clients them. What must work then is up to
// ClusterView and LivenessChecks.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace sg::scenario {

// How a node stays broken.
enum class Breakage : uint8_t {
  killed,     // no process
  dark,       // without power
  standing,   // its process does not run; its peers and clients hear nothing
  alone,      // hears nobody, and nobody it
  deaf,       // hears nobody
  mute,       // is heard by nobody
  estranged,  // it and one other node do not hear each other
  unheard,    // one other node does not hear it
};
std::string_view to_string(Breakage breakage);

struct Broken {
  size_t node = 0;  // of the cluster's nodes
  Breakage breakage = Breakage::killed;
  size_t other = 0;        // of `estranged` and `unheard`
  bool to_clients = true;  // of `alone`, `deaf` and `mute`: clients count as others do
};

// A minority of so many nodes; empty if there is none.
std::vector<Broken> draw_broken(Rng rng, size_t nodes);
// The nodes are all healed and running.
void break_for_ever(sim::World& world, const std::vector<sim::Node*>& nodes, const std::vector<Broken>& broken);
std::string describe(const std::vector<sim::Node*>& nodes, const std::vector<Broken>& broken);

}  // namespace sg::scenario
