// Progress while faults last (correctness.md part 2, L9): where a majority of the nodes has been whole for long enough, with nothing wrong
// with any of them or between any two of them, whatever is wrong with the others, the cluster works. A function of views of the cluster,
// one after the other.
//
// What is owed: somebody is the controller; as long as it is one of that majority, no term begins; every partition with an in-sync
// replica among them, to whom the controller can speak, is led by somebody who runs; and what a leader among them has on its disk is
// committed, if enough of the in-sync replicas are among them, once who cannot follow has had time to lag. Why each bound is what it is
// stands at ProgressBounds.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/checks/liveness.h"

namespace sg::scenario {

struct ProgressView {
  struct Partition {
    std::string name;
    StreamId stream{};
    NodeId leader = kNoNode;  // as committed
    LeaderEpoch leader_epoch;
    std::vector<NodeId> isr;
    int32_t min_insync = 1;
    int64_t log_end = 0;  // on the leader's disk
    int64_t high_watermark = 0;
  };
  Time now;
  Term term;                    // the greatest that any node has made durable
  NodeId controller = kNoNode;  // of those that run
  std::vector<NodeId> nodes;    // all of the cluster
  std::set<NodeId> down;
  // Something is wrong between two nodes, or (twice the same) with one.
  std::set<std::pair<NodeId, NodeId>> hampered;
  std::vector<Partition> partitions;
};

struct ProgressBounds {
  Duration controller;  // 3 election timeouts, one lost dial, and 3 s for connections that lost something to be given up and dialed again
  Duration led;         // and then a session, and 2 s
  Duration committed;   // a session, the lag that a follower is allowed, and 3 s
};
ProgressBounds progress_bounds_of(const ClusterTiming& timing);

class ProgressChecks {
 public:
  explicit ProgressChecks(const ProgressBounds& bounds) : bounds_(bounds) {}

  // What is owed and missing in a view that is newer than the last, if anything.
  std::optional<std::string> look(const ProgressView& view);
  // How many looks there were at which something was owed.
  uint64_t judged() const { return judged_; }

 private:
  struct Seen {
    LeaderEpoch leader_epoch;
    std::optional<Time> unled_since;            // nobody leads it who runs, though somebody could
    std::deque<std::pair<Time, int64_t>> ends;  // of the leader's log, since it could commit
  };
  // A majority that has been whole for so long; empty if there is none.
  std::set<NodeId> whole_for(const ProgressView& view, Duration time) const;
  std::optional<std::string> look_at_term(const ProgressView& view, const std::set<NodeId>& whole);
  std::optional<std::string> look_at(const ProgressView& view, const ProgressView::Partition& p, const std::set<NodeId>& whole);
  std::optional<std::string> look_at_log(const ProgressView& view, const ProgressView::Partition& p, Seen& seen, bool can_commit);

  ProgressBounds bounds_;
  std::map<std::pair<NodeId, NodeId>, Time> whole_since_;
  std::optional<Time> without_controller_since_;
  std::map<StreamId, Seen> partitions_;
  NodeId controller_ = kNoNode;       // at the last look, if it was one of a majority that was whole for long enough
  std::optional<Term> settled_term_;  // then
  uint64_t judged_ = 0;
};

}  // namespace sg::scenario
