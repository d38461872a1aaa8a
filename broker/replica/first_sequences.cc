#include "broker/replica/first_sequences.h"

#include <algorithm>
#include <limits>

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::replica {

namespace {

// Sequences go round: `a` lies in the half of the circle that ends at `b`.
bool precedes(int32_t a, int32_t b) {
  constexpr int32_t kMask = std::numeric_limits<int32_t>::max();
  int32_t distance = (b - a) & kMask;
  return distance != 0 && distance <= kMask / 2;
}

}  // namespace

bool FirstSequences::may_begin(Time now, const BatchInfo& batch) {
  ENSURE(batch.base_sequence >= 0);
  if (batch.base_sequence == 0 && !seen_.contains(batch.producer_id)) return true;
  if (returns(now, batch)) {
    REACHED("replica: a producer without state begins in mid-sequence");
    return true;
  }
  auto found = seen_.find(batch.producer_id);
  return batch.base_sequence == 0 && found != seen_.end() && found->second.producer_epoch == batch.producer_epoch &&
         found->second.lowest == 0;
}

bool FirstSequences::is_gap(Time now, const BatchInfo& batch, bool is_new) {
  ENSURE(batch.base_sequence >= 0);
  if (!is_new && !seen_.contains(batch.producer_id)) return true;
  if (returns(now, batch)) return true;
  REACHED("replica: a batch waits for those before it");
  return false;
}

bool FirstSequences::returns(Time now, const BatchInfo& batch) {
  if (batch.producer_id == kNoProducerId || batch.base_sequence < 0) return false;
  auto found = seen_.find(batch.producer_id);
  if (found == seen_.end()) {
    remember(now, batch);
    return false;
  }
  Seen& seen = found->second;
  if (batch.producer_epoch < seen.producer_epoch) return false;
  const bool newer = batch.producer_epoch > seen.producer_epoch;
  if (!newer && batch.base_sequence == seen.lowest) {
    seen.heard = now;
    return true;
  }
  if (newer || precedes(batch.base_sequence, seen.lowest) || now >= seen.heard + kForgotten)
    seen = {batch.producer_epoch, batch.base_sequence, now};
  return false;
}

void FirstSequences::remember(Time now, const BatchInfo& batch) {
  if (seen_.size() == kProducers) {
    auto quietest = std::ranges::min_element(seen_, {}, [](const auto& entry) { return entry.second.heard; });
    if (now < quietest->second.heard + kForgotten) return;
    seen_.erase(quietest);
  }
  seen_.emplace(batch.producer_id, Seen{batch.producer_epoch, batch.base_sequence, now});
}

}  // namespace sg::replica
