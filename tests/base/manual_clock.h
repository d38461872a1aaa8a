// A clock that moves when the test says so.
#pragma once

#include "base/clock.h"
#include "base/scheduler.h"

namespace sg::test {

class ManualClock final : public Clock {
 public:
  Time now() const override { return now_; }
  int64_t wall_ms() const override { return now_.ns / 1'000'000; }
  void advance(Duration d) { now_ = now_ + d; }
  void set(Time t) { now_ = t; }

 private:
  Time now_{};
};

// Runs until no task is ready and no deadline is left, jumping from deadline to deadline.
inline void run_all(Scheduler& scheduler, ManualClock& clock) {
  for (;;) {
    scheduler.run_ready();
    Time next = scheduler.next_deadline();
    if (next == Time::never()) return;
    clock.set(next);
  }
}

}  // namespace sg::test
