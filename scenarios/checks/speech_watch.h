// Shows the checks on who may speak (E25, E26) what leaves each machine, and what it must know by then.
#pragma once

#include "scenarios/checks/speech_checks.h"
#include "scenarios/observe/observer.h"

namespace sg::scenario {

class SpeechWatch final : public Observer {
 public:
  // The references outlive it.
  SpeechWatch(Seen& seen, Judge& judge, const ClusterTiming& timing)
      : seen_(seen), judge_(judge), checks_(seen.ledgers, seen.ghost, judge, timing) {}

  void on_catalogue_changed(LogIndex index, const metadata::Record& record) override;
  void on_died(MachineId machine) override { checks_.on_died(machine); }
  void on_accepted(MachineId from, MachineId, const broker::peer::Hello&) override { look(from); }
  void on_raft(MachineId from, MachineId, const raft::Message& m) override;
  void on_replica(MachineId from, const replica::Message& m) override;
  void on_data(MachineId from, const replica::Data& data, const SharedBytes&) override;
  void on_heartbeat(MachineId from, const metadata::Heartbeat& m) override { checks_.on_heartbeat(seen_.now, from, m); }
  void on_heartbeat_reply(MachineId, MachineId to, const metadata::HeartbeatReply& m) override { checks_.on_heartbeat_reply(to, m); }
  void on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override;
  void on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) override;
  void on_metadata(MachineId from, const Asked& when, const kafka::MetadataRequest&, const kafka::MetadataResponse& answer) override;
  void on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                  const kafka::ListOffsetsResponse& answer) override;

  void suspended(MachineId machine, Time until) { checks_.on_suspended(machine, until); }
  uint64_t judged_in_silence() const { return checks_.judged_in_silence(); }

 private:
  void look(MachineId machine);
  bool denies(MachineId from, const Asked& when, std::string_view topic, int32_t index, kafka::ErrorCode error);
  void judge_hint(MachineId from, std::string_view topic, int32_t index, kafka::ErrorCode error, const kafka::LeaderIdAndEpoch& hint);
  void judge(MachineId from, const Answer& answer, std::string_view promise);
  bool is_of_its_own(MachineId machine, StreamId stream, const kafka::MetadataResponse::Partition& p) const;

  Seen& seen_;
  Judge& judge_;
  SpeechChecks checks_;
};

}  // namespace sg::scenario
