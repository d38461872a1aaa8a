// Administrators: make, delete and make again topics of their own while faults strike, and write into each as long as it is there. Nobody
// else touches the topics of one.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct AdminOptions {
  IntRange names{1, 3};  // that each of them uses again and again
  IntRange partitions{1, 3};
  IntRange replicas{1, 3};
  IntRange records{0, 6};  // into each incarnation
  sim::DurationRange every{50ms, 800ms};
  bool on_demand = true;  // its questions about a topic may make it; what comes late may, when nobody wants it any more
};

class Admin final : public Workload {
 public:
  explicit Admin(const AdminOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;
  bool is_owed_its_end() const override { return true; }

 private:
  AdminOptions options_;
};

WorkloadKind admin_kind();

}  // namespace sg::scenario
