#include "scenarios/observe/copies.h"

#include <algorithm>

namespace sg::scenario {

void Copies::taken(MachineId machine, bool majority_remembers, const std::map<MachineId, Ledger>& kept) {
  if (is_spare(machine)) return;  // nothing counts that it holds
  quorum_destroyed_ |= !majority_remembers;
  for (const auto& [stream, partition] : ghost_.partitions) {
    const int64_t end = partition.high_watermark();
    if (end == 0) continue;
    auto whole = [&, id = stream](const Ledger& l) {
      const DurableLog* log = l.log(id);
      return log && (log->start() > end || log->chain_at(end) == partition.committed.chain_at(end));
    };
    const bool there = std::ranges::any_of(ledgers_.all(), [&](const auto& l) { return !is_spare(l.first) && whole(*l.second); });
    const bool to_come = std::ranges::any_of(kept, [&](const auto& k) { return whole(k.second); });
    if (!there && !to_come) destroyed_.insert(stream);
  }
}

}  // namespace sg::scenario
