// Clients that ask every broker what no good client asks: versions that are not served, leader epochs that have yet to come, offsets that
// are not there, sessions that nobody opened, batches that nobody may take. They know what each may be answered, and write down what it was
// (History::odd_answers). In between they look up offsets and topics in the versions of old clients.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct OddRequestsOptions {
  sim::DurationRange every{5ms, 100ms};
};

class OddRequests final : public Workload {
 public:
  explicit OddRequests(const OddRequestsOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;

 private:
  OddRequestsOptions options_;
};

WorkloadKind odd_requests_kind();

}  // namespace sg::scenario
