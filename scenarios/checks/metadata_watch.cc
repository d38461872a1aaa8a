#include "scenarios/checks/metadata_watch.h"

#include <fmt/format.h>

#include "base/archive.h"
#include "broker/raft_snapshot.h"

namespace sg::scenario {

MetadataWatch::MetadataWatch(Seen& seen, Judge& judge, Tell tell)
    : seen_(seen),
      judge_(judge),
      tell_(std::move(tell)),
      raft_(seen.ledgers, seen.ghost.raft, judge,
            [this](LogIndex index, raft::EntryKind kind, ByteSpan data) { on_entry_committed(index, kind, data); }),
      formation_(seen.ledgers, judge),
      catalogue_(seen.ghost, judge) {}

void MetadataWatch::on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan aux, ByteSpan payload) {
  if (stream == wal::kRaftFormation) on_formation_state(node, entry.first, payload);
  if (stream == wal::kRaftLog && aux.size() == 1) on_log_append(node, entry, static_cast<raft::EntryKind>(aux[0]), payload);
  if (stream == wal::kRaftSnapshots && !seen_.is_elsewhere(node)) on_snapshot(node, entry, aux, payload);
}

void MetadataWatch::on_formation_state(MachineId node, int64_t position, ByteSpan payload) {
  auto state = unpack<raft::FormationState>(payload);
  judge_.check(Check::format, state.has_value(),
               [&] { return fmt::format("node {} writes a state of formation that nobody can read", node); });
  if (state) formation_.on_state(node, position, *state);
}

void MetadataWatch::on_log_append(MachineId node, const LogEntry& entry, raft::EntryKind kind, ByteSpan payload) {
  if (entry.first == 1 && kind == raft::EntryKind::configuration)
    if (auto begun = raft::decode_configuration(payload)) formation_.on_log_begins(node, *begun);
  raft_.on_append(node, entry, kind, payload);
  if (kind == raft::EntryKind::command) on_proposal(node, payload);
}

void MetadataWatch::on_proposal(MachineId node, ByteSpan payload) {
  const broker::Node* broker = seen_.cluster.running(node);
  if (!broker || !broker->is_controller() || !broker->catalogue()) return;
  if (auto record = metadata::decode_record(payload))
    if (const auto* topic = std::get_if<metadata::CreateTopic>(&*record))
      catalogue_.on_proposed(node, broker->catalogue()->applied(), *topic);
}

void MetadataWatch::on_snapshot(MachineId node, const LogEntry& entry, ByteSpan aux, ByteSpan payload) {
  auto snapshot = broker::snapshot_from(wal::Aux(aux), LogIndex(entry.first), Term(entry.epoch), payload);
  judge_.check(Check::e7, snapshot.has_value(), [&] { return fmt::format("node {} writes a snapshot that nobody can read", node); });
  if (snapshot) catalogue_.on_snapshot(node, LogIndex(entry.first), snapshot->data);
}

void MetadataWatch::on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t, const wal::HardState& hard) {
  if (stream == wal::kRaftLog) raft_.on_truncate(node, new_end, hard);
}

void MetadataWatch::on_durable(MachineId node, StreamId stream) {
  if (stream == wal::kRaftFormation) formation_.on_durable(node);
  if (stream == wal::kRaftLog && !seen_.is_elsewhere(node)) raft_.on_durable();
}

void MetadataWatch::on_raft(MachineId from, MachineId to, const raft::Message& m) {
  raft_.on_message(from, to, m);
  const metadata::Catalogue* catalogue = seen_.catalogue_of(from);
  if (!catalogue) return;
  raft_.on_believed(from, catalogue->applied());
  catalogue_.on_seen(from, *catalogue);
}

void MetadataWatch::on_disk_leaves(MachineId machine, bool wiped) {
  raft_.forgotten(machine);
  if (wiped) {
    formation_.emptied(machine);
  } else {
    formation_.exchanged(machine);
  }
}

void MetadataWatch::on_entry_committed(LogIndex index, raft::EntryKind kind, ByteSpan data) {
  std::optional<metadata::Record> record;
  if (kind == raft::EntryKind::command) {
    auto decoded = metadata::decode_record(data);
    judge_.check(Check::format, decoded.has_value(),
                 [&] { return fmt::format("the committed entry {} is no record: {}", index, decoded.error().what); });
    if (decoded) record = std::move(*decoded);
  }
  const bool changed = catalogue_.on_committed(index, record);
  tell_(index, record, changed);
}

}  // namespace sg::scenario
