#include "scenarios/campaign.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "broker/kafka/api.h"
#include "scenarios/judge.h"
#include "sim/fault.h"

namespace sg::scenario {

void Campaign::on_run(const RunRecord& run) {
  Row& row = rows_[run.scenario];
  ++row.runs;
  row.failed += run.passed() ? 0 : 1;
  row.acked += run.acked;
  for (const auto& [kind, count] : run.struck) row.struck[kind] += count;
  for (const auto& [check, facts] : run.judged) {
    row.facts += facts;
    Facts& f = checks_[check];
    f.facts += facts;
    if (facts > 0) f.scenarios.insert(run.scenario);
  }
  seen_.insert(run.seen.begin(), run.seen.end());
}

std::string Campaign::scenarios_table() const {
  std::string out =
      "| scenario | seeds | faults that struck | records acknowledged | facts judged | failures |\n|---|---|---|---|---|---|\n";
  Row all;
  for (const auto& [name, row] : rows_) {
    std::vector<std::string> faults;
    for (const auto& [kind, count] : row.struck) faults.push_back(fmt::format("{} {}", kind, count));
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", name, row.runs,
                       faults.empty() ? "none" : fmt::format("{}", fmt::join(faults, ", ")), row.acked, row.facts, row.failed);
    all.runs += row.runs;
    all.acked += row.acked;
    all.facts += row.facts;
    all.failed += row.failed;
    for (const auto& [kind, count] : row.struck) all.struck[kind] += count;
  }
  uint64_t faults = 0;
  for (const auto& [kind, count] : all.struck) faults += count;
  return out + fmt::format("| all | {} | {} | {} | {} | {} |\n", all.runs, faults, all.acked, all.facts, all.failed);
}

std::string Campaign::checks_table() const {
  std::string out = "| check | facts judged | in scenarios |\n|---|---|---|\n";
  for (const auto& [check, f] : checks_) out += fmt::format("| {} | {} | {} |\n", check, f.facts, f.scenarios.size());
  return out;
}

std::vector<std::string> Campaign::never() const {
  std::vector<std::string> out;
  for (const auto& [check, f] : checks_)
    if (f.facts == 0) out.push_back(fmt::format("check {} has judged nothing", check));
  for (const kafka::Api& api : kafka::apis()) {
    const std::string prefix = fmt::format("{} v", api.name);
    if (std::ranges::none_of(seen_, [&](const std::string& s) { return s.starts_with(prefix); }))
      out.push_back(fmt::format("nobody was answered to {}", api.name));
  }
  for (int i = 0; i < sim::kFaultKinds; ++i) {
    const std::string_view kind = sim::to_string(static_cast<sim::FaultKind>(i));
    for (std::string_view role : {"the controller", "a leader", "a follower", "one that recovers", "one that stands still"})
      if (std::string what = fmt::format("{} of {}", kind, role); !seen_.contains(what)) out.push_back("no " + what);
  }
  return out;
}

}  // namespace sg::scenario
