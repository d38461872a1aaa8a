// Progress after the faults have stopped (correctness.md part 2, "After the faults stop"): a function of views of the cluster, one after
// the other, that says what is owed by now and missing. A view is plain data, so that it can be written by hand.
//
// Invariant: what is owed by a bound holds in every view from then on, not only once. What each bound counts from, and why it is what it
// is, stands at LivenessBounds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "scenarios/violation.h"

namespace sg::scenario {

// The cluster at one moment.
struct ClusterView {
  struct Node {
    NodeId id;
    bool up = false;  // has recovered its journal and runs
    bool controller = false;
    bool spoiled = false;  // stored bits of it were changed: a copy there may have to stay out of the ISR
    bool away = false;     // for good: no process runs there, or it stands still
  };
  struct Partition {
    std::string name;
    NodeId leader = kNoNode;
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    std::vector<NodeId> replicas;
    std::vector<NodeId> isr;
    bool damaged = false;  // its last copy was destroyed: it owes nothing but to be offline
    StreamId stream{};
    int32_t min_insync = 1;
  };
  Time now;
  Term term;  // the greatest that any node has made durable
  std::vector<Node> nodes;
  std::vector<Partition> partitions;
  // A majority of the voters lost its disks: nothing is owed but that the nodes run and say so.
  bool quorum_destroyed = false;
  std::vector<std::pair<NodeId, NodeId>> cut{};  // who do not hear each other in both directions, for good

  bool hear_each_other(NodeId a, NodeId b) const;
  // It is no way away from the controller. All are, while nobody is the controller.
  bool takes_part(NodeId node) const;
  // Somebody can lead it: a member of its ISR takes part.
  bool is_electable(const Partition& p) const;
  // And is told of as the leader, has enough in-sync replicas for acks=all, and hears all of them.
  bool is_served(const Partition& p) const;
};

// The timing that the nodes of a run are configured with.
struct ClusterTiming {
  Duration election_max;
  Duration session_timeout;
  Duration replica_lag_time_max{};
};

// A dial to a machine without power ends after 1 s and is made again 50 ms later (broker/peer/control_link.cc).
inline constexpr Duration kLostDial = 1050ms;

// What correctness.md owes, stage by stage, so that a late stage cannot hide behind an early one. Each has the allowances that the model
// needs: a lost dial, and an ISR proposal that was sent to a controller that is gone counts as lost after 1 s (broker/node.cc). What runs
// take is in docs/SIMULATION.md.
struct LivenessBounds {
  Duration up = 1s;             // since the healing, every node has recovered: it reads its journal
  Duration controller;          // L1, since a majority is up: 3 election timeouts and one lost dial
  Duration leaders;             // L2, since all are up and there is a controller: the session timeout and 2 s
  Duration in_sync = 3s;        // L3, since all partitions are led: one lost dial, one lost proposal, 1 s to copy what was missed
  Duration everything = 3600s;  // at the latest, since the healing
  // L3, since the healing, where a majority went on while others were cut off, however long that was: everything is led and in sync.
  Duration rejoined = 3600s;
};
// 1 s for the links: a dial every 200 ms and a greeting (broker/peer/reach.h), a heartbeat to be unfenced by, a session, a proposal. And
// 1 s to copy what was missed with the smallest windows, at the few records per second of a scenario that owes it.
inline constexpr Duration kRejoined = 1s + 1s;
LivenessBounds bounds_of(const ClusterTiming& timing);

class LivenessChecks {
 public:
  LivenessChecks(Time healed, const LivenessBounds& bounds) : healed_(healed), bounds_(bounds) {}

  // L1, L2, L3 and L8 in a view that is newer than the last: what is owed by now and is not there, if anything.
  std::optional<Violation> look(const ClusterView& view);
  // Nothing was missing in the last view, whether it was owed or not.
  bool healthy() const { return quorum_destroyed_ ? up_since_.has_value() : in_sync_since_.has_value(); }

 private:
  static bool is_led(const ClusterView& view, const ClusterView::Partition& p);
  static bool is_full(const ClusterView& view, const ClusterView::Partition& p);
  bool overdue(const std::optional<Time>& since, const std::optional<Time>& reason, Duration bound, Time now) const;
  std::optional<Violation> look_at_controller(const ClusterView& view);
  std::optional<Violation> look_at_partitions(const ClusterView& view);

  Time healed_;
  LivenessBounds bounds_;
  bool quorum_destroyed_ = false;
  // Since when it has held in every view.
  std::optional<Time> majority_since_;
  std::optional<Time> up_since_;
  std::optional<Time> controller_since_;
  std::optional<Time> ready_since_;  // all up, and one controller
  std::optional<Time> led_since_;
  std::optional<Time> in_sync_since_;
  std::optional<Term> settled_term_;  // of the controller, once L1 was owed
};

// One replica when nothing is written any more: from its disk, and what clients are told.
struct IdleReplica {
  NodeId node;
  bool in_sync = false;
  bool spoiled = false;  // as in ClusterView
  int64_t durable_end = 0;
};
struct IdlePartition {
  std::string name;
  StreamId stream{};
  NodeId leader = kNoNode;
  int64_t high_watermark = 0;  // the greatest that a node has claimed, and that held
  bool is_told = true;         // its leader has told it to somebody in this epoch, or has in-sync followers that it tells
  std::vector<IdleReplica> replicas;
};
// L5: the high watermark is the end of the leader's log. L8: every replica has caught up with it.
std::vector<Violation> check_idle(const std::vector<IdlePartition>& partitions);

}  // namespace sg::scenario
