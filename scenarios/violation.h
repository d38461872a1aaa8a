// What a check over data as a whole (histories, views of a cluster) has found.
#pragma once

#include <fmt/ranges.h>

#include <string>

namespace sg::scenario {

// "{1, 2}"
std::string list(const auto& nodes) { return fmt::format("{{{}}}", fmt::join(nodes, ", ")); }

struct Violation {
  std::string check;  // "H1"
  std::string text;   // what was expected and what was seen: both records, both places, both times
};

}  // namespace sg::scenario
