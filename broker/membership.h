// This node as a member of the cluster: registers with the controller, sends heartbeats, and carries the requests of this node to
// whoever leads Raft now.
//
// The catalogue alone says whether this run is registered: its broker epoch is that of the applied registration that names this
// run. Until then the node serves neither metadata nor partitions (architecture §6).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "broker/config.h"
#include "broker/controller_host.h"

namespace sg::broker {

// Told when the controller falls silent and when it is heard again. Calls do not suspend.
class ControllerContact {
 public:
  virtual ~ControllerContact() = default;
  virtual void on_controller_silent() = 0;
  virtual void on_controller_heard() = 0;
};

// What this process is to the cluster, as far as it has heard.
enum class Standing : uint8_t {
  unregistered,  // this run has not been registered yet
  registered,
  fenced,      // registered, and taken for dead or not heard of yet: another may lead what it led
  superseded,  // it was registered, and another run of this node id is now: whatever it led, it leads no longer
};
std::string_view to_string(Standing standing);

class Membership final : public LocalReplies {
 public:
  using Body = decltype(metadata::ControllerRequest::body);
  using Done = std::function<void(Result<metadata::ControllerReply>)>;

  // `registration` is what this node says of itself, but for the run. The references outlive the membership.
  Membership(Env& env, const Config::Timing& timing, const peer::Identity& identity, metadata::RegisterBroker registration,
             MetadataMachine& machine, const RaftDriver& raft, ControllerHost& controller, peer::ControlLinks& links,
             ControllerContact& contact);

  // What clients are told; before run().
  void set_kafka_endpoint(metadata::Endpoint endpoint) { registration_.kafka = std::move(endpoint); }

  // Registers and sends heartbeats until stopped.
  void run(Task& task);

  // Of this run's applied registration; none before.
  BrokerEpoch broker_epoch() const;
  bool registered() const { return broker_epoch() != kNoBrokerEpoch; }
  Standing standing() const;
  // Since when standing() is what it is.
  Time standing_since() const { return standing_since_; }
  NodeId node() const { return identity_.node; }

  // One attempt at whoever leads now. `done` is called once, later and never from inside of this call: with the reply, or Errc::unavailable
  // (nobody to ask), Errc::timeout (nobody knows whether it was done).
  void call(Body body, Time deadline, Done done);

  // Asks until somebody answers with something else than "not the controller" or "busy".  Errc::timeout, Errc::stopped.
  Result<metadata::ControllerReply> request(Task& task, const Body& body, Time deadline);

  // Tells the controller, as often as it takes, that this node's copy of a stream is no longer intact.
  void report_damage(StreamId stream);

  // Leader, role or catalogue changed: registering or a heartbeat may be due now.
  void poke();

  void on_controller_reply(const metadata::ControllerReply& reply) override;
  void on_heartbeat_reply(const metadata::HeartbeatReply& reply) override;

 private:
  struct Call {
    Time deadline;
    Done done;
  };
  struct SentHeartbeat {
    uint64_t sequence;
    Time sent;
    BrokerEpoch broker_epoch;
  };
  void register_now(Time now);
  void on_register_reply(const Result<metadata::ControllerReply>& reply);
  void send_outgoing();
  void send_damage(Time now);
  void send_heartbeat(Time now, NodeId leader);
  void expire_calls(Time now);

  Env& env_;
  Log log_;
  const Config::Timing& timing_;
  const peer::Identity& identity_;
  metadata::RegisterBroker registration_;
  MetadataMachine& machine_;
  const RaftDriver& raft_;
  ControllerHost& controller_;
  peer::ControlLinks& links_;
  ControllerContact& contact_;

  Signal wake_;
  std::map<uint64_t, Call> calls_;
  uint64_t next_call_ = 1;
  std::deque<metadata::ControllerRequest> outgoing_;
  std::deque<SentHeartbeat> heartbeats_;
  uint64_t heartbeat_sequence_ = 0;
  LogIndex reported_applied_;  // by the last heartbeat
  Time heard_;                 // when the last answered heartbeat was sent
  bool silent_ = false;
  std::set<StreamId> unreported_damage_;
  bool register_again_ = false;
  bool was_registered_ = false;
  Standing standing_ = Standing::unregistered;  // as it was last said
  Time standing_since_;
  std::string refusal_;  // of the last registration that was not taken
  Time next_register_;
};

}  // namespace sg::broker
