#include "scenarios/checks/copies.h"

#include <algorithm>

namespace sg::scenario {

void Copies::taken(MachineId machine, const std::map<MachineId, Ledger>& kept) {
  if (std::ranges::find(voters_, machine) == voters_.end()) return;  // nothing counts that a spare machine holds
  forgetful_.insert(machine);
  quorum_destroyed_ |= voters_.size() - forgetful_.size() < voters_.size() / 2 + 1;
  for (const auto& [stream, partition] : ghost_.partitions) {
    const int64_t end = partition.high_watermark();
    if (end == 0) continue;
    auto whole = [&, stream = stream](const Ledger& l) {
      const DurableLog* log = l.log(stream);
      return log && (log->start() > end || log->chain_at(end) == partition.committed.chain_at(end));
    };
    const bool there = std::ranges::any_of(voters_, [&](MachineId m) { return ledgers_.find(m) && whole(*ledgers_.find(m)); });
    const bool to_come = std::ranges::any_of(kept, [&](const auto& k) { return whole(k.second); });
    if (!there && !to_come) destroyed_.insert(stream);
  }
}

}  // namespace sg::scenario
