// The cluster catalogue: brokers, topics, partitions. Its state is a pure function of the records applied, so it is equal at equal index
// on all nodes (correctness E8), and it is the only source of truth for who leads.
//
// Invariants (E9; checked by invariants.h after every step of every test):
//   leader in ISR, ISR within replicas, ISR never empty;
//   a fenced broker is in an ISR only as its last member, and then the partition is offline (leader none) until that broker returns;
//   leader, partition and broker epochs only grow; every change of leader, and every registration of a leader, is a new leader epoch;
//   a new leader comes from the ISR only. The last member is never removed: a record that was acknowledged is only known to be there.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "broker/metadata/records.h"

namespace sg::metadata {

struct Broker {
  NodeId node{-1};
  BrokerEpoch epoch = kNoBrokerEpoch;  // the log index of its last registration
  Run run;
  VoterId voter;
  Endpoint kafka;
  Endpoint peer;
  std::string rack;
  bool fenced = true;     // taken for dead, or not yet heard of since it registered: leads nothing, joins no ISR, is not shown to clients
  bool draining = false;  // about to stop: is not given leaderships or places in ISRs
  LogIndex since;         // of the last change of this broker's state: it may be unfenced once it has applied the log up to here
  bool operator==(const Broker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, epoch, run, voter, kafka, peer, rack, fenced, draining, since);
  }
};

struct Partition {
  StreamId stream;
  Uuid topic_id;
  int32_t index = 0;             // within the topic
  std::vector<NodeId> replicas;  // the preferred leader first
  std::vector<NodeId> isr;       // in the order of `replicas`
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  int32_t min_isr = 1;  // min(the topic's min.insync.replicas, the replication factor)
  // The last member of the ISR came back without all that it had acknowledged (damage, or another directory). It stays named in `isr`,
  // nobody is electable, and the partition stays offline until an operator decides. Never cleared by a later registration.
  bool last_copy_damaged = false;

  bool has_replica(NodeId node) const;
  bool in_isr(NodeId node) const;
  bool online() const { return leader != kNoNode; }
  bool operator==(const Partition&) const = default;
  template <class A>
  void serialize(A& a) {
    a(stream, topic_id, index, replicas, isr, leader, leader_epoch, partition_epoch, min_isr, last_copy_damaged);
  }
};

struct Topic {
  std::string name;
  Uuid id;
  int32_t min_insync_replicas = 1;
  std::vector<ConfigEntry> configs;  // set explicitly, sorted by name
  std::vector<StreamId> partitions;  // by partition index
  bool operator==(const Topic&) const = default;
  template <class A>
  void serialize(A& a) {
    a(name, id, min_insync_replicas, configs, partitions);
  }
};

// What a record changed. A partition that is named and no longer found was deleted.
struct Applied {
  std::vector<StreamId> partitions;  // ascending
  std::vector<NodeId> brokers;
  Uuid topic_id;                                 // CreateTopic, DeleteTopic
  BrokerEpoch broker_epoch = kNoBrokerEpoch;     // RegisterBroker
  ProducerId first_producer_id = kNoProducerId;  // AllocateProducerIds: the first of `count`
};

class Catalogue {
 public:
  using Brokers = std::map<NodeId, Broker>;
  using Topics = std::map<std::string, Topic>;
  using Partitions = std::map<StreamId, Partition>;

  // Applies the record at `index`, which is beyond every index applied before. An error is an ordinary outcome, the same on every node,
  // and leaves the state as it was:
  //   stale        an epoch it was based on is not the current one
  //   not_found    no such broker, topic or partition
  //   exists       the cluster id, topic name or topic id is there already
  //   invalid      it breaks a rule whatever the state (name, replica list, count)
  //   unavailable  a broker that it counts on is fenced, draining or has restarted
  Result<Applied> apply(LogIndex index, const Record& record);

  // Steps over an entry that carries no record (a new term's empty entry), so that applied() is the log's.
  void skip(LogIndex index);

  LogIndex applied() const { return state_.applied; }
  Uuid cluster_id() const { return state_.cluster_id; }  // zero until it is set
  const Brokers& brokers() const { return state_.brokers; }
  const Topics& topics() const { return state_.topics; }
  const Partitions& partitions() const { return state_.partitions; }
  StreamId next_stream() const { return state_.next_stream; }
  ProducerId next_producer_id() const { return state_.next_producer_id; }

  // Null if there is none. Valid until the next apply or restore.
  const Broker* broker(NodeId node) const;
  const Topic* topic(std::string_view name) const;
  const Topic* topic(const Uuid& id) const;
  const Partition* partition(StreamId stream) const;
  // The topic that `name` would collide with, because '.' and '_' are one character in metric names (as in Kafka); null if none.
  const Topic* colliding_topic(std::string_view name) const;

  // The whole state. Equal bytes for equal state.
  ByteVec snapshot() const;
  // Replaces the state. Errc::unsupported for another version, Errc::corrupt or Errc::invalid for anything that is not a snapshot; then the
  // state is as before.
  Result<> restore(ByteSpan snapshot);

 private:
  struct State {
    LogIndex applied;
    Uuid cluster_id;
    Brokers brokers;
    Topics topics;
    Partitions partitions;
    StreamId next_stream = kFirstPartitionStream;
    ProducerId next_producer_id{0};
    template <class A>
    void serialize(A& a) {
      a(applied, cluster_id, brokers, topics, partitions, next_stream, next_producer_id);
    }
  };

  Result<> on(const SetCluster& r, Applied& out);
  Result<> on(const RegisterBroker& r, Applied& out);
  Result<> on(const FenceBroker& r, Applied& out);
  Result<> on(const UnfenceBroker& r, Applied& out);
  Result<> on(const DrainBroker& r, Applied& out);
  Result<> on(const ReportDamage& r, Applied& out);
  Result<> on(const CreateTopic& r, Applied& out);
  Result<> on(const DeleteTopic& r, Applied& out);
  Result<> on(const ChangeIsr& r, Applied& out);
  Result<> on(const AllocateProducerIds& r, Applied& out);

  Result<Broker*> current_broker(NodeId node, BrokerEpoch epoch);
  void restarted(Partition& p, NodeId node, bool intact, bool kept, Applied& out);
  void lose_copy(Partition& p, NodeId node, Applied& out);
  void leave_isr(Partition& p, NodeId node, Applied& out);
  void elect(Partition& p, NodeId avoid = kNoNode);
  void touch(Partition& p, Applied& out);

  State state_;
  std::map<Uuid, std::string> topic_names_;  // derived from state_.topics
};

}  // namespace sg::metadata
