#include "broker/metadata_machine.h"

namespace sg::broker {

Result<> MetadataMachine::wait_applied(Task& task, LogIndex index, Time deadline) {
  while (applied() < index) TRY_DO(changed_.wait(task, deadline, "the catalogue to catch up"));
  return {};
}

void MetadataMachine::apply(const raft::Entry& entry) {
  if (entry.index <= catalogue_.applied()) return;  // contained in a snapshot that was restored
  if (entry.kind != raft::EntryKind::command) {
    catalogue_.skip(entry.index);
    events_.on_entry_applied(entry.index, entry.term, metadata::Applied{});
    return;
  }
  Result<metadata::Record> record = metadata::decode_record(entry.data);
  // Going on without understanding a committed record would fork this node's catalogue from everybody else's.
  ENSURE(record, "catalogue record at {} cannot be read: {}; is this node older than the cluster?", entry.index, record.error().what);
  Result<metadata::Applied> outcome = catalogue_.apply(entry.index, *record);
  log_.info("index={} {} outcome={}", entry.index, metadata::describe(*record),
            outcome ? "ok" : fmt::format("{} ({})", to_string(outcome.error().code), outcome.error().what));
  if (outcome) {
    touched_partitions_.insert(outcome->partitions.begin(), outcome->partitions.end());
    touched_brokers_.insert(outcome->brokers.begin(), outcome->brokers.end());
  }
  events_.on_entry_applied(entry.index, entry.term, outcome);
}

void MetadataMachine::restore(const raft::Snapshot& snapshot) {
  if (snapshot.index <= catalogue_.applied()) return;
  Result<> restored = catalogue_.restore(snapshot.data);
  ENSURE(restored, "snapshot of the catalogue at {} cannot be read: {}", snapshot.index, restored.error().what);
  log_.info("restored index={} topics={} brokers={}", snapshot.index, catalogue_.topics().size(), catalogue_.brokers().size());
  touched_partitions_.clear();
  touched_brokers_.clear();
  events_.on_catalogue_restored();
}

void MetadataMachine::applied_all() {
  std::set<StreamId> partitions = std::move(touched_partitions_);
  std::set<NodeId> brokers = std::move(touched_brokers_);
  touched_partitions_.clear();
  touched_brokers_.clear();
  events_.on_catalogue_changed(partitions, brokers);
  changed_.notify_all();
}

}  // namespace sg::broker
