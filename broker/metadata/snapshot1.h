// The catalogue's snapshots of version 1, read only. A copy was a node then: it is taken for the one in the directory that its broker
// registered last, which is what the older rules held it for.
#pragma once

#include "broker/metadata/catalogue.h"

namespace sg::metadata::snapshot1 {

struct Broker {
  NodeId node{-1};
  BrokerEpoch epoch = kNoBrokerEpoch;
  Incarnation incarnation;
  Uuid directory_id;
  Endpoint kafka;
  Endpoint peer;
  std::string rack;
  bool fenced = true;
  bool draining = false;
  LogIndex since;
  template <class A>
  void serialize(A& a) {
    a(node, epoch, incarnation, directory_id, kafka, peer, rack, fenced, draining, since);
  }
};

struct Partition {
  StreamId stream;
  Uuid topic_id;
  int32_t index = 0;
  std::vector<NodeId> replicas;
  std::vector<NodeId> isr;
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  int32_t min_isr = 1;
  bool last_copy_damaged = false;
  template <class A>
  void serialize(A& a) {
    a(stream, topic_id, index, replicas, isr, leader, leader_epoch, partition_epoch, min_isr, last_copy_damaged);
  }
};

struct State {
  LogIndex applied;
  Uuid cluster_id;
  std::map<NodeId, Broker> brokers;
  Catalogue::Topics topics;
  std::map<StreamId, Partition> partitions;
  StreamId next_stream = kFirstPartitionStream;
  ProducerId next_producer_id{0};
  template <class A>
  void serialize(A& a) {
    a(applied, cluster_id, brokers, topics, partitions, next_stream, next_producer_id);
  }
};

inline Catalogue::Brokers brokers(const State& old) {
  Catalogue::Brokers result;
  for (const auto& [key, b] : old.brokers) {
    result[key] = {.node = b.node,
                   .epoch = b.epoch,
                   .run = {b.directory_id, b.incarnation, 0},
                   .voter = VoterId(0),
                   .kafka = b.kafka,
                   .peer = b.peer,
                   .rack = b.rack,
                   .fenced = b.fenced,
                   .draining = b.draining,
                   .since = b.since,
                   .former = {}};
  }
  return result;
}

inline Catalogue::Partitions partitions(const State& old) {
  Catalogue::Partitions result;
  for (const auto& [key, p] : old.partitions) {
    std::vector<Copy> isr;
    for (NodeId node : p.isr) {
      auto at = old.brokers.find(node);
      isr.push_back({node, at == old.brokers.end() ? Uuid{} : at->second.directory_id});
    }
    result[key] = {.stream = p.stream,
                   .topic_id = p.topic_id,
                   .index = p.index,
                   .replicas = p.replicas,
                   .isr = isr,
                   .leader = p.leader,
                   .leader_epoch = p.leader_epoch,
                   .partition_epoch = p.partition_epoch,
                   .min_isr = p.min_isr,
                   .damaged = p.last_copy_damaged ? isr : std::vector<Copy>{}};
  }
  return result;
}

}  // namespace sg::metadata::snapshot1
