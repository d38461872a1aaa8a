// `stormglass diff A B`: the first event at which two runs differ. Each is either "scenario:seed", run here and now, or the file that
// `stormglass run --trace FILE` wrote, in whatever build and on whatever machine.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace sg::scenario {

struct Difference {
  size_t events_a = 0;
  size_t events_b = 0;
  std::optional<size_t> at;  // the first event that differs; none: the runs are equal
  std::string text;          // both sides around it, for a person
};

// Errc::not_found, Errc::invalid: what was named is neither a run nor a trace.
Result<Difference> diff_runs(const std::string& a, const std::string& b);

}  // namespace sg::scenario
