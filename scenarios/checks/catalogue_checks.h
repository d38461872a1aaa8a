// The checks on the cluster catalogue (correctness.md part 2): E9 what each committed record does to leaders, ISRs and epochs is allowed;
// E8 the catalogue is a pure function of the log, equal at equal index on all nodes and to what the records mean (catalogue_fold.h);
// E7 a snapshot at index i is the replay to i.
//
// E8 is the one check that asks a node what it believes: it reads the catalogue of the node's process, whenever the node sends something.
// Cost: each committed record, and each index at which a node is seen, costs the size of the catalogue, never that of the log.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/metadata/messages.h"
#include "scenarios/judge.h"
#include "scenarios/observe/ghost.h"

namespace sg::scenario {

class CatalogueChecks {
 public:
  CatalogueChecks(Ghost& ghost, Judge& judge) : ghost_(ghost), judge_(judge) {}

  // The next entry of the ghost's Raft log; nothing in it for a term's empty entry. True: it changed the catalogue.
  bool on_committed(LogIndex index, const std::optional<metadata::Record>& record);
  // A controller that has applied the log up to there writes the topic down: E9, its replicas are where they may be (metadata/placement.h).
  void on_proposed(MachineId by, LogIndex applied, const metadata::CreateTopic& topic);
  // E9: `record` made `after` of `before`.
  void check_step(const metadata::Catalogue& before, const metadata::Record& record, const metadata::Catalogue& after);
  // A broker says how far it has applied the log.
  void on_heartbeat(const metadata::Heartbeat& heartbeat) { told_[heartbeat.run] = std::max(told_[heartbeat.run], heartbeat.applied); }
  // The catalogue of a node as it is now.
  void on_seen(NodeId node, const metadata::Catalogue& catalogue);
  // A Raft snapshot that covers `index` reaches the journal of `node`.
  void on_snapshot(NodeId node, LogIndex index, ByteSpan data);

 private:
  static constexpr size_t kKept = 1024;

  // What the records mean up to `index`; null if that is too long ago.
  const CatalogueFacts* facts_at(LogIndex index) const;
  void check_unfencing(LogIndex index, const metadata::UnfenceBroker& r);
  void compare(Check check, NodeId node, LogIndex index, std::string_view what, const metadata::Catalogue& catalogue);

  Ghost& ghost_;
  Judge& judge_;
  std::deque<std::shared_ptr<const CatalogueFacts>> recent_;  // of the last indexes, up to last_
  LogIndex last_;
  std::map<NodeId, LogIndex> seen_;
  std::map<Run, LogIndex> told_;
};

}  // namespace sg::scenario
