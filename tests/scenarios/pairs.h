// Checkers are checked: for each check, stories that are told twice, once with the one thing wrong that it is there to see, once without.
// tests/scenarios/pairs_test.cc tells all of them, and fails for a check that has none.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sg::scenario::testing {

struct Pair {
  std::string_view check;                         // that must find the broken story, and no other
  std::string_view what;                          // is broken
  std::function<std::string(bool broken)> story;  // the names of the checks that found something, each once, in their order
};

inline std::vector<Pair>& pairs() {
  static std::vector<Pair> all;
  return all;
}

struct AddPairs {
  explicit AddPairs(std::vector<Pair> more) { pairs().insert(pairs().end(), more.begin(), more.end()); }
};

// Adds a check's name to "E1 E2" unless it is the last there.
inline void add_name(std::string& names, std::string_view check) {
  if (names.empty()) {
    names = check;
  } else if (!names.ends_with(check)) {
    names.append(" ").append(check);
  }
}

}  // namespace sg::scenario::testing
