// Many seeds of one or more scenarios on all cores. Each worker is a process of its own, so that a crash of one run is a failure of that
// seed and not of the sweep. Results are collected in any order and reported in the order of seeds.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scenarios/run.h"

namespace sg::scenario {

struct SweepOptions {
  uint64_t first_seed = 1;
  uint64_t last_seed = 100;  // included
  int jobs = 1;
  bool twice = false;           // runs each seed again in the same process and compares the hashes
  bool until_failure = false;   // begins no seed behind the first that failed; those before it are finished
  bool histories_only = false;  // Judging::histories
  std::string json_file;        // one line per run; empty: none
  bool progress = false;        // live on standard error
};

struct SweepRun {
  std::string scenario;
  uint64_t seed = 0;
  std::string line;  // the verdict line
  std::string text;  // of a failure: what was seen
  bool passed = false;
  bool unjudged = false;
  uint64_t events = 0;
  int64_t sim_ns = 0;
  uint64_t acked = 0;
  uint64_t hash = 0;
};

struct SweepSummary {
  std::vector<SweepRun> failures;
  uint64_t runs = 0;
  uint64_t events = 0;
  uint64_t acked = 0;
  int64_t sim_ns = 0;
  int64_t wall_ns = 0;
  int64_t cpu_ns = 0;  // of all workers
  bool any_unjudged = false;
  std::vector<std::string> unreached;  // probes that no run reached
};

// `on_failure` is called for each failure as it comes.  Errc::io: no process or file could be made.
Result<SweepSummary> sweep(const std::vector<Scenario>& scenarios, const SweepOptions& options,
                           const std::function<void(const SweepRun&)>& on_failure);

}  // namespace sg::scenario
