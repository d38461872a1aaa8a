// The idempotent producers of a partition: what makes a retry a duplicate and a lost batch a gap. State = fold of the log, so it
// travels with the log and survives a change of leader (KIP-98, KIP-360; Kafka's ProducerStateManager and ProducerAppendInfo).
//
// Per producer: its epoch and the last five batches of that epoch. So that a truncation above the high watermark needs no second pass
// over the log, older batches stay as long as a truncation could make them one of the last five again.
//
// No state of a producer is not a gap: where it may begin is first_sequences.h. With state, its batches stand in the order of their
// sequences without a hole, whatever came before.
#pragma once

#include <map>
#include <vector>

#include "broker/replica/batch.h"
#include "broker/replica/outcome.h"

namespace sg::replica {

// The sequence `delta` behind `sequence`; 2^31 - 1 is followed by 0.
int32_t sequence_after(int32_t sequence, int32_t delta);

class Producers {
 public:
  // The five that Kafka's clients may have in flight.
  static constexpr size_t kCachedBatches = 5;

  struct Verdict {
    Outcome outcome;  // ok, duplicate, out_of_order_sequence, invalid_producer_epoch; producer_unknown: it has no state here
    Offset base;      // of the original, for a duplicate
    Offset end;
  };

  // May this batch of a client be appended? Changes nothing.
  Verdict check(const BatchInfo& batch) const;

  // The batch is in the log now: as `check` allowed (leader), from a leader (follower) or from the journal (recovery). Never judges:
  // what is in the log is the truth. Nothing below `high_watermark` will be truncated.
  void fold(const Descriptor& batch, Offset high_watermark);

  // The log now ends at `end`, which is not below any high watermark given so far. The state is what folding the rest would give.
  void truncate(Offset end);

  // Forgets everything, and folds these: for a log whose beginning is not what was folded.
  template <class Range>
  void rebuild(const Range& descriptors, Offset high_watermark) {
    producers_.clear();
    for (const Descriptor& d : descriptors) fold(d, high_watermark);
  }

  struct Batch {
    int32_t first_sequence;  // -1: a control batch, which carries an epoch and no records
    int32_t last_sequence;
    int16_t producer_epoch;
    Offset base;
    Offset end;
    bool operator==(const Batch&) const = default;
  };
  // What counts of a producer: the batches of its newest epoch among its last five, oldest first.
  std::vector<Batch> cached(ProducerId id) const;
  // -1 where there is no state.
  int16_t epoch(ProducerId id) const;
  size_t size() const { return producers_.size(); }

 private:
  // In log order; never empty.
  using Entry = std::vector<Batch>;
  std::map<ProducerId, Entry> producers_;
};

}  // namespace sg::replica
