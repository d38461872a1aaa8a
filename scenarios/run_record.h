// What is known of one run when it is over: everything that anybody tells of it (the terminal, a file, a sweep's summary) is told from
// here. It travels whole from a sweep's worker to whoever collects.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace sg::scenario {

enum class Verdict : uint8_t {
  pass,
  fail,     // a check failed
  vacuous,  // nothing was acknowledged, no fault struck, a check never had anything to judge: never a pass
};
std::string_view to_string(Verdict verdict);

struct RunRecord {
  std::string scenario;
  uint64_t seed = 0;
  Verdict verdict = Verdict::vacuous;
  std::string check;  // of the failure, or why it is vacuous
  std::string text;   // what the check saw, for a person
  uint64_t hash = 0;
  uint64_t events = 0;
  int64_t sim_ns = 0;
  uint64_t acked = 0;  // records acknowledged to clients
  std::string drawn;   // the configuration that the seed drew, one "key = value" per line
  std::string plan;    // of the faults: sim::to_string
  uint64_t faults_planned = 0;
  uint64_t faults_struck = 0;
  std::map<std::string, uint64_t> struck;  // by kind
  uint64_t leader_changes = 0;
  std::map<std::string, uint64_t> judged;  // how many facts each check has judged
  std::vector<std::string> exits;          // of processes that ended by themselves: machine, code, why
  std::vector<std::string> waiting;        // where progress was owed: each request without an answer, and how each node stands
  std::vector<std::string> last_events;    // of the nodes, where the run failed
  std::vector<std::string> probes;         // that it reached
  std::set<std::string> seen;  // messages "message ack", where any may be held; answers "Produce v9 NONE"; faults "kill of the leader"

  bool passed() const { return verdict == Verdict::pass; }

  template <class A>
  void serialize(A& a) {
    a(scenario, seed, verdict, check, text, hash, events, sim_ns, acked, drawn, plan, faults_planned, faults_struck, struck, leader_changes,
      judged, exits, waiting, last_events, probes, seen);
  }
};

// platform.md: "PASS|FAIL scenario:seed hash=… events=N sim_s=X acked=N", and what failed.
std::string verdict_line(const RunRecord& run);
// The whole run for a person, without the verdict line.
std::string description(const RunRecord& run);
// One JSON object on a line of its own.
std::string to_json_line(const RunRecord& run);

}  // namespace sg::scenario
