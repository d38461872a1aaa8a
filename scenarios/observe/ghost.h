// What has been committed, kept outside every node (correctness.md part 1, 3): Raft's log by index, the catalogue as its fold, and each
// partition's log by offset, with a chain hash per position.
// Invariant: it only grows; what is here once may never be different or missing anywhere that counts.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/metadata/catalogue.h"
#include "scenarios/observe/catalogue_fold.h"
#include "scenarios/observe/durable_log.h"
#include "scenarios/world/machine.h"

namespace sg::scenario {

// One state of a partition in the catalogue, with the machines that it meant.
struct PartitionState {
  LogIndex since;
  MachineId leader = kNoNode;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  std::vector<MachineId> isr;
  std::vector<Uuid> disks;  // of the members of `isr`, one each
  int32_t min_isr = 1;
};

// One partition: who led it, and what was committed.
struct PartitionGhost {
  static constexpr size_t kKeptStates = 32;

  std::deque<PartitionState> states;  // the last ones, oldest first
  std::map<LeaderEpoch, MachineId> leaders;
  DurableLog committed;
  bool deleted = false;  // its topic is
  int64_t high_watermark() const { return committed.end(); }
  const PartitionState* newest() const { return states.empty() ? nullptr : &states.back(); }
  void push(PartitionState state) {
    states.push_back(std::move(state));
    if (states.size() > kKeptStates) states.pop_front();
  }
};

struct RaftGhost {
  struct Entry {
    Term term;
    uint64_t chain = 0;
    Term committed_in;  // the term of the leader that committed it, its own or a later one; never falls from index to index
  };
  std::vector<Entry> entries;  // [i] = index i + 1
  LogIndex commit() const { return LogIndex(static_cast<int64_t>(entries.size())); }
  // The chain of the committed log up to and including `index`; nothing beyond commit().
  std::optional<uint64_t> chain(LogIndex index) const {
    if (index.v == 0) return kEmptyChain;
    if (index.v < 0 || index > commit()) return std::nullopt;
    return entries[static_cast<size_t>(index.v - 1)].chain;
  }
};

struct Ghost {
  RaftGhost raft;
  metadata::Catalogue catalogue;  // what the broker makes of the committed records
  CatalogueFold fold;             // what they mean
  std::map<StreamId, PartitionGhost> partitions;
  // "orders-0 (stream 16)".
  std::string name(StreamId stream) const;
};

}  // namespace sg::scenario
