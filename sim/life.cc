#include "sim/life.h"

#include <algorithm>

#include "base/ensure.h"
#include "base/scheduler.h"

namespace sg::sim {

std::string_view to_string(Death death) {
  switch (death) {
    case Death::exit: return "exit";
    case Death::kill: return "kill";
    case Death::power_cut: return "power_cut";
    case Death::wipe: return "wipe";
  }
  return "?";
}

std::string_view to_string(CrashPoint point) {
  switch (point) {
    case CrashPoint::after_write: return "after_write";
    case CrashPoint::during_write: return "during_write";
    case CrashPoint::before_sync: return "before_sync";
    case CrashPoint::during_sync: return "during_sync";
    case CrashPoint::after_sync: return "after_sync";
    case CrashPoint::after_name: return "after_name";
    case CrashPoint::after_truncate: return "after_truncate";
    case CrashPoint::after_send: return "after_send";
    case CrashPoint::any_storage: return "any_storage";
    case CrashPoint::any: return "any";
  }
  return "?";
}

std::unexpected<Error> Life::refuse(Task& task) {
  ENSURE(dead_);
  task.scheduler().request_stop(task.ref());
  Wake wake = task.park("a call on a dead node");
  ENSURE(wake == Wake::stopped);
  return fail(Errc::stopped);
}

std::unexpected<Error> Life::refuse() {
  ENSURE(dead_);
  ENSURE(++refusals_ <= Task::kMaxRefusedWaits, "node {} is dead and keeps calling", node_);
  return fail(Errc::stopped);
}

bool Life::strike(CrashPoint point) {
  const bool storage = point != CrashPoint::after_send;
  std::vector<ArmedDeath> due;
  std::erase_if(armed_, [&](ArmedDeath& armed) {
    const bool matches = armed.point == CrashPoint::any || armed.point == point || (armed.point == CrashPoint::any_storage && storage);
    if (!matches || --armed.countdown > 0) return false;
    due.push_back(std::move(armed));
    return true;
  });
  if (due.empty()) return false;
  for (const ArmedDeath& death : due)
    if (death.on_strike) death.on_strike();
  // Of several at one passing the gravest. Outside a turn this destroys the process, and this Life with it.
  mortal_.die_now(std::ranges::max(due, {}, &ArmedDeath::death).death);
  return true;
}

}  // namespace sg::sim
