// A node whose loop stalled (a paused process, a starved machine) finds its deadlines passed while the messages that would have moved
// them wait unread in its sockets. It reads them before it judges anybody's silence (architecture §5).
#pragma once

#include "base/task.h"

namespace sg::broker {

inline constexpr Duration kStall = 50ms;  // later than this: the loop stalled
inline constexpr Duration kDrain = 10ms;  // time for what has arrived to be read

// Call when `deadline` has passed, then look whether it still has. Suspends only after a stall.  Errc::stopped.
inline Result<> drain_after_stall(Task& task, Time deadline) {
  if (task.now() - deadline < kStall) return {};
  return task.sleep_for(kDrain);
}

}  // namespace sg::broker
