// Shows the checks on Raft, on forming a cluster and on the catalogue what concerns them, and keeps the ghost's Raft log and catalogue
// with their help: what every other observer is told of as committed comes from here.
#pragma once

#include <functional>

#include "scenarios/checks/catalogue_checks.h"
#include "scenarios/checks/formation_checks.h"
#include "scenarios/checks/raft_checks.h"
#include "scenarios/observe/observer.h"

namespace sg::scenario {

class MetadataWatch final : public Observer {
 public:
  // An entry is committed; `changed`: so is the ghost's catalogue.
  using Tell = std::function<void(LogIndex, const std::optional<metadata::Record>&, bool changed)>;
  // The references outlive it.
  MetadataWatch(Seen& seen, Judge& judge, Tell tell);

  void on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan aux, ByteSpan payload) override;
  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState& hard) override;
  void on_durable(MachineId node, StreamId stream) override;
  void on_raft(MachineId from, MachineId to, const raft::Message& m) override;
  void on_heartbeat(MachineId, const metadata::Heartbeat& m) override { catalogue_.on_heartbeat(m); }
  void on_formation(MachineId from, const raft::FormationMessage& m) override { formation_.on_message(from, m); }
  void on_disk_leaves(MachineId machine, bool wiped) override;
  void on_voter_drawn(MachineId machine) { raft_.outlived(machine); }

  const RaftChecks& raft() const { return raft_; }

 private:
  void on_entry_committed(LogIndex index, raft::EntryKind kind, ByteSpan data);
  void on_formation_state(MachineId node, int64_t position, ByteSpan payload);
  void on_log_append(MachineId node, const LogEntry& entry, raft::EntryKind kind, ByteSpan payload);
  void on_proposal(MachineId node, ByteSpan payload);
  void on_snapshot(MachineId node, const LogEntry& entry, ByteSpan aux, ByteSpan payload);

  Seen& seen_;
  Judge& judge_;
  Tell tell_;
  RaftChecks raft_;
  FormationChecks formation_;
  CatalogueChecks catalogue_;
};

}  // namespace sg::scenario
