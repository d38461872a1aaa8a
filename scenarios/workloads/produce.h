// Producers: records with unique values at a drawn rate to all partitions, until writing ends; then they wait for what is unfinished.
#pragma once

#include "scenarios/workloads/workload.h"

namespace sg::scenario {

struct ProduceOptions {
  int acks = -1;  // -1 all, 1 leader, 0 none
  bool idempotent = true;
  IntRange rate_per_s{20, 60};                // all clients of this workload together
  IntRange in_flight{1, 5};                   // batches, per partition and client
  IntRange first_sequence{0, 0};              // with which an idempotent producer begins; beyond 0: as if its topic had been made again
  bool raises_epoch = false;                  // and goes on with the next epoch of its id (KIP-360), not with another id
  IntRange identity_batches{0, 0};            // after so many it goes on as a new producer; 0: never
  sim::DurationRange metadata_every{0s, 0s};  // how often producers look for new leaders unasked; zero: never
  // From handing a batch over to its end, as in Kafka's clients; zero: 2 to 30 s, from its first attempt.
  sim::DurationRange delivery{0s, 0s};
  // It writes for so long, and rests; zero: it does not rest.
  sim::DurationRange works{0s, 0s};
  sim::DurationRange rests{0s, 0s};
  IntRange records_per_batch{1, 4};
  IntRange value_bytes{8, 200};
  int64_t records = 0;  // each client ends after so many; 0: when writing ends
};

class Produce final : public Workload {
 public:
  explicit Produce(const ProduceOptions& options = {}) : options_(options) {}
  void run(Task& task, ClientEnv& env, const ClientPart& part) const override;
  bool is_owed_its_end() const override { return true; }
  const ProduceOptions& options() const { return options_; }

 private:
  ProduceOptions options_;
};

WorkloadKind produce_kind();

}  // namespace sg::scenario
