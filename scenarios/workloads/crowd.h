// A crowd: clients that come and go, and in between make a broker hold what they can: large requests that never end, answers that nobody
// takes, long queues, connections on which nothing happens. Some of them ask properly, and write large records.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct CrowdOptions {
  sim::DurationRange stays{100ms, 3s};
  sim::DurationRange away{0ms, 500ms};
  IntRange value_bytes{70'000, 300'000};  // of the large records, and of what a large request claims
  IntRange requests{2, 60};               // that are asked at once by who does not wait for answers
};

class Crowd final : public Workload {
 public:
  explicit Crowd(const CrowdOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;

 private:
  CrowdOptions options_;
};

WorkloadKind crowd_kind();

}  // namespace sg::scenario
