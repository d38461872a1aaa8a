// What brokers and the controller say to each other on the control connection of a pair (docs/formats/peer.md).
//
// Requests: the broker sends one and repeats it (with a new id) until it is answered or no longer wanted; the controller gives equal
// requests one effect. Replies leave when the record behind them is applied, never before.
// Who sends is known from the connection's Hello; a request that names another node as itself is refused.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "broker/metadata/records.h"

namespace sg::metadata {

enum class ControllerError : uint8_t {
  none,
  not_controller,      // ask the node that leads Raft now
  busy,                // too much in flight: try again
  stale,               // a broker, leader or partition epoch is not the current one: apply the log, then think again
  not_found,           // no such broker, topic, partition
  exists,              // topic name
  ineligible_replica,  // a replica to be added to an ISR is fenced, draining, or has restarted
  invalid_request,
  invalid_topic_name,
  invalid_partitions,
  invalid_replication_factor,  // also: too few live brokers. Never made smaller silently
  invalid_replica_assignment,
  invalid_config,
  claimed,  // the node id is borne by another process: ask again later, in case that one goes
};
std::string_view to_string(ControllerError error);

// Sent every heartbeat interval, and at once when a broker has applied the log up to its registration.
struct Heartbeat {
  NodeId node{-1};
  Run run;
  BrokerEpoch broker_epoch = kNoBrokerEpoch;  // none before the registration is known
  LogIndex applied;                           // of the sender's catalogue
  uint64_t sequence = 0;                      // echoed, so that the broker knows how long ago it sent what was answered
  template <class A>
  void serialize(A& a) {
    a(node, run, broker_epoch, applied, sequence);
  }
};

enum class HeartbeatStatus : uint8_t {
  ok,              // registered and unfenced
  fenced,          // registered; will be unfenced once it has applied enough
  register_again,  // this run is not registered under this epoch
};

struct HeartbeatReply {
  NodeId to{-1};
  Run run;  // of the broker that is answered
  uint64_t sequence = 0;
  HeartbeatStatus status = HeartbeatStatus::register_again;
  LogIndex since;  // of the change of that broker's state that the status tells of
  // How long ago the newest round of heartbeats of Raft began that a majority of the voters has answered the controller: others may have
  // made another the controller since, and its word is worth no more than it was worth then.
  int64_t age_ns = 0;
  template <class A>
  void serialize(A& a) {
    a(to, run, sequence, status, since, age_ns);
  }
};

struct CreateTopicItem {
  std::string name;
  Uuid topic_id{};                              // that it is to get, so that who asks again is known again; zero: the controller draws it
  int32_t num_partitions = -1;                  // -1: the default, or given by `assignment`
  int32_t replication_factor = -1;              // -1: the default, or given by `assignment`
  std::vector<std::vector<NodeId>> assignment;  // empty: the controller places
  std::vector<ConfigEntry> configs;
  template <class A>
  void serialize(A& a) {
    a(name, topic_id, num_partitions, replication_factor, assignment, configs);
  }
};
struct CreateTopicsRequest {
  std::vector<CreateTopicItem> topics;
  bool validate_only = false;
  template <class A>
  void serialize(A& a) {
    a(topics, validate_only);
  }
};
struct CreateTopicResult {
  std::string name;
  ControllerError error = ControllerError::none;
  std::string message;
  Uuid topic_id;
  int32_t num_partitions = -1;
  int32_t replication_factor = -1;
  template <class A>
  void serialize(A& a) {
    a(name, error, message, topic_id, num_partitions, replication_factor);
  }
};
struct CreateTopicsReply {
  std::vector<CreateTopicResult> topics;  // in the order of the request
  LogIndex applied;                       // a broker that has applied this far sees them
  template <class A>
  void serialize(A& a) {
    a(topics, applied);
  }
};

// By name, or by id when the name is empty.
struct DeleteTopicItem {
  std::string name;
  Uuid topic_id;
  template <class A>
  void serialize(A& a) {
    a(name, topic_id);
  }
};
struct DeleteTopicsRequest {
  std::vector<DeleteTopicItem> topics;
  template <class A>
  void serialize(A& a) {
    a(topics);
  }
};
struct DeleteTopicResult {
  std::string name;
  Uuid topic_id;
  ControllerError error = ControllerError::none;
  std::string message;
  template <class A>
  void serialize(A& a) {
    a(name, topic_id, error, message);
  }
};
struct DeleteTopicsReply {
  std::vector<DeleteTopicResult> topics;  // in the order of the request
  LogIndex applied;
  template <class A>
  void serialize(A& a) {
    a(topics, applied);
  }
};

struct RegisterReply {
  BrokerEpoch broker_epoch = kNoBrokerEpoch;  // the log index to apply before acting in any role
  Uuid cluster_id;
  template <class A>
  void serialize(A& a) {
    a(broker_epoch, cluster_id);
  }
};

// The partition as it is after the request, whether that was granted or not.
struct ChangeIsrReply {
  StreamId stream;
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  PartitionEpoch partition_epoch;
  std::vector<NodeId> isr;
  template <class A>
  void serialize(A& a) {
    a(stream, leader, leader_epoch, partition_epoch, isr);
  }
};

struct AllocateProducerIdsReply {
  ProducerId first = kNoProducerId;
  int32_t count = 0;
  template <class A>
  void serialize(A& a) {
    a(first, count);
  }
};

// When nothing is left the broker may stop. What is left has no other in-sync replica: asking again later may find one.
struct DrainReply {
  int32_t leaderships_left = 0;
  template <class A>
  void serialize(A& a) {
    a(leaderships_left);
  }
};

// Where the request is exactly a record, the record is the request.
struct ControllerRequest {
  uint64_t id = 0;  // chosen by the sender, unique within its run
  std::variant<RegisterBroker, DrainBroker, ReportDamage, ChangeIsr, CreateTopicsRequest, DeleteTopicsRequest, AllocateProducerIds> body;
  template <class A>
  void serialize(A& a) {
    a(id, body);
  }
};

struct ControllerReply {
  uint64_t id = 0;                                // of the request
  ControllerError error = ControllerError::none;  // of the request as a whole; single topics have their own
  std::string message;
  std::variant<std::monostate, RegisterReply, DrainReply, ChangeIsrReply, CreateTopicsReply, DeleteTopicsReply, AllocateProducerIdsReply>
      body;
  template <class A>
  void serialize(A& a) {
    a(id, error, message, body);
  }
};

}  // namespace sg::metadata
