// What every implementation of disk::Disk promises (disk/disk.h), as one suite; what survives a power cut is the simulator's to
// test. A test case makes a fresh fixture and calls disk_contract(fixture); the subcases inside make doctest enter it once for each
// promise.
#pragma once

#include <functional>

#include "base/scheduler.h"
#include "disk/disk.h"

namespace sg::contract {

// One node with an empty data directory.
class DiskFixture {
 public:
  virtual ~DiskFixture() = default;
  virtual Scheduler& scheduler() = 0;
  virtual disk::Disk& disk() = 0;
  // Runs the node until `done`; false if that does not come about within a generous bound.
  virtual bool run_until(const std::function<bool()>& done) = 0;
};

void disk_contract(DiskFixture& fixture);

}  // namespace sg::contract
