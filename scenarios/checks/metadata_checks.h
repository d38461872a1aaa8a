// What brokers tell clients of the cluster (correctness.md part 2): H13, metadata never goes back for one client on one broker, created is
// there and deleted is gone; and what an answer says of a partition was committed once.
//
// Judged by broker: no client hears of a broker less than all of its clients together. A broker may be behind, so any state that was
// committed will do, as long as it is not older than what the same broker had said, in any of its runs, when it read the request.
// Invariant: of a topic's name the incarnations are known, in the order of their making.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "broker/kafka/metadata.h"
#include "broker/metadata/records.h"
#include "scenarios/judge.h"
#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"
#include "scenarios/observe/taps.h"

namespace sg::scenario {

class MetadataChecks {
 public:
  // The references outlive it.
  MetadataChecks(const Ledgers& ledgers, const Ghost& ghost, Judge& judge) : ledgers_(ledgers), ghost_(ghost), judge_(judge) {}

  // The record has changed the ghost's catalogue.
  void on_catalogue_changed(LogIndex index, const metadata::Record& record);
  // `self`: the node that it is, and how far its catalogue has been applied by now.
  struct Teller {
    NodeId node;
    LogIndex applied;
  };
  void on_answer(Time now, MachineId by, const Asked& when, Teller self, const kafka::MetadataRequest& asked,
                 const kafka::MetadataResponse& answer);
  // What its disk holds is not what it was: it may begin anew.
  void forget(MachineId machine);

 private:
  struct Incarnation {
    Uuid id;
    LogIndex made;
    std::optional<LogIndex> deleted;
    std::vector<StreamId> partitions;
    std::vector<std::vector<NodeId>> replicas;  // of each
  };
  // What the catalogue says of a broker.
  struct BrokerState {
    bool open = false;  // registered and not fenced
    metadata::Endpoint kafka;
    std::string rack;
    bool operator==(const BrokerState&) const = default;
  };
  const Incarnation* find(std::string_view name, const Uuid& id) const;
  // Null if there were several, or none.
  const Incarnation* only(std::string_view name) const;
  // What was said, and when: only grows.
  template <class T>
  class Said {
   public:
    void add(Time now, T value) {
      if (values_.empty() || values_.back().second < value) values_.emplace_back(now, value);
    }
    T before(Time time) const {
      auto it = std::ranges::find_if(values_.rbegin(), values_.rend(), [&](const auto& v) { return v.first < time; });
      return it == values_.rend() ? T{} : it->second;
    }

   private:
    std::vector<std::pair<Time, T>> values_;
  };
  // The answer that is judged.
  struct Moment {
    Time now;
    MachineId by;
    Time arrived;
    int16_t version;
    NodeId self;
    LogIndex from, to;  // what it says was committed at some entry in between
  };
  void judge_cluster(const Moment& m, const kafka::MetadataResponse& answer);
  // Whether some state of that broker between the two entries was so; `is` is asked of a broker that was never registered too.
  template <class Is>
  bool was_so(const Moment& m, NodeId node, Is&& is) const;
  void judge_replicas(const Moment& m, const std::string& name, const std::vector<NodeId>& replicas,
                      const kafka::MetadataResponse::Partition& p);
  void judge_topic(const Moment& m, const kafka::MetadataResponse::Topic& topic);
  void judge_partition(const Moment& m, const std::string& name, StreamId stream, const kafka::MetadataResponse::Partition& p);
  void judge_absent(const Moment& m, std::string_view name);

  const Ledgers& ledgers_;
  const Ghost& ghost_;
  Judge& judge_;
  std::map<std::string, std::vector<Incarnation>, std::less<>> topics_;
  // Of a topic's name: up to which entry of the log the catalogue is known at least.
  std::map<std::pair<MachineId, std::string>, Said<LogIndex>> said_;
  std::map<std::pair<MachineId, StreamId>, Said<LeaderEpoch>> epochs_;
  std::map<NodeId, std::vector<std::pair<LogIndex, BrokerState>>> brokers_;  // from which entry on
  std::map<MachineId, Said<LogIndex>> applied_;                              // when it had answered
};

}  // namespace sg::scenario
