// Tells every registered story twice (pairs.h), and fails for a check of judge.h that has none.
#include "tests/scenarios/pairs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "scenarios/judge.h"

using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

std::vector<std::string> all_checks() {
  std::vector<std::string> out;
  for (size_t i = 0; i < kChecks; ++i) out.emplace_back(to_string(static_cast<Check>(i)));
  for (std::string_view name : kChecksByName) out.emplace_back(name);
  return out;
}

}  // namespace

TEST_CASE("given any check, then there is a story that it must flag, with a clean neighbour") {
  for (const std::string& name : all_checks()) {
    CAPTURE(name);
    CHECK(std::ranges::any_of(pairs(), [&](const Pair& p) { return p.check == name; }));
  }
  for (const Pair& p : pairs()) {
    CAPTURE(p.what);
    CHECK(std::ranges::count(all_checks(), p.check) == 1);
  }
}

TEST_CASE("given a story with one thing wrong, then exactly its check finds it; given the same story without that, then none does") {
  for (const Pair& p : pairs()) {
    CAPTURE(p.check);
    CAPTURE(p.what);
    CHECK(p.story(true) == p.check);
    CHECK(p.story(false) == "");
  }
}
