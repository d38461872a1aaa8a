// Watchers of metadata: ask every broker in turn, for one topic or for all, as many clients do. What they are told is judged where it
// leaves the brokers (H13).
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct WatchMetadataOptions {
  sim::DurationRange every{20ms, 400ms};
};

class WatchMetadata final : public Workload {
 public:
  explicit WatchMetadata(const WatchMetadataOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;

 private:
  WatchMetadataOptions options_;
};

WorkloadKind watch_metadata_kind();

}  // namespace sg::scenario
