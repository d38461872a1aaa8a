// The invariants of one replica: of each state, and of each step from one state to the next. A test, or a careful shell, calls check
// after every event. A broken one hits ENSURE.
#pragma once

#include <optional>

#include "broker/replica/partition.h"

namespace sg::replica {

class Invariants {
 public:
  // The same partition object every time, in one run of its process.
  void check(const Partition& partition);

 private:
  std::optional<PartitionView> before_;
};

}  // namespace sg::replica
