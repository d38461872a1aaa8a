// Runs for tests that tell them apart by number.
#pragma once

#include "base/ids.h"

namespace sg::test {

// The n-th run of a directory; directories are numbered too.
inline Run nth_run(uint64_t n, uint64_t directory = 1) { return {Uuid{0, directory}, Incarnation(n), n}; }

}  // namespace sg::test
