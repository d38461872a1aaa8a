// The checks on partitions, from the committed catalogue, the journals and what leaves the nodes (correctness.md part 2): E9 leaders,
// ISRs and epochs, E10 the high watermark moves only over what the whole ISR holds, E11 every ISR member holds it, E12 below it replicas
// are equal, E13 what clients are told never goes back, E14 acks=all means what it says, E15 a new leader holds what was acknowledged,
// E16 no truncation below it inside the ISR, E17 reads stay below it.
//
// The true high watermark is the greatest one that a node has claimed (to a follower, to a client, by a successful answer) and that held:
// for some ISR of a leadership of that node, of at least the minimal size, every member durably has the leader's log up to there. It is
// not what could be claimed: a watermark that no leader has computed was promised to nobody.
// Invariant: what is in PartitionGhost::committed was promised, so it may never be missing again where that counts.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/time.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/produce.h"
#include "broker/replica/messages.h"
#include "scenarios/checks/damage_checks.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"

namespace sg::scenario {

class PartitionChecks {
 public:
  PartitionChecks(Ledgers& ledgers, Ghost& ghost, Judge& judge) : ledgers_(ledgers), ghost_(ghost), judge_(judge), damage_(judge) {}

  // The record at `index` of the ghost's Raft log has changed the ghost's catalogue.
  void on_catalogue_changed(LogIndex index, const metadata::Record& record);
  // Another machine than the one that was registered under the node's id is registered, or taken for it by somebody (`what`): only where
  // that one is not heard.
  void on_newcomer(NodeId node, MachineId registered, MachineId newcomer, std::string_view what, bool is_heard);
  // The journal of `node` receives a truncation.
  void on_truncate(NodeId node, StreamId stream, int64_t new_end, int64_t old_end);

  void on_ack(NodeId from, const replica::Ack& ack);
  void on_data(NodeId from, const replica::Data& data);
  // An answer without error to a batch that was sent with these acks.
  struct Produced {
    StreamId stream;
    int16_t acks = -1;
    int64_t base = 0;
    int64_t end = 0;
    uint32_t crc = 0;  // of the batch
  };
  void on_produced(NodeId from, const Produced& produced);
  // An acks=all request was answered by "timed out"; its leader has heard of the newest ISR and of the
  // fate of its own proposals, and nothing was written for a while.
  void on_timed_out(NodeId from, StreamId stream, uint32_t crc);
  // An answer to a fetch without error: the watermark in it.
  void on_watermark_given(Time now, Time asked, NodeId from, StreamId stream, int64_t high_watermark);
  // A batch in it.
  void on_batch_given(NodeId from, StreamId stream, int64_t base, int64_t end, uint32_t crc);
  // An answer to ListOffsets(latest).
  void on_latest_given(Time now, Time asked, NodeId from, StreamId stream, LeaderEpoch leader_epoch, int64_t offset);

  // Everything is healed: every ISR is looked at once more.
  void finish();
  // Every partition as the disks and the ghost have it now, for check_idle.
  std::vector<IdlePartition> idle() const;

 private:
  // What was given to clients, and when: only grows.
  class Given {
   public:
    void add(Time now, int64_t value);
    int64_t before(Time time) const;  // the greatest that was given before then; -1: nothing
   private:
    static constexpr size_t kKept = 4096;
    std::deque<std::pair<Time, int64_t>> values_;
  };

  // Node `from` acts on "everything below `end` is committed".  False: it is not.
  void check_content(const PartitionState& state, NodeId from, const replica::Ack& ack);
  bool claim(Check check, NodeId from, StreamId stream, int64_t end, std::optional<LeaderEpoch> epoch, std::string_view how);
  bool whole_isr_holds(const PartitionState& state, NodeId leader, StreamId stream, int64_t end) const;
  std::string who_holds(const PartitionState& state, NodeId leader, StreamId stream, int64_t end) const;
  void advance_by_others(PartitionGhost& ghost, NodeId leader, StreamId stream, int64_t end);
  void advance(PartitionGhost& ghost, NodeId from, StreamId stream, int64_t end);
  void check_isr(StreamId stream, const PartitionGhost& ghost);
  void check_leader(StreamId stream, const PartitionGhost& ghost);
  static bool holds(const Ledger* copy, StreamId stream, int64_t end, std::optional<uint64_t> chain);
  // Of the ISR's member at that place.
  const Ledger* copy_of(const PartitionState& state, size_t member) const;

  Ledgers& ledgers_;
  Ghost& ghost_;
  Judge& judge_;
  DamageChecks damage_;
  std::map<StreamId, Given> given_;
  std::map<std::tuple<StreamId, NodeId, LeaderEpoch>, Given> given_by_leader_;
};

}  // namespace sg::scenario
