// Forming a new cluster, once and on purpose: how empty directories become the first voters of one, as a function of events. It ends by
// handing out the configuration that every founder's log begins with (Raft::bootstrap).
//
// One proposer asks all voters of its list in a *round* (number, proposer). Each durably answers what it is, and from then on takes part
// in no lower round. If all are empty and are to form a cluster of the same list, the proposer names a cluster id and the full set; each
// durably *promises* it. When all promises of one round are durable, the cluster is formed; whoever knows says so.
//
// Why it is safe (no two clusters out of one set of directories, and nobody votes before all promises are durable):
//   - Nobody stands for election before it has its configuration, and that is handed out only when every voter's promise of one round is
//     durable, or when a voter says that it is formed under the very promise that this one holds. A vote request or an append of a
//     founder proves the same: who votes or holds an entry is formed.
//   - A promise alone counts as empty, and may be replaced in a higher round if every voter answers "not formed" there; that answer is
//     durable, and who gave it takes no "all have promised" of a lower round any more. So if a cluster was formed in round R, one of its
//     voters is known to be formed to itself, answers "formed" for ever, and no higher round finds all of them not formed.
//   - A directory gets its cluster's id when it is handed the configuration, and before its log begins. So one that has both the id and the
//     promise of that id is formed, though its log has not begun; one that has the id and neither promise nor log has lost them, and forms
//     nothing.
//   - The cluster id and the voter ids are part of the promise: "formed" counts only for the same promise. Who is told "formed" under
//     another one (its disk was wiped) forms nothing: it waits to be admitted.
// A directory of the older format has a log that names no voters. Its set is the operator's list, with voter id 0 each, once a majority of
// the list names the same one.
// A directory that is empty and not told to form (no --form) answers, and makes everybody wait, which the notes say.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "broker/raft/configuration.h"

namespace sg::raft {

struct Round {
  uint64_t number = 0;
  NodeId proposer = kNoNode;
  constexpr auto operator<=>(const Round&) const = default;
  template <class A>
  void serialize(A& a) {
    a(number, proposer);
  }
};

struct Promise {
  Round round;
  Uuid cluster_id;
  Configuration configuration;
  bool operator==(const Promise&) const = default;
  template <class A>
  void serialize(A& a) {
    a(round, cluster_id, configuration);
  }
};

// What is durable of it at one node.
struct FormationState {
  Round answered;  // takes part in no lower round
  std::optional<Promise> promise;
  bool operator==(const FormationState&) const = default;
  template <class A>
  void serialize(A& a) {
    a(answered, promise);
  }
};

enum class Standing : uint8_t {
  forming,  // empty, and told to form a cluster; perhaps with a promise
  waiting,  // empty, and not told to: it waits to be admitted
  formed,   // it has voted, or its log has an entry
};

struct Ask {
  Round round;
  template <class A>
  void serialize(A& a) {
    a(round);
  }
};
struct Answer {
  Round round;     // of the question
  Round answered;  // higher than `round`: the question came too late
  Standing standing = Standing::waiting;
  VoterId voter;
  std::vector<NodeId> list;  // the voters that the node was told of, ascending
  Uuid cluster_id;           // formed: of which cluster
  template <class A>
  void serialize(A& a) {
    a(round, answered, standing, voter, list, cluster_id);
  }
};
struct Propose {
  Promise promise;
  template <class A>
  void serialize(A& a) {
    a(promise);
  }
};
struct Promised {
  Round round;
  template <class A>
  void serialize(A& a) {
    a(round);
  }
};
// All have promised.
struct Formed {
  Uuid cluster_id;
  template <class A>
  void serialize(A& a) {
    a(cluster_id);
  }
};
// The order is the wire's tag: append only.
using FormationMessage = std::variant<Ask, Answer, Propose, Promised, Formed>;

class Formation {
 public:
  struct Config {
    Voter self;
    std::map<NodeId, PeerAddress> list;  // with this node; empty: this node alone
    bool form = false;
    bool assume = false;     // there is a log, and no configuration in it
    Duration retry = 100ms;  // of a question that was not answered
    Duration turn = 50ms;    // which the nodes of the list have to ask first, one after the other
  };
  struct Addressed {
    NodeId to;
    FormationMessage message;
  };
  // In this order: make durable and report with durable(); send; begin.
  struct Output {
    std::optional<FormationState> persist;  // steps become durable in order
    std::vector<Addressed> messages;        // promises among them are held back until they are durable
    std::optional<Promise> formed;          // at most once: the log begins
    std::optional<Configuration> assumed;   // at most once: what a log of the older format goes by
    std::vector<std::string> notes;         // lines for the operator's log
  };

  // `formed`: this node has voted or has a log; `cluster_id` is of which cluster, as far as it knows.
  Formation(Config config, FormationState recovered, bool formed, Uuid cluster_id, Rng rng);

  // Events. `now` never goes back.
  Output start(Time now);
  Output receive(Time now, NodeId from, const FormationMessage& message);
  Output durable(Time now);  // one more step
  Output tick(Time now);
  // Raft has a log or has voted, by whatever way, in this cluster (zero: not known yet).
  Output on_formed(Time now, Uuid cluster_id);

  Time deadline() const { return deadline_; }
  bool formed() const { return formed_; }
  const FormationState& state() const { return state_; }

 private:
  Output take();
  void persist(FormationState state);
  void send(NodeId to, FormationMessage message);
  void note(std::string line);
  void ask_for_lists(Time now);
  void note_list(NodeId from, const std::vector<NodeId>& list);
  bool alone() const { return config_.list.size() <= 1; }
  // It is told to, or has promised already; and it does not belong to a cluster of which nothing else is left here.
  bool may_form() const { return state_.promise || (config_.form && cluster_id_.is_zero()); }
  bool forms() const { return !formed_ && !foreign_ && may_form(); }
  std::vector<NodeId> ids() const;
  Answer answer_to(const Round& round) const;
  void ask(Time now);
  void ask_again(Time now);
  void wait_for_others(Time now);
  void form_alone();
  void propose(const Round& round, Configuration configuration);
  void consider_answers(Time now);
  void consider_promises(Time now);
  void form(const Promise& promise);
  void on(Time now, NodeId from, const Ask& m);
  void on(Time now, NodeId from, const Answer& m);
  void on(Time now, NodeId from, const Propose& m);
  void on(Time now, NodeId from, const Promised& m);
  void on(Time now, NodeId from, const Formed& m);

  Config config_;
  std::map<NodeId, bool> same_list_;  // of a log without a configuration: who names the same voters
  Rng rng_;
  FormationState state_;
  bool formed_;
  bool foreign_ = false;  // the others have formed a cluster without this directory
  Uuid cluster_id_;
  uint64_t steps_ = 0;
  uint64_t durable_steps_ = 0;
  struct Held {
    uint64_t step;
    Addressed message;
  };
  std::vector<Held> held_;
  Time deadline_ = Time::never();
  Output out_;

  // Of a proposer.
  std::optional<Round> round_;  // the one it asks in
  int tries_ = 0;               // in this round
  int yielded_ = 0;             // to rounds of others, since this node asked last
  uint64_t highest_seen_ = 0;
  std::map<NodeId, Answer> answers_;
  std::optional<Promise> proposal_;
  uint64_t proposal_step_ = 0;  // which made the own promise durable
  std::map<NodeId, bool> promised_;
  std::string last_note_;
};

}  // namespace sg::raft
