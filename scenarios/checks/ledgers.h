// The ledgers of all nodes of a cluster, by broker id: what the checks over several nodes ask.
#pragma once

#include <map>
#include <memory>

#include "scenarios/checks/ledger.h"

namespace sg::scenario {

class Ledgers {
 public:
  void add(std::unique_ptr<Ledger> ledger) {
    NodeId node = ledger->node();
    ledgers_[node] = std::move(ledger);
  }
  Ledger* find(NodeId node) const {
    auto it = ledgers_.find(node);
    return it == ledgers_.end() ? nullptr : it->second.get();
  }
  const std::map<NodeId, std::unique_ptr<Ledger>>& all() const { return ledgers_; }

 private:
  std::map<NodeId, std::unique_ptr<Ledger>> ledgers_;
};

}  // namespace sg::scenario
