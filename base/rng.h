// Splittable seeded random streams: a tree, split by name, so that a new consumer of randomness in one place changes no draw
// in another. The generator is xoshiro256** (Blackman, Vigna 2018), keyed through splitmix64. Integers only: the same seed gives
// the same draws on every machine. One draw per statement, since C++ leaves the order of arguments open.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ensure.h"

namespace sg {

class Rng {
 public:
  explicit Rng(uint64_t seed);

  // An independent stream that depends only on this stream's seed and the name, never on what was drawn so far.
  Rng split(std::string_view name) const;
  Rng split(std::string_view name, uint64_t index) const;

  uint64_t next();

  // Uniform in [0, n). n > 0.
  uint64_t below(uint64_t n);

  // Uniform in [low, high], both included.
  int64_t between(int64_t low, int64_t high) {
    ENSURE(low <= high, "between({}, {})", low, high);
    uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
    if (span == UINT64_MAX) return static_cast<int64_t>(next());
    return static_cast<int64_t>(static_cast<uint64_t>(low) + below(span + 1));
  }

  // Uniform over orders of magnitude in [low, high]: half of the draws lie below their geometric mean. low > 0.
  int64_t log_between(int64_t low, int64_t high);

  // True with probability numerator / denominator.
  bool chance(uint64_t numerator, uint64_t denominator) { return below(denominator) < numerator; }

 private:
  uint64_t key_;
  uint64_t state_[4];
};

}  // namespace sg
