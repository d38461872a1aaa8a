// The controller: the part of the metadata core that runs on the Raft leader alone. It watches brokers, and turns what it sees and is
// asked into records. It decides nothing by itself: a record that is applied is the decision, and the replies leave when it is applied.
// Invariant: it keeps no fact that the catalogue keeps; whatever it forgets when leadership moves costs a retry, never a wrong record.
//
// Failure detection (architecture §5) has two speeds. Suspicion fences at once; it counts once per run and is cancelled by later
// traffic from it. Silence fences after `session_timeout`. A new controller probes every broker at once, and gives each a full session
// from its own start. Being wrong never loses data; it costs an election and a copy. All this is between runs of one directory: a process
// of another directory, or at another address, proves nothing about the registered one, which is asked (controller_claims.cc).
//
// What the shell owes:
//   - it calls start() when this node leads Raft and its catalogue has the entries of all earlier terms applied, and stop() when it no
//     longer leads; between the two it hands in every entry applied (on_applied for entries with a token of ours);
//   - records are proposed in the order of `proposals`;
//   - what it hands in comes from the process that bears the node's id here (peer/bearers.h), never from a twin;
//   - a node whose loop stalled drains its inbox before on_deadline(): silence is only judged when everything received has been handed in.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"
#include "broker/metadata/catalogue.h"
#include "broker/metadata/claim.h"
#include "broker/metadata/messages.h"
#include "broker/metadata/placement.h"

namespace sg::metadata {

struct ControllerOptions {
  NodeId node{-1};  // this one: it is not probed
  Duration session_timeout = 3s;
  Duration retry = 100ms;  // before a proposal that failed is made again
  // After a newer run of a broker has said hello, how long its registration may take before the old one is fenced. A broker that
  // registers in time and clean keeps its places in ISRs, which after a power cut of all nodes keeps every copy counted.
  Duration registration_grace = 100ms;
  int32_t default_replication_factor = -1;   // -1: min(3, voters)
  int32_t default_min_insync_replicas = -1;  // -1: 2 when the topic's factor is >= 3, else 1
  int32_t default_partitions = 1;
  int32_t max_partitions_per_topic = 10'000;
  size_t max_in_flight = 4096;  // proposals; requests beyond are answered `busy`
};

// Names a proposal until on_applied or on_proposal_failed gives it back. Unique within one Controller.
using Token = uint64_t;

struct Proposal {
  Token token = 0;
  Record record;
};

struct AddressedReply {
  NodeId to{-1};
  ControllerReply reply;
};

// To be carried out in the order of the members.
struct ControllerOutput {
  std::vector<Proposal> proposals;
  std::vector<AddressedReply> replies;
  std::vector<HeartbeatReply> heartbeats;
  std::vector<NodeId> probes;  // connect, or use the link: on_alive if it answers, on_probe_refused if it is refused
  std::vector<Inquiry> inquiries;
  std::vector<std::string> notes;  // lines for the operator's log
};

class Controller {
 public:
  // `catalogue` is the node's own, changed by the shell as entries are applied; it outlives the controller.
  // `rng` draws topic ids and the cluster id.
  Controller(const Catalogue& catalogue, ControllerOptions options, Rng rng);

  bool active() const { return active_; }

  // This node leads Raft now. Probes every broker; proposes the cluster's identity if it has none.
  // `cluster_id`: drawn when the cluster was formed; zero: of an older one, draw it.
  ControllerOutput start(Time now, Uuid cluster_id);
  // This node leads no longer. Answers everything that is open with not_controller; what was proposed may still be applied.
  ControllerOutput stop(Time now);

  // The rest does nothing while not active, but for requests, which are answered not_controller.

  ControllerOutput on_heartbeat(Time now, const Heartbeat& heartbeat);
  // `from`: the sender as the connection knows it.
  ControllerOutput on_request(Time now, NodeId from, ControllerRequest request);

  // Something came from this run: a hello, an answer to a probe, any frame.
  ControllerOutput on_alive(Time now, NodeId node, Run run);
  // An established link to this run ended and a reconnect was refused at once.
  ControllerOutput on_suspicion(Time now, NodeId node, Run run);
  // Nobody listened at a node that was to be probed. Suspicion of the run that was registered when the probe was asked for.
  ControllerOutput on_probe_refused(Time now, NodeId node);

  // The metadata group is these now. A fact to remember, active or not.
  void on_voters(Voters voters) { voters_ = std::move(voters); }

  // What became of an inquiry. Errc::refused: nobody listens there; any other error: there was no answer.
  ControllerOutput on_answer(Time now, const Inquiry& inquiry, const Result<Answer>& answer);

  // The entry with this token has been applied to the catalogue, with this outcome. Unknown tokens (of before a stop()) are ignored.
  ControllerOutput on_applied(Time now, Token token, const Result<Applied>& outcome);
  // The proposal will not be applied, or nobody can know: Raft refused it, or its entry was overwritten.
  ControllerOutput on_proposal_failed(Time now, Token token);

  // When on_deadline wants to be called; never() if not.
  Time deadline() const;
  ControllerOutput on_deadline(Time now);

  // Records whose entries are not applied, and requests that are not answered.
  size_t waiting() const { return pending_.size() + open_.size(); }

 private:
  // At the address of a registration. Closed: its host says that nobody listens there.
  enum class Found : uint8_t { nobody, closed, itself, another };

  // What this controller has seen of one broker's process.
  struct Watch {
    Run run;  // the registration that the rest speaks of
    BrokerEpoch epoch = kNoBrokerEpoch;
    Time heard;                    // last traffic
    bool suspected = false;        // fence at once, or as soon as it can be proposed
    bool suspicion_spent = false;  // counts once per run
    std::optional<Time> fence_at;  // a newer run said hello and has not registered yet
    Time retry_at;                 // no proposal about this broker before
    // Another process claims the node id:
    bool asking = false;         // an inquiry is under way
    std::optional<Found> found;  // by the last one; nothing: not asked yet, or what was found is not true any more
    Time found_at;
    std::string last_note;
  };
  // One reply that is put together from the outcomes of one or more records.
  struct Open {
    NodeId to;
    ControllerReply reply;
    size_t left = 0;
  };
  struct Waiter {
    uint64_t open;        // key of open_
    size_t item;          // which topic of the request; 0 otherwise
    bool joined = false;  // another request proposed the record, and its wish is not this one
  };
  struct Pending {
    Record record;
    std::vector<Waiter> waiters;
  };

  void watch_all(Time now);
  int32_t default_replication_factor() const;
  bool changing(NodeId node) const { return changing_.contains(node); }
  Time fence_due(const Broker& broker) const;
  void propose_fences(Time now, ControllerOutput& out);
  void propose(Record record, std::vector<Waiter> waiters, ControllerOutput& out);
  Pending take_pending(Token token);

  uint64_t open(NodeId to, uint64_t request_id, size_t items);
  void submit(uint64_t open_key, size_t item, Record record, ControllerOutput& out);
  void submit_alone(NodeId to, uint64_t request_id, Record record, ControllerOutput& out);
  void finish_item(uint64_t open_key, ControllerOutput& out);
  void fill(Open& open, const Waiter& waiter, const Record& record, const Result<Applied>& outcome);

  // Whether the registration may be proposed. If not, the reply is in `out`.
  bool may_register(Time now, NodeId from, uint64_t id, const RegisterBroker& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const RegisterBroker& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const DrainBroker& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const ReportDamage& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const ChangeIsr& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const CreateTopicsRequest& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const DeleteTopicsRequest& r, ControllerOutput& out);
  void request(NodeId from, uint64_t id, const AllocateProducerIds& r, ControllerOutput& out);

  std::optional<CreateTopic> plan(const CreateTopicItem& item, std::vector<Candidate>& load, CreateTopicResult& result);
  Uuid draw_uuid();

  const Catalogue& catalogue_;
  ControllerOptions options_;
  Rng rng_;
  Voters voters_;
  bool active_ = false;
  Token next_token_ = 1;
  uint64_t next_open_ = 1;
  std::map<NodeId, Watch> watches_;
  std::map<NodeId, Run> probed_;
  std::map<NodeId, int> changing_;  // records in flight that change this broker's state; no fence or unfence is added to them
  std::map<Token, Pending> pending_;
  std::map<uint64_t, Open> open_;
};

}  // namespace sg::metadata
