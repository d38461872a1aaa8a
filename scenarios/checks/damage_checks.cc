#include "scenarios/checks/damage_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sg::scenario {

void DamageChecks::on_committed(const metadata::Record& record, const std::set<StreamId>& exists) {
  if (const auto* r = std::get_if<metadata::RegisterBroker>(&record)) on_registered(*r, exists);
  if (const auto* r = std::get_if<metadata::ReportDamage>(&record)) told_[r->node].streams.insert(r->damaged.begin(), r->damaged.end());
}

void DamageChecks::on_registered(const metadata::RegisterBroker& r, const std::set<StreamId>& exists) {
  Told& told = told_[r.node];
  if (told.directory != r.run.directory) told = {r.run.directory, {}, false, {}};
  judge_.check(Check::e21, r.run == told.run || r.run.newer_than(told.run) || told.run.is_none(), [&] {
    return fmt::format("node {} registers run {} (nonce {:x}) after run {} (nonce {:x}); expected: a directory counts its runs", r.node,
                       r.run, r.run.nonce, told.run, told.run.nonce);
  });
  std::vector<int64_t> forgotten;
  for (StreamId stream : told.streams)
    if (r.clean && exists.contains(stream) && std::ranges::find(r.damaged, stream) == r.damaged.end()) forgotten.push_back(stream.v);
  judge_.check(Check::e21, forgotten.empty() && (!told.unattributed || !r.clean), [&] {
    return fmt::format("node {} registers run {} as {}, and has told of damage before{}{}; expected: a restart forgets nothing", r.node,
                       r.run, r.clean ? "clean" : "damaged", told.unattributed ? " that counts for every stream" : "",
                       forgotten.empty() ? "" : fmt::format(" of the streams {}", fmt::join(forgotten, ", ")));
  });
  told.run = r.run;
  told.unattributed = told.unattributed || !r.clean;
  told.streams.insert(r.damaged.begin(), r.damaged.end());
}

}  // namespace sg::scenario
