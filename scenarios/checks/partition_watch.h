// Shows the checks on partitions what concerns them: journals, the committed catalogue, replication messages and answers to clients.
#pragma once

#include "scenarios/checks/partition_checks.h"
#include "scenarios/observe/observer.h"

namespace sg::scenario {

class PartitionWatch final : public Observer {
 public:
  // The references outlive it.
  PartitionWatch(Seen& seen, Judge& judge) : seen_(seen), judge_(judge), checks_(seen.ledgers, seen.ghost, judge) {}

  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState&) override;
  void on_durable(MachineId node, StreamId stream) override { grown_[{node, stream}] = seen_.now; }
  void on_catalogue_changed(LogIndex index, const metadata::Record& record) override;
  void on_accepted(MachineId from, MachineId to, const broker::peer::Hello& hello) override;
  void on_replica(MachineId from, const replica::Message& m) override;
  void on_data(MachineId from, const replica::Data& data, const SharedBytes& payload) override;
  void on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override;
  void on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest&, const kafka::FetchResponse& answer) override;
  void on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                  const kafka::ListOffsetsResponse& answer) override;
  void finish() override { checks_.finish(); }

  std::vector<IdlePartition> idle() const { return checks_.idle(); }
  const std::vector<LateAck>& late_acks() const { return late_acks_; }

 private:
  void on_registered(const metadata::RegisterBroker& r);
  bool knows_newest_state(MachineId node, StreamId stream) const;
  void give_batches(MachineId from, StreamId stream, const kafka::Records& records);

  Seen& seen_;
  Judge& judge_;
  PartitionChecks checks_;
  std::vector<LateAck> late_acks_;
  std::map<std::pair<MachineId, StreamId>, Time> grown_;  // when more of a stream became durable last
};

}  // namespace sg::scenario
