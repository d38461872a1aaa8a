// Batches that came before their turn: producers that a partition has no state of, and gaps that need not be the producer's. The memory of
// one leader in one epoch.
//
// A producer without state may begin anywhere, as in Kafka since 2.5 (KIP-360): its topic was made again, its records were deleted, or it
// gave up a batch. But a first sequence beyond 0 may also be the second batch of five in flight, whose first was refused by the leader
// before this one; taken at once, it would shut the first out for good. So it is refused once, with an error that clients answer by sending
// everything unfinished again, oldest first, and is taken when it returns and is still the lowest seen of its producer.
//
// A producer with state whose batch does not follow has lost one: OUT_OF_ORDER_SEQUENCE_NUMBER, which clients answer with a new epoch or
// with their end. It need not be so where the producer turns to this leader for the first time, or where this leader has refused the batch
// that was next for a reason of its own (too few replicas, no room): the missing one may be about to be sent again. A new epoch then
// resends what timed out at the old leader, and where that was stored it stands in the log twice; librdkafka does just that when it takes
// up a partition at its new leader with the second batch. So such a gap, too, is refused once with the retriable error, and called one when
// the same batch returns and nothing lower has come.
//
// Why that is enough: a client sends a batch again only when it knows what became of all before it (librdkafka and ours drain the
// partition, Java's client sends the lowest alone). So a batch that comes twice, with none before it seen, has nothing unfinished before
// it. Order never depends on this memory: once a batch is in the log there is state, and Producers::check refuses whatever does not follow.
// Losing the memory with the leadership, or to the bound, costs one more refusal. Whatever was refused and is not sent any more is
// forgotten after a minute, so nobody waits for it for ever.
#pragma once

#include <map>

#include "base/time.h"
#include "broker/replica/batch.h"

namespace sg::replica {

class FirstSequences {
 public:
  static constexpr size_t kProducers = 1000;
  // Beyond the bound a new producer takes the place of one that was not heard for so long; while there is none it is refused again.
  static constexpr Duration kForgotten = 60s;

  // A batch of a producer without state: may it begin its log here? Sequence 0 may, unless the producer was seen just before the wrap.
  bool may_begin(Time now, const BatchInfo& batch);
  // A batch that does not follow the state of its producer: is what is missing before it lost? `is_new`: no batch of the producer has
  // reached this leader yet.
  bool is_gap(Time now, const BatchInfo& batch, bool is_new);
  // The next batch of its producer was refused for a reason that is not the producer's.
  void refused(Time now, const BatchInfo& batch) { returns(now, batch); }
  // The producer's next batch is in the log.
  void begun(ProducerId id) { seen_.erase(id); }

  size_t size() const { return seen_.size(); }

 private:
  struct Seen {
    int16_t producer_epoch;
    int32_t lowest;
    Time heard;  // of the lowest
  };
  // Notes the batch. True: it has come before, and nothing lower has.
  bool returns(Time now, const BatchInfo& batch);
  void remember(Time now, const BatchInfo& batch);

  std::map<ProducerId, Seen> seen_;
};

}  // namespace sg::replica
