// The clock, one of the four interfaces behind which the world may differ (clock, network, disk, random).
#pragma once

#include "base/time.h"

namespace sg {

class Clock {
 public:
  virtual ~Clock() = default;

  // Monotonic; constant within one turn of the scheduler, so that one turn sees one moment.
  virtual Time now() const = 0;

  // Wall clock in ms since the Unix epoch. May jump; only timestamps and retention may depend on it.
  virtual int64_t wall_ms() const = 0;
};

}  // namespace sg
