// The commands of the cluster catalogue: what the entries of the Raft log contain (architecture §5).
//
// A record states a decision together with what it was based on (broker epoch, leader epoch, partition epoch); Catalogue::apply checks
// that base again, so a decision that was overtaken changes nothing. What follows from a record (who leaves an ISR, who is elected) is
// computed by apply, the same way on every node: one record per event, whatever the number of partitions.
// A record is stored as: version byte, kind byte, packed fields. A kind never changes its meaning: a new rule is a new version.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sg::metadata {

inline constexpr uint8_t kRecordVersion = 2;  // 1: a registration named its process by a clock, and no voter; still read
inline constexpr size_t kMaxTopicNameBytes = 249;
inline constexpr StreamId kFirstPartitionStream{16};

// The identity of the cluster. The first leader proposes it once; a second one is refused with Errc::exists.
struct SetCluster {
  Uuid cluster_id;
  bool operator==(const SetCluster&) const = default;
  template <class A>
  void serialize(A& a) {
    a(cluster_id);
  }
};

struct Endpoint {
  std::string host;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
  template <class A>
  void serialize(A& a) {
    a(host, port);
  }
};

// One run of a broker's process introduces itself. Its broker epoch is the index of this record in the log.
//
// What recovery found to be damaged is `damaged`; `clean` is false when there is more that it could not attribute, which counts for every
// partition that has a replica on this node, whether named here or not: a stream that lies wholly in a lost stretch is in no list of names.
// Either is damage of the copies in `run.directory` and is remembered until a Healed record: a later run that calls itself clean knows
// less.
struct RegisterBroker {
  NodeId node{-1};
  Run run;
  VoterId voter;   // under which this run takes part in Raft
  Endpoint kafka;  // what clients are told
  Endpoint peer;
  std::string rack;  // empty: none
  bool clean = true;
  std::vector<StreamId> damaged;
  bool operator==(const RegisterBroker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, run, voter, kafka, peer, rack, clean, damaged);
  }
};

// The broker is taken for dead: it leaves every ISR in which another member remains, and leads nothing.
struct FenceBroker {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool operator==(const FenceBroker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch);
  }
};

// The broker has shown that it lives and has applied the log up to its registration or its fencing: it may lead and join ISRs again.
struct UnfenceBroker {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool operator==(const UnfenceBroker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch);
  }
};

// The broker is about to stop in an orderly way: its leaderships and its places in ISRs go to others where there are others. May be
// repeated when followers have caught up since. It holds until the broker registers again.
struct DrainBroker {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool operator==(const DrainBroker&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch);
  }
};

// A running broker found that its copies of these streams, in the registered directory, are no longer intact.
struct ReportDamage {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  std::vector<StreamId> damaged;
  bool operator==(const ReportDamage&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch, damaged);
  }
};

// A topic setting under Kafka's name.
struct ConfigEntry {
  std::string name;
  std::string value;
  bool operator==(const ConfigEntry&) const = default;
  template <class A>
  void serialize(A& a) {
    a(name, value);
  }
};

// `partitions[i]` = the replicas of partition i, the preferred leader first. Stream ids are allotted by apply, in order.
struct CreateTopic {
  std::string name;
  Uuid topic_id;
  std::vector<std::vector<NodeId>> partitions;
  int32_t min_insync_replicas = 1;   // resolved by the controller, so that a changed default does not change existing topics
  std::vector<ConfigEntry> configs;  // what was set explicitly, sorted by name
  bool operator==(const CreateTopic&) const = default;
  template <class A>
  void serialize(A& a) {
    a(name, topic_id, partitions, min_insync_replicas, configs);
  }
};

struct DeleteTopic {
  Uuid topic_id;
  bool operator==(const DeleteTopic&) const = default;
  template <class A>
  void serialize(A& a) {
    a(topic_id);
  }
};

struct IsrMember {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool operator==(const IsrMember&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch);
  }
};

// A leader's wish for a new ISR. Each member carries the broker epoch under which the leader knows it (KIP-841, KIP-903): a replica that
// restarted since the leader saw it caught up is not added.
struct ChangeIsr {
  StreamId stream;
  NodeId leader{-1};
  BrokerEpoch leader_broker_epoch = kNoBrokerEpoch;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  PartitionEpoch partition_epoch;
  std::vector<IsrMember> isr;
  bool operator==(const ChangeIsr&) const = default;
  template <class A>
  void serialize(A& a) {
    a(stream, leader, leader_broker_epoch, leader_epoch, partition_epoch, isr);
  }
};

// `count` producer ids for one broker to give out. None is ever given out twice.
struct AllocateProducerIds {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  int32_t count = 1000;
  bool operator==(const AllocateProducerIds&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch, count);
  }
};

// What was damaged of these streams, in the registered directory, has been read from good copies and is durable: the copies count again.
// Nothing else lifts what a registration or ReportDamage said.
struct Healed {
  NodeId node{-1};
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  std::vector<StreamId> streams;
  bool operator==(const Healed&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, broker_epoch, streams);
  }
};

// An operator has accepted that records behind this place are gone (`stormglassd accept-damage`). What they may have given out is not given
// out again: streams below `next_stream`, leader epochs up to `leader_epoch`, kLostProducerIds producer ids.
struct HistoryCut {
  StreamId next_stream = kFirstPartitionStream;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  bool operator==(const HistoryCut&) const = default;
  template <class A>
  void serialize(A& a) {
    a(next_stream, leader_epoch);
  }
};
inline constexpr int64_t kLostProducerIds = int64_t{1} << 32;  // as many as millions of lost records could have given out

// The order of the alternatives is the kind byte on disk: append only.
using Record = std::variant<SetCluster, RegisterBroker, FenceBroker, UnfenceBroker, DrainBroker, ReportDamage, CreateTopic, DeleteTopic,
                            ChangeIsr, AllocateProducerIds, Healed, HistoryCut>;

ByteVec encode(const Record& record);

// Errc::unsupported: a version or kind of a later release. The node cannot follow the log any further and must not guess.
// Errc::invalid / Errc::corrupt: not a record.
Result<Record> decode_record(ByteSpan bytes);

// One line for a person.
std::string describe(const Record& record);

}  // namespace sg::metadata
