// Producers that a partition has no state of, and the sequence at which each may begin: the memory of one leader in one epoch.
//
// A producer without state may begin anywhere, as in Kafka since 2.5 (KIP-360): its topic was made again, its records were deleted, or it
// gave up a batch. But a first sequence beyond 0 may also be the second batch of five in flight, whose first was refused by the leader
// before this one; taken at once, it would shut the first out for good. So it is refused once, with an error that clients answer by sending
// everything unfinished again, oldest first, and is taken when it returns and is still the lowest seen of its producer.
//
// Why that is enough: a client sends a batch again only when it knows what became of all before it (librdkafka and ours drain the
// partition, Java's client sends the lowest alone). So a batch that comes twice, with none before it seen, has nothing unfinished before
// it. Order never depends on this memory: once a batch is in the log there is state, and Producers::check refuses whatever does not follow.
// Losing the memory with the leadership, or to the bound, costs one more refusal.
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
  // The producer has state now.
  void begun(ProducerId id) { seen_.erase(id); }

  size_t size() const { return seen_.size(); }

 private:
  struct Seen {
    int16_t producer_epoch;
    int32_t lowest;
    Time heard;
  };
  void remember(Time now, const BatchInfo& batch);

  std::map<ProducerId, Seen> seen_;
};

}  // namespace sg::replica
