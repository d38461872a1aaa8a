#include "broker/replica/producers.h"

#include <algorithm>
#include <limits>
#include <span>

#include "base/ensure.h"

namespace sg::replica {

namespace {

constexpr int32_t kNoSequence = -1;

// The batches of the newest epoch among the last five.
std::span<const Producers::Batch> counted(std::span<const Producers::Batch> batches) {
  int16_t epoch = batches.back().producer_epoch;
  size_t n = 0;
  while (n < batches.size() && n < Producers::kCachedBatches && batches[batches.size() - 1 - n].producer_epoch == epoch) ++n;
  return batches.last(n);
}

}  // namespace

int32_t sequence_after(int32_t sequence, int32_t delta) {
  ENSURE(sequence >= 0 && delta >= 0, "sequence {} + {}", sequence, delta);
  return static_cast<int32_t>((static_cast<int64_t>(sequence) + delta) & std::numeric_limits<int32_t>::max());
}

Producers::Verdict Producers::check(const BatchInfo& batch) const {
  if (batch.producer_id == kNoProducerId) return {Outcome::ok, {}, {}};
  if (batch.base_sequence < 0) return {Outcome::out_of_order_sequence, {}, {}};

  auto found = producers_.find(batch.producer_id);
  if (found == producers_.end()) return {Outcome::producer_unknown, {}, {}};
  std::span<const Batch> known = counted(found->second);
  const Batch& newest = known.back();
  if (batch.producer_epoch < newest.producer_epoch) return {Outcome::invalid_producer_epoch, {}, {}};

  // A new epoch starts anew; so does one that only a control batch has announced.
  if (batch.producer_epoch > newest.producer_epoch || newest.first_sequence == kNoSequence)
    return {batch.base_sequence == 0 ? Outcome::ok : Outcome::out_of_order_sequence, {}, {}};

  int32_t last = sequence_after(batch.base_sequence, batch.last_offset_delta);
  for (const Batch& b : known)
    if (b.first_sequence == batch.base_sequence && b.last_sequence == last) return {Outcome::duplicate, b.base, b.end};

  bool next = batch.base_sequence == sequence_after(newest.last_sequence, 1);
  return {next ? Outcome::ok : Outcome::out_of_order_sequence, {}, {}};
}

void Producers::fold(const Descriptor& batch, Offset high_watermark) {
  if (batch.info.producer_id == kNoProducerId) return;
  Entry& entry = producers_[batch.info.producer_id];
  bool same_epoch = !entry.empty() && entry.back().producer_epoch == batch.info.producer_epoch;
  bool sequenced = batch.info.base_sequence >= 0;
  // A control batch counts only for the epoch that it announces.
  if (!sequenced && same_epoch) return;

  int32_t last = sequenced ? sequence_after(batch.info.base_sequence, batch.info.last_offset_delta) : kNoSequence;
  entry.push_back({sequenced ? batch.info.base_sequence : kNoSequence, last, batch.info.producer_epoch, batch.base, batch.end()});

  // The oldest goes when five others stay whatever is truncated.
  auto stays = std::ranges::upper_bound(entry, high_watermark, {}, &Batch::end) - entry.begin();
  auto spare = stays - static_cast<ptrdiff_t>(kCachedBatches);
  if (spare > 0) entry.erase(entry.begin(), entry.begin() + spare);
}

void Producers::truncate(Offset end) {
  for (auto it = producers_.begin(); it != producers_.end();) {
    Entry& entry = it->second;
    while (!entry.empty() && entry.back().base >= end) entry.pop_back();
    it = entry.empty() ? producers_.erase(it) : std::next(it);
  }
}

std::vector<Producers::Batch> Producers::cached(ProducerId id) const {
  auto found = producers_.find(id);
  if (found == producers_.end()) return {};
  auto known = counted(found->second);
  return {known.begin(), known.end()};
}

int16_t Producers::epoch(ProducerId id) const {
  auto found = producers_.find(id);
  return found == producers_.end() ? int16_t{-1} : found->second.back().producer_epoch;
}

}  // namespace sg::replica
