// Known damage is not forgotten (E21): what a broker has told the cluster to be damaged, it says again whenever this directory registers,
// until its log was cut there or the partition is gone. And a directory counts its runs: none has the number of an earlier one.
#pragma once

#include <map>
#include <set>

#include "broker/metadata/records.h"
#include "scenarios/judge.h"

namespace sg::scenario {

class DamageChecks {
 public:
  explicit DamageChecks(Judge& judge) : judge_(judge) {}

  // A record of the catalogue is committed. `exists`: the partitions that it leaves.
  void on_committed(const metadata::Record& record, const std::set<StreamId>& exists);
  // The journal of `node` receives a truncation.
  void on_truncate(NodeId node, StreamId stream) { told_[node].streams.erase(stream); }

 private:
  struct Told {
    Uuid directory;
    Run run;
    bool unattributed = false;
    std::set<StreamId> streams;
  };
  void on_registered(const metadata::RegisterBroker& r, const std::set<StreamId>& exists);

  Judge& judge_;
  std::map<NodeId, Told> told_;
};

}  // namespace sg::scenario
