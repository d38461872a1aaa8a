// One simulated run of a scenario: set-up, the safety phase with its faults, the liveness phase, and the judgement. The result is a
// function of (scenario, seed, plan).
#pragma once

#include <functional>

#include "scenarios/history.h"
#include "scenarios/run_record.h"
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
  History* history = nullptr;  // what clients observed is put there
  Judging judging = Judging::all;
  std::function<void(const Progress&)> progress{};  // called before the first event, and after each simulated second of the safety phase
};

RunRecord run_once(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const RunOptions& options = {});

}  // namespace sg::scenario
