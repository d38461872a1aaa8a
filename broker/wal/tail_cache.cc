#include "broker/wal/tail_cache.h"

#include <algorithm>
#include <bit>

namespace sg::wal {

SharedBytes TailCache::take(size_t bytes) {
  // Powers of two, so that buffers of similar commits stand in for each other.
  size_t wanted = std::bit_ceil(std::max(bytes, alignment_));
  auto fits = std::ranges::find_if(spare_, [&](const SharedBytes& b) { return b.size() == wanted; });
  if (fits == spare_.end()) {
    ++allocated_;
    return SharedBytes::allocate(wanted, alignment_);
  }
  SharedBytes buffer = std::move(*fits);
  spare_.erase(fits);
  ENSURE(buffer.use_count() == 1, "a spare buffer has {} owners", buffer.use_count());
  return buffer;
}

void TailCache::keep(Kept kept) {
  bytes_ += kept.buffer.size();
  kept_.push_back(std::move(kept));
}

TailCache::Kept TailCache::take_oldest() {
  ENSURE(!kept_.empty());
  Kept oldest = std::move(kept_.front());
  kept_.pop_front();
  bytes_ -= oldest.buffer.size();
  return oldest;
}

void TailCache::give_back(SharedBytes buffer) {
  // Somebody who still reads a slice is the last owner, and frees it.
  if (buffer.use_count() == 1 && spare_.size() < kMaxSpare) spare_.push_back(std::move(buffer));
}

}  // namespace sg::wal
