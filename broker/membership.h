// This node as a member of the cluster: registers with the controller, sends heartbeats, and carries the requests of this node to
// whoever leads Raft now.
//
// The catalogue alone says whether this run is registered: its broker epoch is that of the applied registration that names this
// run. Until then the node serves neither metadata nor partitions (architecture §6). What the controller tells of a later state only takes
// away: it holds until the catalogue is applied that far.
// Invariant: nobody is answered by a standing that the clock has overtaken: standing() looks at it.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "broker/config.h"
#include "broker/controller_host.h"
#include "broker/replica/standing.h"

namespace sg::broker {

// Told when what this node may say changes, before anybody is answered by it. Calls do not suspend.
class StandingEvents {
 public:
  virtual ~StandingEvents() = default;
  virtual void on_standing(replica::Standing standing) = 0;
};

class Membership final : public LocalReplies {
 public:
  using Body = decltype(metadata::ControllerRequest::body);
  using Done = std::function<void(Result<metadata::ControllerReply>)>;

  // `registration` is what this node says of itself, but for the run. The references outlive the membership.
  Membership(Env& env, const Config::Timing& timing, const peer::Identity& identity, metadata::RegisterBroker registration,
             MetadataMachine& machine, const RaftDriver& raft, ControllerHost& controller, peer::ControlLinks& links,
             StandingEvents& events);

  // What clients are told; before run().
  void set_kafka_endpoint(metadata::Endpoint endpoint) { registration_.kafka = std::move(endpoint); }

  // Registers and sends heartbeats until stopped.
  void run(Task& task);

  // Of this run's applied registration; none before.
  BrokerEpoch broker_epoch() const;
  bool registered() const { return broker_epoch() != kNoBrokerEpoch; }
  // Of this run, now or once.
  bool was_registered() const { return was_registered_; }
  // As of now: what is this process to the cluster, and may it speak for its partitions (replica/standing.h)?
  replica::Standing standing();
  NodeId node() const { return identity_.node; }

  // One attempt at whoever leads now. `done` is called once, later and never from inside of this call: with the reply, or Errc::unavailable
  // (nobody to ask), Errc::timeout (nobody knows whether it was done).
  void call(Body body, Time deadline, Done done);

  // Asks until somebody answers with something else than "not the controller" or "busy". `asked_before`, if given: it was carried out by
  // an attempt before the one that is answered, or may have been.  Errc::timeout, Errc::stopped.
  Result<metadata::ControllerReply> request(Task& task, const Body& body, Time deadline, bool* asked_before = nullptr);

  // Tells the controller, as often as it takes, that this node's copy of a stream is no longer intact.
  void report_damage(StreamId stream);

  // Leader, role or catalogue changed: registering or a heartbeat may be due now.
  void poke() { wake_.notify_all(); }

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
  replica::Station station() const;
  void say(replica::Standing was) const;
  bool is_silent(Time now) const { return heard_ + timing_.session_timeout <= now; }
  void note_silence(Time now);

  Env& env_;
  Log log_;
  const Config::Timing& timing_;
  const peer::Identity& identity_;
  metadata::RegisterBroker registration_;
  MetadataMachine& machine_;
  const RaftDriver& raft_;
  ControllerHost& controller_;
  peer::ControlLinks& links_;
  StandingEvents& events_;

  Signal wake_;
  std::map<uint64_t, Call> calls_;
  uint64_t next_call_ = 1;
  std::deque<metadata::ControllerRequest> outgoing_;
  std::deque<SentHeartbeat> heartbeats_;
  uint64_t heartbeat_sequence_ = 0;
  LogIndex reported_applied_;  // by the last heartbeat
  Time heard_;                 // when the last answered heartbeat was sent, less the age of the answer
  LogIndex told_;              // when this run was fenced or superseded, by a controller's word
  bool silence_said_ = false;  // in the log
  bool was_registered_ = false;
  replica::Standing standing_ = replica::Standing::unregistered;  // as it was last told
  std::set<StreamId> unreported_damage_;
  bool register_again_ = false;
  std::string refusal_;  // of the last registration that was not taken
  Time next_register_;
};

}  // namespace sg::broker
