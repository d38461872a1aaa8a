// A catalogue under test: every record is applied through here, and after every step the invariants are checked and the state survives
// a snapshot byte for byte. A refused record must leave no trace.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "broker/metadata/catalogue.h"
#include "broker/metadata/invariants.h"
#include "tests/base/nth_run.h"

namespace sg::metadata {

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

inline std::vector<NodeId> nodes(std::initializer_list<int> ids) {
  std::vector<NodeId> result;
  for (int id : ids) result.push_back(NodeId(id));
  return result;
}

// Copies of these nodes in one directory each.
inline std::vector<Copy> copies(std::initializer_list<int> ids, uint64_t directory = 1) {
  std::vector<Copy> result;
  for (int id : ids) result.push_back({NodeId(id), Uuid{0, directory}});
  return result;
}

class Replayed {
 public:
  const Catalogue& catalogue() const { return catalogue_; }

  Result<Applied> apply(const Record& record) {
    Catalogue before = catalogue_;
    Result<Applied> outcome = catalogue_.apply(before.applied() + 1, record);
    INFO(describe(record));
    CHECK(joined(check_state(catalogue_)) == "");
    CHECK(joined(check_transition(before, catalogue_)) == "");
    ByteVec bytes = catalogue_.snapshot();
    if (!outcome) {
      before.skip(catalogue_.applied());
      CHECK(before.snapshot() == bytes);
    }
    Catalogue copy;
    REQUIRE(copy.restore(bytes).has_value());
    CHECK(copy.snapshot() == bytes);
    return outcome;
  }

  Applied must(const Record& record) {
    Result<Applied> outcome = apply(record);
    INFO(describe(record), " : ", outcome ? "" : outcome.error().what);
    REQUIRE(outcome.has_value());
    return *outcome;
  }

  // --- short forms ---

  static RegisterBroker registration(int node, uint64_t run, uint64_t directory = 1, std::string rack = "") {
    return {.node = NodeId(node),
            .run = sg::test::nth_run(run, directory),
            .voter = {},
            .kafka = {"127.0.0.1", static_cast<uint16_t>(9092 + node)},
            .peer = {"127.0.0.1", static_cast<uint16_t>(9192 + node)},
            .rack = std::move(rack),
            .clean = true,
            .damaged = {}};
  }
  BrokerEpoch epoch(int node) const { return catalogue_.broker(NodeId(node))->epoch; }
  const Broker& broker(int node) const { return *catalogue_.broker(NodeId(node)); }
  const Partition& partition(StreamId stream) const { return *catalogue_.partition(stream); }

  void bring_up(int node, uint64_t run = 1) {
    must(registration(node, run));
    must(UnfenceBroker{NodeId(node), epoch(node)});
  }
  void fence(int node) { must(FenceBroker{NodeId(node), epoch(node)}); }
  void unfence(int node) { must(UnfenceBroker{NodeId(node), epoch(node)}); }

  // A topic with one partition; its stream.
  StreamId create(const std::string& name, std::vector<NodeId> replicas, int32_t min_isr = 1) {
    Applied applied = must(CreateTopic{.name = name,
                                       .topic_id = Uuid{77, static_cast<uint64_t>(catalogue_.applied().v)},
                                       .partitions = {std::move(replicas)},
                                       .min_insync_replicas = min_isr,
                                       .configs = {}});
    return applied.partitions.at(0);
  }
  // The record with which the present leader asks for this ISR, all epochs current.
  ChangeIsr wish(StreamId stream, std::vector<NodeId> isr) const {
    const Partition& p = partition(stream);
    ChangeIsr wish{stream, p.leader, broker(p.leader.v).epoch, p.leader_epoch, p.partition_epoch, {}};
    for (NodeId node : isr) wish.isr.push_back({node, epoch(node.v)});
    return wish;
  }

 private:
  Catalogue catalogue_;
};

}  // namespace sg::metadata
