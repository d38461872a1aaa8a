// Many seeds of one or more scenarios on all cores. Each worker is a process of its own, so that a crash of one run is a failure of that
// seed and not of the sweep. Records come in any order; summaries are in the order of seeds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

struct SweepOptions {
  uint64_t first_seed = 1;
  uint64_t last_seed = 100;  // included
  int jobs = 1;
  bool twice = false;           // runs each seed again in the same process and compares the hashes
  bool until_failure = false;   // begins no seed behind the first that failed; those before it are finished
  bool histories_only = false;  // Judging::histories
  bool progress = false;        // live on standard error
};

// Where the records of a sweep go.
class RunSink {
 public:
  virtual ~RunSink() = default;
  // In the order in which runs end.
  virtual void on_run(const RunRecord& run) = 0;
};

struct SweepSummary {
  uint64_t runs = 0;
  uint64_t failed = 0;  // vacuous ones included
  uint64_t vacuous = 0;
  uint64_t events = 0;
  uint64_t acked = 0;
  int64_t sim_ns = 0;
  int64_t wall_ns = 0;
  int64_t cpu_ns = 0;                      // of all workers
  std::map<std::string, uint64_t> judged;  // facts, by check
  std::vector<std::string> unreached;      // probes that no run reached, by name
};

// Errc::io: no process could be made.
Result<SweepSummary> sweep(const std::vector<Scenario>& scenarios, const SweepOptions& options, const std::vector<RunSink*>& sinks);

}  // namespace sg::scenario
