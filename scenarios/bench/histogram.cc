#include "scenarios/bench/histogram.h"

#include <algorithm>
#include <bit>

#include "base/ensure.h"

namespace sg::scenario {
namespace {

constexpr unsigned kSubBits = 6;
constexpr uint64_t kSub = uint64_t{1} << kSubBits;

// Values below 2 * kSub have a bucket each; above, the leading kSubBits + 1 bits name the bucket.
size_t bucket_of(uint64_t value) {
  if (value < 2 * kSub) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
  return shift * kSub + (value >> shift);
}

// The largest value of the bucket.
uint64_t bucket_end(size_t bucket) {
  if (bucket < 2 * kSub) return bucket;
  const size_t shift = bucket / kSub - 1;
  return ((bucket - shift * kSub + 1) << shift) - 1;
}

}  // namespace

void Histogram::add(int64_t value) {
  value = std::max<int64_t>(0, value);
  const size_t bucket = bucket_of(static_cast<uint64_t>(value));
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  ++buckets_[bucket];
  ++count_;
  max_ = std::max(max_, value);
}

int64_t Histogram::percentile(uint64_t per_mille) const {
  ENSURE(per_mille <= 1000, "{} per mille", per_mille);
  if (count_ == 0) return 0;
  const uint64_t rank = std::max<uint64_t>(1, (count_ * per_mille + 999) / 1000);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    if (seen >= rank) return std::min(max_, static_cast<int64_t>(bucket_end(bucket)));
  }
  return max_;
}

}  // namespace sg::scenario
