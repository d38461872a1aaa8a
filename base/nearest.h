// "Did you mean": the name that is closest to a mistyped one, by edit distance (Levenshtein 1966).
#pragma once

#include <string_view>
#include <vector>

namespace sg {

// The closest of `names` (the first of equals); empty if there are none.
std::string_view nearest(std::string_view text, const std::vector<std::string_view>& names);

}  // namespace sg
