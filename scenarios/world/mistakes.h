// What an operator gets wrong when starting a broker: the words that sim/ carries in its faults without knowing what they mean, and what
// each makes of a right configuration. Pure. What has to come of each: design/identity.md, "Flags".
#pragma once

#include <span>
#include <string_view>

#include "broker/config.h"
#include "sim/fault.h"

namespace sg::scenario {

//   no_voters      the list of voters was forgotten
//   other_voters   the list names this node and others that do not exist
//   a_stranger     one of the others in the list does not exist; the rest is right
//   other_node     the id of another node, on this node's disk
//   unchecked      the directory is taken for the original, whatever its lock file says: as where a block device is copied
//   no_form        without the permission to form a cluster, as every start after the first may be
std::span<const std::string_view> mistakes();

// `right` as the mistake makes it. The word is one of mistakes(), or empty: nothing is wrong with the configuration.
broker::Config mistaken(broker::Config right, std::string_view mistake);

// How a fault of people is called where what comes of it is judged: by its choice, or by its kind.
std::string_view name_of(const sim::Fault& fault);

}  // namespace sg::scenario
