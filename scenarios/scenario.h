// A scenario as data: the cluster, its topics, the workloads, the distributions of faults, the phases (platform.md, "A scenario
// file"). Everything that is a range is drawn from the seed before a run. How it is read from TOML: scenarios/scenario_file.h.
#pragma once

#include <memory>
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
  // Zero: before the workloads start. Else a moment of the safety phase: the workloads that name the topic begin when it is there.
  Duration made_after{};
};

// In place of what is drawn for a knob (scenarios/world/knobs.h).
struct KnobOverride {
  std::string name;
  IntRange value;
};

struct ClusterSpec {
  int nodes = 3;
  std::vector<int> nodes_of_seed{};  // instead of `nodes`: one of them, drawn
  std::vector<TopicSpec> topics;
  int spares = 0;          // machines beside those of the nodes, for second processes
  bool draw_knobs = true;  // segment sizes, timeouts, batch sizes … per seed (correctness.md part 1, 6); false: production defaults
  std::vector<KnobOverride> knobs{};
  // No clock, link, disk or start differs from another's; what only works because they do is a bug.
  bool resonance = false;
};

class Workload;

struct WorkloadSpec {
  int clients = 1;
  std::vector<std::string> topics{};  // empty: all that are there from the beginning
  std::shared_ptr<const Workload> what{};
};

// A process that a mistake of an operator has started may end by itself, refusing to run, if it says why.
struct Refusal {
  std::string mistake;  // a word of scenarios/world/mistakes.h, or the kind of a fault of people
  std::string line;     // is contained in the line that it ends with
  bool must = false;    // it may not run on
};

// A death at a storage call of a node: which node, which call and how it dies are counted out from the seed, so that consecutive seeds try
// every one of them.
struct EveryCall {
  Time at;  // from when on calls are counted, relative to the start of the safety phase
  std::vector<std::string> targets;
  std::vector<sim::Death> deaths{sim::Death::kill};
  sim::CrashPoint point = sim::CrashPoint::any_storage;
  int64_t calls = 100;  // then the first again
  Duration down{0};
  int64_t one_in = 1;  // of so many consecutive seeds it strikes in the first
};

// What becomes of what the faults have left behind (scenarios/world/ending.h).
enum class Ending : uint8_t {
  healed,    // everything works again
  majority,  // but for a minority of the nodes, which is broken for ever
  stopped,   // what has an end comes to it; nobody mends anything
};
inline constexpr int kEndings = static_cast<int>(Ending::stopped) + 1;
std::string_view to_string(Ending ending);

struct Phases {
  Duration set_up = 4s;  // before the first fault: election, topics, the first records
  sim::DurationRange safety{8s, 20s};
  Duration liveness = 30s;                      // an upper bound
  bool calm = false;                            // its faults are no reason for any change: judged as if there were none
  std::vector<Ending> endings{Ending::healed};  // one of them, drawn
  bool rejoin = false;  // a majority went on all the time: who was cut off has to be back at once (LivenessBounds::rejoined)
  // Journals may be at their budget at the end, where nothing frees them: a write is owed its refusal then, and all else is owed as ever.
  bool full_journals = false;
};

struct Scenario {
  std::string name;
  std::string about;
  ClusterSpec cluster;
  std::vector<WorkloadSpec> workloads;
  std::vector<sim::FaultRule> faults;
  std::vector<sim::Fault> at;  // exact moments, relative to the start of the safety phase
  std::vector<EveryCall> every_call{};
  std::vector<Refusal> refusals{};
  Phases phases;
  std::vector<std::string> checks{"all"};
  // A run in which no answer of a node without a controller was judged (E25) is vacuous.
  bool owes_silence = false;
};

}  // namespace sg::scenario
