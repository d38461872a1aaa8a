// A small deterministic cluster for tests of the Raft core: every delay, loss, crash and late disk comes from one seed. Each node's
// disk is a fold of its `persist` steps, made durable asynchronously and in order; a crash keeps a prefix of what was under way.
//
// After every event: the invariants of each node (broker/raft/invariants.h), and those of figure 3.2 of the dissertation across nodes
// and restarts: election safety, log matching, leader completeness, state machine safety; and that what is committed is durable on a
// majority. The first violation is kept in `violation` and ends the run.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "broker/raft/invariants.h"
#include "broker/raft/raft.h"

namespace sg::raft::test {

struct Faults {
  Duration delay_max = 5ms;
  Duration disk_max = 3ms;
  uint64_t drop_percent = 0;
  uint64_t duplicate_percent = 0;
};

class Cluster {
 public:
  Cluster(uint64_t seed, int voters, int observers = 0);

  // Time passes until `until` (events at it included), or a violation.
  void run_until(Time until);
  void run_for(Duration d) { run_until(now_ + d); }
  // True as soon as `condition` holds after some event within `limit`.
  bool run_until_true(const std::function<bool()>& condition, Duration limit);

  void crash(NodeId node);                       // keeps a prefix of what was not yet durable
  void restart(NodeId node, bool wipe = false);  // of a crashed node; wiped: an empty disk and another voter id
  void suspect_everywhere(NodeId node);
  // Links of `a` to and from the nodes not in its group carry nothing.
  void partition(const std::vector<NodeId>& group);
  void heal() { cut_off_.clear(); }
  bool propose(NodeId node, std::string command);
  void snapshot(NodeId node);
  void transfer(NodeId node);
  void change(NodeId leader, const Configuration& target);

  Time now() const { return now_; }
  const std::vector<NodeId>& ids() const { return ids_; }
  bool up(NodeId node) const { return nodes_.at(node).raft != nullptr; }
  const Raft& raft(NodeId node) const { return *nodes_.at(node).raft; }
  // The one of the greatest term; kNoNode if none is up.
  NodeId leader() const;
  Voter voter(NodeId node) const { return {node, nodes_.at(node).voter}; }
  // No voter that is gone has a vote, as far as any node that is up knows, and no change is under way.
  bool all_vote() const;
  // All nodes that are up have applied the same, and at least `index`.
  bool converged(LogIndex index) const;
  LogIndex committed() const { return ghost_.empty() ? LogIndex{} : ghost_.rbegin()->first; }
  int64_t messages() const { return messages_; }

  Faults faults;
  std::string violation;
  std::vector<std::string> timeline;  // one line per change of role or term, for the message of a failed test

 private:
  struct Node {
    std::unique_ptr<Raft> raft;
    std::unique_ptr<Invariants> invariants;
    ShadowDisk disk;                // what a restart finds
    std::deque<Persist> in_flight;  // handed to the disk, not durable
    Time disk_free;                 // the disk answers in order
    VoterId voter;
    Run run;
    LogIndex applied;
    uint64_t state = 0;  // of the state machine: a hash over all it has applied
  };
  struct Committed {
    Term term;
    uint64_t data;
    uint64_t state;
  };
  struct Written {
    Term prev_term;
    uint64_t data;
  };
  struct Event {
    Time at;
    uint64_t sequence;
    std::function<void()> run;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : sequence > other.sequence; }
  };

  void at(Time time, std::function<void()> run);
  void step(NodeId id, const std::function<Output(Raft&)>& event);
  void handle(NodeId id, Output output);
  void schedule_tick(NodeId id);
  void deliver(Message m);
  void apply(NodeId id, const Entry& entry);
  void tell_registration(NodeId id);
  void check_new_leader(NodeId id);
  void check_entries(NodeId id, const Persist& step);
  void violate(std::string text);
  Node& node(NodeId id) { return nodes_.at(id); }
  bool cut(NodeId a, NodeId b) const;

  Rng rng_;
  std::vector<NodeId> ids_;
  Configuration founding_;
  std::map<NodeId, Node> nodes_;
  std::vector<NodeId> cut_off_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  Time now_;
  uint64_t sequence_ = 0;
  int64_t messages_ = 0;

  uint64_t voters_drawn_ = 0;
  std::map<Term, NodeId> leaders_;                        // election safety
  std::map<LogIndex, Committed> ghost_;                   // what has ever been committed
  std::map<std::pair<LogIndex, Term>, Written> written_;  // log matching: (index, term) decides the entry and its predecessor
};

}  // namespace sg::raft::test
