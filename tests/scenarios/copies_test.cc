// What the faults have destroyed: three nodes, one partition of which the first two hold two committed records.
#include "scenarios/observe/copies.h"

#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

struct Story : PartitionBench {
  Story() {
    replicate_to(3);
    partitions.on_data(NodeId(1), data(2));
    REQUIRE(high_watermark() == 2);
    REQUIRE(reports.empty());
  }
  void wipe(int i) {
    ledger(i).died(sim::Death::wipe);
    copies.taken(NodeId(i), true);
  }
  Copies copies{ledgers, ghost};
};

}  // namespace

TEST_CASE("given disks that are emptied one after the other, then what was committed is destroyed with the last that had it") {
  Story s;
  s.wipe(1);
  s.wipe(2);
  CHECK_FALSE(s.copies.any_destroyed());
  s.wipe(3);
  CHECK(s.copies.destroyed(kOrders));
  CHECK_FALSE(s.copies.quorum_destroyed());
}

TEST_CASE("given a majority of the voters that does not remember, then the quorum is destroyed for good") {
  Story s;
  s.copies.taken(NodeId(1), false);
  s.copies.taken(NodeId(2), true);
  CHECK(s.copies.quorum_destroyed());
  CHECK(s.copies.any_destroyed());
}

TEST_CASE("given the last whole copy on a disk that is only away, then it is not destroyed") {
  Story s;
  s.wipe(1);
  s.wipe(2);
  std::map<MachineId, Ledger> kept;
  kept.emplace(NodeId(3), s.ledger(3));
  s.ledger(3).died(sim::Death::wipe);
  s.copies.taken(NodeId(3), true, kept);
  CHECK_FALSE(s.copies.destroyed(kOrders));
}

TEST_CASE("given a copy that a node itself gave up, then the faults have not destroyed it") {
  Story s;
  s.node(3).commit({truncation(kOrders, 0)});
  s.wipe(1);
  CHECK_FALSE(s.copies.destroyed(kOrders));
  s.wipe(2);  // now nobody has it, and the faults took it from the last one who had
  CHECK(s.copies.destroyed(kOrders));
}

TEST_CASE("given a spare machine, then nothing counts that is taken from it") {
  Story s;
  s.copies.taken(kFirstSpare, false);
  s.copies.taken(kFirstSpare + 1, false);
  CHECK_FALSE(s.copies.quorum_destroyed());
}
