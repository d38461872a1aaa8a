#include "sim/clock.h"

#include <algorithm>

#include "base/ensure.h"

namespace sg::sim {
namespace {

__extension__ using Wide = __int128;
constexpr int64_t kMillion = 1'000'000;

// ceil(value * factor / divisor) or floor; none of them is negative. Two hours and a half of nanoseconds times a million fit into 64 bits.
enum class Round : bool { down, up };
template <Round round>
Wide scale(int64_t value, int64_t factor, int64_t divisor) {
  if (int64_t product; !__builtin_mul_overflow(value, factor, &product) && product <= INT64_MAX - divisor)
    return (product + (round == Round::up ? divisor - 1 : 0)) / divisor;
  return (static_cast<Wide>(value) * factor + (round == Round::up ? divisor - 1 : 0)) / divisor;
}

}  // namespace

SimClock::SimClock(const EventQueue& queue, Time origin)
    : queue_(queue), base_world_(queue.now()), base_local_(origin), origin_(origin), now_(origin) {}

int64_t SimClock::wall_ms() const { return kWallEpochMs + (now_ - origin_ + wall_offset_) / 1ms; }

Time SimClock::at(Time world) const {
  const Time from = std::max(base_world_, stopped_until_);
  if (world <= from) return base_local_;
  int64_t elapsed = (world - from).count();
  if (drift_ppm_ != 0) elapsed = static_cast<int64_t>(scale<Round::down>(elapsed, kMillion + drift_ppm_, kMillion));
  return Time{base_local_.ns + elapsed};
}

Time SimClock::world_time_of(Time local) const {
  if (local == Time::never()) return Time::never();
  if (local <= base_local_) return base_world_;
  Wide elapsed = local.ns - base_local_.ns;
  if (drift_ppm_ != 0) elapsed = scale<Round::up>(local.ns - base_local_.ns, kMillion, kMillion + drift_ppm_);
  Wide world = std::max(base_world_, stopped_until_).ns + elapsed;
  return world >= Time::never().ns ? Time::never() : Time{static_cast<int64_t>(world)};
}

void SimClock::rebase() {
  base_local_ = at(queue_.now());
  base_world_ = queue_.now();
}

void SimClock::set_drift(int64_t ppm) {
  ENSURE(ppm >= -kMaxDriftPpm && ppm <= kMaxDriftPpm, "drift of {} ppm", ppm);
  rebase();
  drift_ppm_ = ppm;
}

void SimClock::stop_until(Time world) {
  rebase();
  stopped_until_ = std::max(stopped_until_, world);
}

void SimClock::resume() {
  if (!stopped()) return;
  rebase();
  stopped_until_ = queue_.now();
}

}  // namespace sg::sim
