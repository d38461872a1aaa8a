// Readers of end offsets: ask for the latest offset, and for the first one from a time on, again and again and of every broker, whether it
// leads or not.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct WatchEndsOptions {
  sim::DurationRange every{20ms, 300ms};
  sim::DurationRange age{0s, 5s};  // of the times that are asked for
  bool names_epochs = false;       // the leader's, as far as it is known: another broker refuses, as does an old leader
};

class WatchEnds final : public Workload {
 public:
  explicit WatchEnds(const WatchEndsOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;

 private:
  WatchEndsOptions options_;
};

WorkloadKind watch_ends_kind();

}  // namespace sg::scenario
