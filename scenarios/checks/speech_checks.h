// Who may speak for a partition, judged from outside (correctness.md part 2): E25, the table at the end of identity.md, and E26, no
// acknowledgement and no high watermark from a node whose run has never been registered.
//
// What a process must know is what the checks know of it: the node and the run that it says it is, the registrations and leaders of the
// committed catalogue, how far it has applied that, and when the last heartbeat left it that some controller has answered. A controller
// hears itself for as long as it leads Raft. Invariant: nobody is judged by what has not reached him; so each bound here is an upper one.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.h"
#include "broker/kafka/errors.h"
#include "broker/metadata/messages.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/judge.h"
#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

// One partition's answer to a client.
struct Answer {
  enum class Kind : uint8_t { produced, fetched, offsets, claimed };  // claimed: Metadata names the answering node as leader
  Kind kind = Kind::produced;
  StreamId stream{};
  kafka::ErrorCode error = kafka::ErrorCode::none;
  Time asked{};                              // when the broker had read the request
  Time first{};                              // since when no earlier request of its connection was without its answer
  int16_t acks = -1;                         // of a produce
  LeaderEpoch named_epoch = kNoLeaderEpoch;  // that the request names as the current one
  bool has_records = false;                  // of a fetch
  bool diverging = false;                    // likewise: it tells the client to truncate
};
std::string_view to_string(Answer::Kind kind);

class SpeechChecks {
 public:
  // The references outlive the checks.
  SpeechChecks(const Ledgers& ledgers, const Ghost& ghost, Judge& judge, const ClusterTiming& timing)
      : ledgers_(ledgers), ghost_(ghost), judge_(judge), timing_(timing) {}

  // --- what a node must know ---

  // The committed catalogue has changed at `index`.
  void on_catalogue_changed(LogIndex index, const metadata::Record& record);
  // A message of this run leaves the machine, in the name of `node`.
  void on_run(Time now, MachineId machine, NodeId node, const Run& run);
  void on_died(MachineId machine);
  // Its monotonic clock stands still until then: what it counts by it begins anew, as far as anybody can tell.
  void on_suspended(MachineId machine, Time until);
  // The process's catalogue as it is now, and whether it is the controller.
  void on_seen(Time now, MachineId machine, LogIndex applied, bool is_controller);
  void on_heartbeat(Time now, MachineId from, const metadata::Heartbeat& heartbeat);
  void on_heartbeat_reply(MachineId to, const metadata::HeartbeatReply& reply);

  // --- what leaves it ---

  // E25. `running_since`: when it was last continued after having been stopped, and its disk after
  // having been slow: records may have been on their way.
  void on_answer(Time now, MachineId from, const Answer& answer, Time running_since, const std::string& partition);
  // E26: `what` promises something.
  void on_promise(MachineId from, std::string_view what, StreamId stream);
  // It tells a client what it knows of the cluster.
  void on_told(MachineId from);
  // E25, E26: it says that there is no such partition, to a request that it had read when `asked`. `known`: the stream that its own
  // catalogue has for it by now.
  void on_denied(MachineId from, Time asked, const std::string& partition, std::optional<StreamId> known);

  // Whose id the process on that machine bears, as far as it has said.
  NodeId claimed_id(MachineId machine) const;
  // How many answers of nodes without a controller were judged.
  uint64_t judged_in_silence() const { return judged_in_silence_; }

 private:
  struct Process {
    NodeId id = kNoNode;                            // that it bears
    std::optional<Run> run;                         // none: it has said nothing yet
    std::deque<std::pair<LogIndex, Time>> applied;  // how far, and when that was seen first; ascending
    std::map<uint64_t, Time> heartbeats;            // sent, by sequence
    Time heard;                                     // when the last answered one was sent, less the age of the answer, or the run began
    std::optional<Time> controlled;                 // when it was last seen to be the controller
    Time suspended_until{};
    std::optional<LogIndex> out_since;  // by the catalogue: fenced, or another run is registered
  };

  std::optional<Time> knows_since(const Process& process, LogIndex index) const;
  // When it has certainly fallen silent in its own eyes.
  Time silent_from(const Process& process) const;
  std::string wrong_outside(Time now, const Process& process, MachineId machine, const Answer& answer) const;

  const Ledgers& ledgers_;
  const Ghost& ghost_;
  Judge& judge_;
  ClusterTiming timing_;
  std::map<MachineId, Process> processes_;
  std::set<Run> registered_;  // every run that ever was
  uint64_t judged_in_silence_ = 0;
};

}  // namespace sg::scenario
