// Three replicas under kills, cut sessions, erring controllers and slow disks: several hundred seeds, invariants after every event.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/replica/cluster.h"

namespace sg::replica::test {

TEST_CASE("given three replicas under faults, when they heal, then nothing acknowledged is lost, doubled or reordered") {
  size_t acknowledged = 0;
  size_t elections = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Cluster cluster(seed);
    cluster.run(4s);
    acknowledged += cluster.acknowledged();
    elections += cluster.elections();
  }
  // The runs did what they are for.
  CHECK(acknowledged > 300 * 20);
  CHECK(elections > 300 * 3);
}

}  // namespace sg::replica::test
