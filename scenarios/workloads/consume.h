// Consumers: followers of all partitions from their beginning, while the run lasts; or readers of everything again and again.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct ConsumeOptions {
  bool names_epochs = true;  // as clients do since Kafka 2.3; else they ask whoever they were told of last
  bool rereads = false;      // from the beginning again whenever they reach the end
};

class Consume final : public Workload {
 public:
  explicit Consume(const ConsumeOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;
  const ConsumeOptions& options() const { return options_; }

 private:
  ConsumeOptions options_;
};

WorkloadKind consume_kind();

}  // namespace sg::scenario
