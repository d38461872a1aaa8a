#include "base/system_clock.h"

#include <time.h>

#include "base/ensure.h"

namespace sg {

namespace {

timespec read_clock(clockid_t id) {
  timespec t{};
  ENSURE(::clock_gettime(id, &t) == 0);
  return t;
}

}  // namespace

void SystemClock::refresh() {
  timespec monotonic = read_clock(CLOCK_MONOTONIC);
  Time now{static_cast<int64_t>(monotonic.tv_sec) * 1'000'000'000 + monotonic.tv_nsec};
  ENSURE(now >= now_, "the monotonic clock went back from {} to {}", now_.ns, now.ns);
  now_ = now;
  timespec wall = read_clock(CLOCK_REALTIME);
  wall_ms_ = static_cast<int64_t>(wall.tv_sec) * 1000 + wall.tv_nsec / 1'000'000;
}

}  // namespace sg
