// The state machine above Raft: the catalogue of this node, and what hangs on it. It applies entries, tells who proposed them what
// became of them, and tells the node which partitions to look at again.
// Invariant: the catalogue changes nowhere else, and only by entries that Raft has committed.
#pragma once

#include <set>
#include <vector>

#include "base/sync.h"
#include "broker/env.h"
#include "broker/metadata/catalogue.h"
#include "broker/raft_driver.h"

namespace sg::broker {

// What follows from a changed catalogue. Calls do not suspend.
class CatalogueEvents {
 public:
  virtual ~CatalogueEvents() = default;
  // The entry at `index` of `term` was applied with this outcome (no record: a term's empty entry).
  virtual void on_entry_applied(LogIndex index, Term term, const Result<metadata::Applied>& outcome) = 0;
  // The catalogue was replaced as a whole by a snapshot.
  virtual void on_catalogue_restored() = 0;
  // After a run of entries: what they touched.
  virtual void on_catalogue_changed(const std::set<StreamId>& partitions, const std::set<NodeId>& brokers) = 0;
  virtual void on_raft_change(const raft::StateChange& change) = 0;
  virtual void on_configuration() = 0;
  virtual void on_distrusted() = 0;
};

class MetadataMachine final : public RaftMachine {
 public:
  MetadataMachine(const Env& env, CatalogueEvents& events) : log_(env.log.with("catalogue")), events_(events) {}

  const metadata::Catalogue& catalogue() const { return catalogue_; }
  LogIndex applied() const { return catalogue_.applied(); }

  // Waits until the log is applied up to `index`.  Errc::timeout, Errc::stopped.
  Result<> wait_applied(Task& task, LogIndex index, Time deadline);
  // Waits for any change of the catalogue.
  Result<> wait_change(Task& task, Time deadline) { return changed_.wait(task, deadline, "a change of the catalogue"); }

  void apply(const raft::Entry& entry) override;
  void restore(const raft::Snapshot& snapshot) override;
  void on_raft_change(const raft::StateChange& change) override { events_.on_raft_change(change); }
  void on_configuration() override { events_.on_configuration(); }
  void on_distrusted() override { events_.on_distrusted(); }
  void applied_all() override;
  ByteVec take_snapshot() const override { return catalogue_.snapshot(); }

 private:
  Log log_;
  CatalogueEvents& events_;
  metadata::Catalogue catalogue_;
  std::set<StreamId> touched_partitions_;
  std::set<NodeId> touched_brokers_;
  Signal changed_;
};

}  // namespace sg::broker
