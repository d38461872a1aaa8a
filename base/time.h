// Time as the broker knows it: nanoseconds since an arbitrary origin, monotonic (base/clock.h reads it).
// Wall-clock time exists only as milliseconds since the Unix epoch, for Kafka's timestamps.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

namespace sg {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

struct Time {
  int64_t ns = 0;

  constexpr auto operator<=>(const Time&) const = default;
  // Saturates at never(): a deadline that is "never" stays so.
  constexpr Time operator+(Duration d) const {
    int64_t sum = 0;
    if (__builtin_add_overflow(ns, d.count(), &sum)) return never();
    return Time{sum};
  }
  constexpr Time operator-(Duration d) const { return Time{ns - d.count()}; }
  constexpr Duration operator-(Time other) const { return Duration(ns - other.ns); }

  static constexpr Time never() { return Time{std::numeric_limits<int64_t>::max()}; }
};

}  // namespace sg
