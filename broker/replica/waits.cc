#include "broker/replica/waits.h"

#include <algorithm>

namespace sg::replica {

void Waits::add(Offset end, Token token, Offset base, Time begun, Time deadline) {
  // Nearly always at the back: only a duplicate of a batch that is under way belongs further in front.
  auto at = std::upper_bound(waits_.begin(), waits_.end(), end, [](Offset e, const Wait& w) { return e < w.end; });
  earliest_ = waits_.empty() ? deadline : std::min(earliest_, deadline);
  oldest_ = waits_.empty() ? begun : std::min(oldest_, begun);
  waits_.insert(at, Wait{end, token, base, begun, deadline});
}

void Waits::reach(Offset reached, Output& out) {
  while (!waits_.empty() && waits_.front().end <= reached) {
    out.add(Complete{waits_.front().token, Outcome::ok, waits_.front().base});
    waits_.pop_front();
  }
}

void Waits::expire(Time now, Outcome outcome, Output& out) {
  if (deadline() > now) return;
  earliest_ = Time::never();
  std::erase_if(waits_, [&](const Wait& w) {
    if (w.deadline > now) {
      earliest_ = std::min(earliest_, w.deadline);
      return false;
    }
    out.add(Complete{w.token, outcome, w.base});
    return true;
  });
}

void Waits::let_go(Time begun, Outcome outcome, Output& out) {
  if (oldest() > begun) return;
  oldest_ = Time::never();
  std::erase_if(waits_, [&](const Wait& w) {
    if (w.begun > begun) {
      oldest_ = std::min(oldest_, w.begun);
      return false;
    }
    out.add(Complete{w.token, outcome, w.base});
    return true;
  });
}

void Waits::fail(Outcome outcome, Output& out) {
  for (const Wait& w : waits_) out.add(Complete{w.token, outcome, w.base});
  waits_.clear();
}

}  // namespace sg::replica
