// A scenario as data: the cluster, its topics, the workloads, the distributions of faults, the phases (platform.md, "A scenario
// file"). Everything that is a range is drawn from the seed before a run. How it is read from TOML: scenarios/scenario_file.h.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "sim/fault.h"

namespace sg::scenario {

struct IntRange {
  int64_t low = 0;
  int64_t high = 0;
};

struct TopicSpec {
  std::string name;
  int32_t partitions = 1;
  int32_t replicas = 3;
  int32_t min_insync = 2;
};

struct ClusterSpec {
  int nodes = 3;
  std::vector<TopicSpec> topics;
  bool draw_knobs = true;  // segment sizes, timeouts, batch sizes … per seed (correctness.md part 1, 6); false: production defaults
};

enum class WorkloadKind : uint8_t { produce, consume };

struct WorkloadSpec {
  WorkloadKind kind = WorkloadKind::produce;
  int clients = 1;
  std::vector<std::string> topics;  // empty: all
  int acks = -1;                    // -1 all, 1 leader, 0 none
  bool idempotent = true;
  IntRange rate_per_s{20, 60};  // all clients of this workload together
  IntRange in_flight{1, 5};     // batches, per partition and client
  IntRange records_per_batch{1, 4};
  IntRange value_bytes{8, 200};
  bool names_epochs = true;  // consumers: as clients do since Kafka 2.3; else they ask whoever they were told of last
  bool rereads = false;      // consumers: from the beginning again whenever they reach the end
  int64_t records = 0;       // each client ends after so many; 0: when the safety phase ends
};

struct Phases {
  Duration set_up = 4s;  // before the first fault: election, topics, the first records
  sim::DurationRange safety{8s, 20s};
  Duration liveness = 30s;  // an upper bound
};

struct Scenario {
  std::string name;
  std::string about;
  ClusterSpec cluster;
  std::vector<WorkloadSpec> workloads;
  std::vector<sim::FaultRule> faults;
  std::vector<sim::Fault> at;  // exact moments, relative to the start of the safety phase
  Phases phases;
  std::vector<std::string> checks{"all"};
  // A run in which no answer of a node without a controller was judged (E25) is unjudged.
  bool owes_silence = false;
};

}  // namespace sg::scenario
