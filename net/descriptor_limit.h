// How many files and connections this process may have open (RLIMIT_NOFILE).
#pragma once

#include <cstddef>

namespace sg::net {

// Raises the limit as far as the system lets this process, within reason, and returns what it is then. Systems start processes with a low
// limit for the sake of programs that use select(); this one does not.
size_t raise_descriptor_limit();

}  // namespace sg::net
