// The catalogue once more, written for the checks alone: what the committed records mean for brokers, leaders and ISRs, without a line of
// the product's own catalogue. Names, configurations and producer ids are not its business.
// Invariant: a function of the records, in their order (E8). Meaning of the records: broker/metadata/records.h; rules: architecture §5.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "broker/metadata/catalogue.h"
#include "broker/metadata/records.h"

namespace sg::scenario {

// What a catalogue says at one index, as far as the checks care.
struct CatalogueFacts {
  // A disk of a node: what an in-sync replica is in sync on.
  using Disk = std::pair<NodeId, Uuid>;
  struct Broker {
    BrokerEpoch epoch = kNoBrokerEpoch;
    Run run;
    bool fenced = true;
    bool draining = false;
    bool operator==(const Broker&) const = default;
  };
  struct Partition {
    std::vector<NodeId> replicas;
    std::vector<Disk> isr;  // in the order of the replicas
    NodeId leader = kNoNode;
    LeaderEpoch leader_epoch;
    PartitionEpoch partition_epoch;
    int32_t min_isr = 1;
    std::set<Disk> spoiled{};  // what was there once is not all there
    std::vector<NodeId> isr_nodes() const;
    bool operator==(const Partition&) const = default;
  };
  std::map<NodeId, Broker> brokers;
  std::map<StreamId, Partition> partitions;
  bool operator==(const CatalogueFacts&) const = default;
};
CatalogueFacts facts_of(const metadata::Catalogue& catalogue);
// The first thing in which they differ, for a person; empty if they are equal.
std::string difference(const CatalogueFacts& expected, const CatalogueFacts& found);

class CatalogueFold {
 public:
  // The next committed record, at `index`. False: what it was based on was overtaken, or it breaks a rule; it changes nothing.
  bool apply(LogIndex index, const metadata::Record& record);

  const CatalogueFacts& facts() const { return facts_; }
  const CatalogueFacts::Partition* partition(StreamId stream) const;
  // The member's disk is the one that its node registered last, and nothing is missing on it.
  bool is_whole(const CatalogueFacts::Partition& p, const CatalogueFacts::Disk& member) const;

 private:
  using Disk = CatalogueFacts::Disk;
  using Broker = CatalogueFacts::Broker;
  using Partition = CatalogueFacts::Partition;

  bool on(const metadata::RegisterBroker& r);
  bool on(const metadata::FenceBroker& r);
  bool on(const metadata::UnfenceBroker& r);
  bool on(const metadata::DrainBroker& r);
  bool on(const metadata::ReportDamage& r);
  bool on(const metadata::CreateTopic& r);
  bool on(const metadata::DeleteTopic& r);
  bool on(const metadata::ChangeIsr& r);
  bool on(const metadata::SetCluster&) { return true; }
  bool on(const metadata::AllocateProducerIds&) { return true; }
  bool on(const metadata::Healed& r);
  bool on(const metadata::HistoryCut& r);

  Broker* current(NodeId node, BrokerEpoch epoch);
  bool may_join(NodeId node) const;
  // What may end a copy's place: its broker is gone, or is leaving; or the copy is no longer what it was.
  void remove(Partition& p, NodeId node);
  void spoil(Partition& p, const Disk& disk);
  bool is_last_known(const Disk& disk) const;
  // Another leadership; `last_choice` only if nobody else can.
  void elect(Partition& p, std::optional<NodeId> last_choice = std::nullopt);

  LogIndex index_;
  CatalogueFacts facts_;
  std::map<Uuid, std::vector<StreamId>> topics_;
  std::map<std::string, Uuid> names_;
  std::map<Disk, Incarnation> starts_;  // the last one of each disk
  StreamId next_stream_ = metadata::kFirstPartitionStream;
};

}  // namespace sg::scenario
