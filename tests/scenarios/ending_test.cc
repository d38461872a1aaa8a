// What an ending leaves broken: a minority, each kind in some seed, and a majority of whom all hear each other.
#include "scenarios/world/ending.h"

#include <doctest/doctest.h>

#include <set>

using namespace sg;
using namespace sg::scenario;

TEST_CASE("given any number of nodes, when it is drawn what stays broken, then it is a minority, and every kind is drawn in its time") {
  for (size_t nodes : {1u, 3u, 5u, 7u}) {
    std::set<Breakage> seen;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
      const std::vector<Broken> broken = draw_broken(Rng(seed), nodes);
      CHECK(broken.empty() == (nodes == 1));
      CHECK(2 * broken.size() < nodes);
      std::set<size_t> whom;
      for (const Broken& b : broken) {
        CHECK(b.node < nodes);
        CHECK(b.other < nodes);
        CHECK(b.other != b.node);
        seen.insert(b.breakage);
        whom.insert(b.node);
        if (broken.size() > 1) CHECK(b.breakage < Breakage::estranged);
      }
      CHECK(whom.size() == broken.size());
    }
    CHECK(seen.size() == (nodes == 1 ? 0 : 8));
  }
}
