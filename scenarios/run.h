// One simulated run of a scenario: draws configuration and fault plan from the seed, builds the cluster and the clients in a world, runs
// the safety phase and the liveness phase, and judges. The result is a function of (scenario, seed, plan).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/trace.h"
#include "sim/world.h"

namespace sg::scenario {

// How far a run has come: for measuring it.
struct Progress {
  uint64_t events = 0;
  uint64_t sends = 0;  // records that clients have begun to send
};

// What a run is judged by. Up to the judging at the end, the events are the same in each case.
enum class Judging : uint8_t {
  all,
  histories,  // what clients saw alone, H and L4: nobody looks at messages, journals and catalogues
  nothing,    // so that a measurement can tell what the checks cost
};

struct RunOptions {
  const sim::FaultPlan* plan = nullptr;  // instead of the drawn one
  sim::TraceSink* trace = nullptr;
  Judging judging = Judging::all;
  std::function<void(const Progress&)> progress{};  // called before the first event, and after each simulated second of the safety phase
};

enum class Verdict : uint8_t {
  pass,
  fail,      // a check failed
  unjudged,  // nothing was acknowledged, no fault struck, a check never ran: never a pass
};

struct RunResult {
  Verdict verdict = Verdict::unjudged;
  std::string check;  // of the failure, or why it cannot be judged
  std::string text;   // what the check saw, for a person
  uint64_t hash = 0;
  uint64_t events = 0;
  int64_t sim_ns = 0;
  uint64_t acked = 0;  // records acknowledged to clients
  std::string drawn;   // the configuration that the seed drew, one line each
  sim::FaultPlan plan;
  std::vector<std::string> last_events;  // of the nodes involved
  std::vector<std::string> exits;        // of processes that ended by themselves: machine, code, why
  uint64_t faults_struck = 0;
  uint64_t leader_changes = 0;
};

RunResult run_once(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const RunOptions& options = {});

// platform.md: "PASS|FAIL scenario:seed hash=… events=N sim_s=X acked=N".
std::string verdict_line(const std::string& scenario, uint64_t seed, const RunResult& result);

}  // namespace sg::scenario
