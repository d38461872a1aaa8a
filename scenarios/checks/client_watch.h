// Shows the checks on what clients are owed, and on what they are told, each request and each answer.
#pragma once

#include <functional>

#include "scenarios/checks/asked_checks.h"
#include "scenarios/checks/metadata_checks.h"
#include "scenarios/checks/owed_checks.h"
#include "scenarios/checks/producer_checks.h"
#include "scenarios/checks/truth_checks.h"
#include "scenarios/observe/observer.h"

namespace sg::scenario {

class ClientWatch final : public Observer {
 public:
  // The references outlive it.
  ClientWatch(Seen& seen, Judge& judge)
      : seen_(seen), producers_(judge), truth_(judge), owed_(judge), asked_(judge), metadata_(seen.ledgers, seen.ghost, judge) {}

  void on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan aux, ByteSpan payload) override;
  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState&) override;
  void on_catalogue_changed(LogIndex index, const metadata::Record& record) override { metadata_.on_catalogue_changed(index, record); }
  void on_disk_leaves(MachineId machine, bool wiped) override;
  void on_died(MachineId machine) override;
  void on_any_event() override;

  void on_request(MachineId to, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header,
                  const SharedBytes& body) override;
  void on_arrived(MachineId, uint64_t connection, const Asked& asked) override { owed_.on_arrived(connection, asked.number, seen_.now); }
  void on_answer_begins(MachineId, uint64_t connection) override { owed_.on_answer_begins(connection); }
  void on_answer(MachineId from, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header) override;
  void on_connection_over(MachineId machine, uint64_t connection) override;
  void on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override;
  void on_raft(MachineId from, MachineId, const raft::Message& m) override { runs_.insert_or_assign(from, std::pair(m.from, m.from_run)); }
  void on_metadata(MachineId from, const Asked& when, const kafka::MetadataRequest& asked, const kafka::MetadataResponse& answer) override;
  void on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) override;
  void on_offsets(MachineId from, const Asked&, const kafka::ListOffsetsRequest& asked, const kafka::ListOffsetsResponse& answer) override {
    asked_.on_offsets(from, asked, answer);
  }
  void on_producer_id(MachineId from, const kafka::InitProducerIdResponse& answer) override;

  std::vector<std::string> outstanding() const { return owed_.outstanding(seen_.now); }

 private:
  void on_produce_request(MachineId to, uint64_t connection, const Asked& asked, const kafka::ProduceRequest& request);
  // The process there bears a run that is registered.
  bool is_registered(MachineId machine) const;

  Seen& seen_;
  std::map<MachineId, std::pair<NodeId, Run>> runs_;  // that processes have said they are
  ProducerChecks producers_;
  TruthChecks truth_;
  OwedChecks owed_;
  AskedChecks asked_;
  MetadataChecks metadata_;
  std::map<uint64_t, std::set<uint64_t>> produces_;  // requests that are not answered, by connection
};

}  // namespace sg::scenario
