#include "net/event_loop.h"

#include <algorithm>

namespace sg::net {

bool run_event_loop(Scheduler& scheduler, Poller& poller, SystemClock& clock, const std::function<bool()>& until, Time limit) {
  for (;;) {
    scheduler.run_ready();
    if (until()) return true;
    // The timeout counts from now, not from the beginning of the turn, which may have been long.
    clock.refresh();
    if (clock.now() >= limit) return false;
    Time wake_at = std::min(scheduler.next_deadline(), limit);
    Duration timeout = wake_at == Time::never() ? Duration::max() : wake_at - clock.now();
    poller.poll(scheduler.has_ready() ? Duration::zero() : timeout);
    clock.refresh();
  }
}

}  // namespace sg::net
