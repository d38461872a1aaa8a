// The turn of a production node: run what is ready, wait for the outside, refresh the clock, again.
#pragma once

#include <functional>

#include "base/poller.h"
#include "base/scheduler.h"
#include "base/system_clock.h"

namespace sg::net {

// Runs turns until `until` is true after one, or the clock has reached `limit`. Returns what `until` said last.
// It sleeps while no task is ready, no deadline is due and nothing happens outside: idle costs no CPU.
bool run_event_loop(Scheduler& scheduler, Poller& poller, SystemClock& clock, const std::function<bool()>& until,
                    Time limit = Time::never());

}  // namespace sg::net
