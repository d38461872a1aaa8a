#include "broker/replica/epochs.h"

#include <algorithm>

#include "base/ensure.h"

namespace sg::replica {

void Epochs::append(LeaderEpoch epoch, Offset base) {
  ENSURE(epoch >= LeaderEpoch(0), "a record of epoch {} at {}", epoch, base);
  if (!starts_.empty()) {
    ENSURE(epoch >= starts_.back().epoch, "epoch {} at {} behind epoch {}", epoch, base, starts_.back().epoch);
    if (epoch == starts_.back().epoch) return;
    ENSURE(base > starts_.back().start, "epoch {} at {}, but epoch {} starts at {}", epoch, base, starts_.back().epoch,
           starts_.back().start);
  }
  starts_.push_back({epoch, base});
}

void Epochs::truncate(Offset end) {
  while (!starts_.empty() && starts_.back().start >= end) starts_.pop_back();
}

EpochEnd Epochs::end_of(LeaderEpoch epoch, Offset log_start, Offset log_end) const {
  auto next = std::ranges::upper_bound(starts_, epoch, {}, &EpochStart::epoch);
  if (next == starts_.begin()) return {kNoLeaderEpoch, log_start};
  return {std::prev(next)->epoch, next == starts_.end() ? log_end : next->start};
}

}  // namespace sg::replica
