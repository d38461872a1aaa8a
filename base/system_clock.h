// The production clock: CLOCK_MONOTONIC, and CLOCK_REALTIME for the wall clock. Both are read by refresh() only, so that they are
// constant within a turn; the event loop refreshes once the wait is over.
#pragma once

#include "base/clock.h"

namespace sg {

class SystemClock final : public Clock {
 public:
  SystemClock() { refresh(); }
  Time now() const override { return now_; }
  int64_t wall_ms() const override { return wall_ms_; }
  void refresh();

 private:
  Time now_{};
  int64_t wall_ms_ = 0;
};

}  // namespace sg
