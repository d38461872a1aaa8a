// The cluster catalogue: brokers, topics, partitions. Its state is a pure function of the records applied, so it is equal at equal index
// on all nodes (correctness E8), and it is the only source of truth for who leads.
//
// What counts is a copy: a node's data in one directory. Another directory under the same node id holds nothing of what the first one
// promised, so it is another copy, whatever the catalogue says of the node; and what is known to be damaged stays so until a Healed record.
//
// Invariants (E9; checked by invariants.h after every step of every test):
//   leader in ISR, ISR within replicas, ISR never empty;
//   a copy whose broker is fenced, which is damaged, or whose node has registered with another directory, is in an ISR only as its last
//   member, and then the partition is offline (leader none): until that very directory is back, or healed;
//   leader, partition and broker epochs only grow; every change of leader, and every registration of a leader, is a new leader epoch;
//   a new leader comes from the ISR only. The last member is never removed: a record that was acknowledged is only known to be there.
//   So an empty twin that registers in the place of the last member destroys no knowledge: the old directory is still the one that counts.
//
// What is remembered is bounded by what exists: damage is part of its partition and goes with it, a former directory is remembered while
// it is in an ISR.
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
  // The last runs of other directories of this node that are in an ISR. Each may return, but not in an earlier state of itself.
  std::vector<Run> former;
  bool operator==(const Broker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, epoch, run, voter, kafka, peer, rack, fenced, draining, since, former);
  }
};

// What a node holds of a partition in one data directory.
struct Copy {
  NodeId node{-1};
  Uuid directory;
  constexpr auto operator<=>(const Copy&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, directory);
  }
};

struct Partition {
  StreamId stream;
  Uuid topic_id;
  int32_t index = 0;             // within the topic
  std::vector<NodeId> replicas;  // the preferred leader first
  std::vector<Copy> isr;         // in the order of `replicas`, at most one per node
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  int32_t min_isr = 1;        // min(the topic's min.insync.replicas, the replication factor)
  std::vector<Copy> damaged;  // ascending: copies that lack something they promised

  bool has_replica(NodeId node) const;
  const Copy* member(NodeId node) const;  // of the ISR; null if there is none. Valid until the ISR changes
  bool in_isr(NodeId node) const { return member(node) != nullptr; }
  bool is_damaged(const Copy& copy) const;
  std::vector<NodeId> isr_nodes() const;
  bool online() const { return leader != kNoNode; }
  bool operator==(const Partition&) const = default;
  template <class A>
  void serialize(A& a) {
    a(stream, topic_id, index, replicas, isr, leader, leader_epoch, partition_epoch, min_isr, damaged);
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

  // The copy is in the directory that its node has registered, and is not damaged: it counts, or will when its broker is live.
  bool intact(const Partition& p, const Copy& copy) const;
  // The replica on this node may join the ISR as far as its broker and its copy are concerned.
  bool may_join(const Partition& p, NodeId node) const;
  // It is in some ISR: something that was acknowledged may be nowhere else.
  bool has_place(const Copy& copy) const;

  // The whole state. Equal bytes for equal state.
  ByteVec snapshot() const;
  // Replaces the state. Errc::unsupported for a later version, Errc::corrupt or Errc::invalid for anything that is not a snapshot; then the
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
  Result<> on(const Healed& r, Applied& out);
  Result<> on(const HistoryCut& r, Applied& out);

  Result<Broker*> current_broker(NodeId node, BrokerEpoch epoch);
  void restarted(Partition& p, const RegisterBroker& r, bool kept, Applied& out);
  void lose_copy(Partition& p, const Copy& copy, Applied& out);
  void leave_isr(Partition& p, NodeId node, Applied& out);
  void elect(Partition& p, NodeId avoid = kNoNode);
  void touch(Partition& p, Applied& out);
  void forget_former(Broker& broker);

  State state_;
  std::map<Uuid, std::string> topic_names_;  // derived from state_.topics
};

}  // namespace sg::metadata
