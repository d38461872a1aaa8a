// Producers that send to several partitions in one request, some of which are refused: unknown ones, batches that are too large or do not
// fit their checksum. One request in flight, no sequence, nothing is sent again: what an answer says of each partition is all there is.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct ProduceManyOptions {
  std::vector<int> acks{-1};   // one is drawn per request
  IntRange rate_per_s{5, 20};  // requests of all clients together
  IntRange partitions{2, 4};   // per request
  int refused_percent = 20;    // of the parts of a request
};

class ProduceMany final : public Workload {
 public:
  explicit ProduceMany(const ProduceManyOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;
  bool is_owed_its_end() const override { return true; }

 private:
  ProduceManyOptions options_;
};

WorkloadKind produce_many_kind();

}  // namespace sg::scenario
