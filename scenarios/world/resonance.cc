#include "scenarios/world/resonance.h"

namespace sg::scenario {

void take_jitter(sim::NetworkOptions& options) {
  options.link.latency_min = options.link.latency_max;
  options.link.tail_per_million = 0;
  options.listener_linger_max = Duration(0);
}

void take_jitter(sim::NodeOptions& options) {
  options.clock_drift_ppm = 0;
  options.wall_offset = Duration(0);
  options.wake_min = options.wake_max;
  sim::DiskLatency& disk = options.disk.latency;
  disk.read_min = disk.read_max;
  disk.write_min = disk.write_max;
  disk.sync_min = disk.sync_max;
  disk.tail_per_million = 0;
}

}  // namespace sg::scenario
