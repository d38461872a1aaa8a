// A node's clock: a view of the world's time with an offset, a drift, and a monotonic clock that may stop.
//
// Invariant: now() never goes back and does not change within a turn (refresh() begins one). Integers only, so that every machine
// rounds alike. Spec: correctness.md part 1, 5.
#pragma once

#include "base/clock.h"
#include "sim/event_queue.h"

namespace sg::sim {

class SimClock final : public Clock {
 public:
  // Wall time at the beginning of every world: 2026-01-01T00:00:00Z.
  static constexpr int64_t kWallEpochMs = 1767225600000;

  // `origin` is what the monotonic clock shows now: an arbitrary number, as on a real machine.
  SimClock(const EventQueue& queue, Time origin);

  Time now() const override { return now_; }
  int64_t wall_ms() const override;

  void refresh() { now_ = at(queue_.now()); }
  // The world's time at which now() will have reached `local` if nothing changes; never() for never().
  Time world_time_of(Time local) const;

  // Parts per million by which this clock runs faster (negative: slower). |ppm| <= kMaxDriftPpm.
  static constexpr int64_t kMaxDriftPpm = 499'999;
  void set_drift(int64_t ppm);
  int64_t drift() const { return drift_ppm_; }
  // Of the wall clock alone.
  void set_wall_offset(Duration offset) { wall_offset_ = offset; }
  Duration wall_offset() const { return wall_offset_; }
  // The monotonic clock stands still until then, as when a virtual machine is suspended. Of several ends the last one counts.
  void stop_until(Time world);
  bool stopped() const { return stopped_until_ > queue_.now(); }
  void resume();  // at once

 private:
  Time at(Time world) const;
  void rebase();

  const EventQueue& queue_;
  Time base_world_;
  Time base_local_;
  Time origin_;
  Time now_;
  Duration wall_offset_{0};
  int64_t drift_ppm_ = 0;
  Time stopped_until_;
};

}  // namespace sg::sim
