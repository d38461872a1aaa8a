// A campaign: every scenario over the same seeds, and what all of it together has shown. Its tables say how much was judged, by what and
// under which faults, and what was never reached: what no run does, no check covers.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/sweep.h"

namespace sg::scenario {

class Campaign final : public RunSink {
 public:
  void on_run(const RunRecord& run) override;

  // Scenario by scenario: seeds, faults by kind, facts judged, failures. As Markdown.
  std::string scenarios_table() const;
  // Check by check: facts, scenarios in which it had any. As Markdown.
  std::string checks_table() const;
  // Checks that judged nothing anywhere, messages that no node sent (in runs that may hold some), versions and codes that nobody was
  // answered with, faults that never struck somebody. A line each.
  std::vector<std::string> never() const;

 private:
  void unspoken_versions(std::vector<std::string>& out) const;
  void ungiven_codes(std::vector<std::string>& out) const;

  struct Row {
    uint64_t runs = 0;
    uint64_t failed = 0;
    uint64_t acked = 0;
    uint64_t facts = 0;
    std::map<std::string, uint64_t> struck;
  };
  struct Facts {
    uint64_t facts = 0;
    std::set<std::string> scenarios;
  };
  std::map<std::string, Row> rows_;
  std::map<std::string, Facts> checks_;
  std::set<std::string> seen_;
};

// Why no simulated run can pass this probe; empty if none is known.
std::string_view unreachable(std::string_view probe);

}  // namespace sg::scenario
