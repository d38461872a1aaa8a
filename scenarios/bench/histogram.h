// Latencies in integer buckets: each power of two is cut into 64, so a percentile is at most 1/64 too high, at any scale and for any
// number of values. Invariant: count() is the sum of all buckets. Idea: HdrHistogram.
#pragma once

#include <cstdint>
#include <vector>

namespace sg::scenario {

class Histogram {
 public:
  // Any unit; negative values count as 0.
  void add(int64_t value);

  uint64_t count() const { return count_; }
  int64_t max() const { return max_; }
  // The smallest bucket end that at least `per_mille` of all values do not exceed, and never more than max(); 0 without values.
  // per_mille: 0 to 1000.
  int64_t percentile(uint64_t per_mille) const;

 private:
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace sg::scenario
