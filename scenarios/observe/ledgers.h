// The ledgers of all machines: what the checks over several nodes ask; and which machine is meant by a node's id.
//
// Invariant: a node id means the machine whose directory was registered last under it, whatever other processes claim it; before any
// registration, its own. What a disk held when a fault took it out of its machine stays known: whoever counted it while it was there
// was right.
#pragma once

#include <map>
#include <memory>

#include "scenarios/observe/ledger.h"

namespace sg::scenario {

class Ledgers {
 public:
  void add(std::unique_ptr<Ledger> ledger) {
    NodeId node = ledger->node();
    ledgers_[node] = std::move(ledger);
  }
  Ledger* find(MachineId machine) const {
    auto it = ledgers_.find(machine);
    return it == ledgers_.end() ? nullptr : it->second.get();
  }
  const std::map<MachineId, std::unique_ptr<Ledger>>& all() const { return ledgers_; }

  // The machine's disk is about to leave it, or to be wiped.
  void taken_out(MachineId machine) {
    if (const Ledger* l = find(machine); l && l->directory() != Uuid()) former_.insert_or_assign(l->directory(), *l);
  }
  // The copy on that disk, in its machine or as it was when it was taken out; null: there was none.
  const Ledger* copy(MachineId machine, const Uuid& disk) const {
    if (const Ledger* l = find(machine); l && l->directory() == disk) return l;
    auto it = former_.find(disk);
    return it == former_.end() ? nullptr : &it->second;
  }

  MachineId machine_of(NodeId node) const {
    auto it = holders_.find(node);
    return it == holders_.end() ? node : it->second;
  }
  // A registration of that directory is committed.
  MachineId registered(NodeId node, const Uuid& directory) { return holders_[node] = holder_of(node, directory); }
  // Of two machines with one directory, the one that was meant so far.
  MachineId holder_of(NodeId node, const Uuid& directory) const {
    auto has_it = [&](MachineId machine) {
      const Ledger* l = find(machine);
      return l && l->directory() == directory;
    };
    if (has_it(machine_of(node))) return machine_of(node);
    if (has_it(node)) return node;
    for (const auto& [machine, ledger] : ledgers_)
      if (is_spare(machine) && has_it(machine)) return machine;
    return machine_of(node);
  }

 private:
  std::map<MachineId, std::unique_ptr<Ledger>> ledgers_;
  std::map<NodeId, MachineId> holders_;
  std::map<Uuid, Ledger> former_;  // by directory
};

}  // namespace sg::scenario
