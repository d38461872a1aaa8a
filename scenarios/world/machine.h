// Which machine: the checks name one by the id of the node whose machine it is. A spare machine, on which an operator may start a second
// process with a node's id, has an id that no node has. What a process claims to be is another matter, and never decides whose promise
// something is.
#pragma once

#include "base/ids.h"

namespace sg::scenario {

using MachineId = NodeId;

inline constexpr MachineId kFirstSpare{1001};
constexpr bool is_spare(MachineId machine) { return machine >= kFirstSpare; }

}  // namespace sg::scenario
