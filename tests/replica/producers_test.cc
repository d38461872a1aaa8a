// Idempotent producers: a table of verdicts, and a twin that folds the whole log anew for every question.
#include "broker/replica/producers.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <limits>
#include <tuple>

namespace sg::replica {
namespace {

constexpr int32_t kMax = std::numeric_limits<int32_t>::max();

BatchInfo batch(int32_t sequence, int32_t records, int16_t epoch = 0, int64_t id = 7) {
  return {.record_count = records,
          .last_offset_delta = records - 1,
          .producer_id = ProducerId(id),
          .producer_epoch = epoch,
          .base_sequence = sequence};
}

// Appends as a leader would, one batch behind the other.
struct Log {
  Producers producers;
  std::vector<Descriptor> batches;
  Offset high_watermark;

  Offset end() const { return batches.empty() ? Offset(0) : batches.back().end(); }
  void append(const BatchInfo& b) {
    batches.push_back({end(), LeaderEpoch(0), b});
    producers.fold(batches.back(), high_watermark);
  }
  Outcome check(const BatchInfo& b) const { return producers.check(b).outcome; }
};

TEST_CASE("given five batches, a repetition of any is a duplicate with the original offset, and of an older one is out of order") {
  Log log;
  for (int k = 0; k < 6; ++k) log.append(batch(k * 10, 10));
  log.high_watermark = log.end();
  for (int k = 1; k < 6; ++k) {
    auto verdict = log.producers.check(batch(k * 10, 10));
    CHECK(verdict.outcome == Outcome::duplicate);
    CHECK(verdict.base == Offset(k * 10));
    CHECK(verdict.end == Offset(k * 10 + 10));
  }
  CHECK(log.check(batch(0, 10)) == Outcome::out_of_order_sequence);
}

TEST_CASE("given a producer at sequence 20, only sequence 20 goes on") {
  Log log;
  log.append(batch(0, 20));
  CHECK(log.check(batch(20, 1)) == Outcome::ok);
  CHECK(log.check(batch(21, 1)) == Outcome::out_of_order_sequence);
  CHECK(log.check(batch(10, 10)) == Outcome::out_of_order_sequence);  // overlaps, and is no repetition
  CHECK(log.check(batch(0, 19)) == Outcome::out_of_order_sequence);
  CHECK(log.check(batch(-1, 1)) == Outcome::out_of_order_sequence);
}

TEST_CASE("given sequences near the wrap, 2^31 - 1 is followed by 0, inside a batch and between two") {
  CHECK(sequence_after(kMax, 1) == 0);
  CHECK(sequence_after(kMax - 1, 3) == 1);
  CHECK(sequence_after(kMax, 0) == kMax);
  Log log;
  log.append(batch(kMax - 2, 3));
  CHECK(log.check(batch(0, 5)) == Outcome::ok);
  log.append(batch(0, 5));
  log.append(batch(5, 1));
  CHECK(log.check(batch(kMax - 2, 3)) == Outcome::duplicate);

  Log across;
  across.append(batch(kMax - 1, 4));
  CHECK(across.check(batch(2, 1)) == Outcome::ok);
  CHECK(across.check(batch(kMax - 1, 4)) == Outcome::duplicate);
}

TEST_CASE("given epoch 3, an older epoch is fenced, and a newer one starts at 0") {
  Log log;
  log.append(batch(0, 5, 3));
  CHECK(log.check(batch(5, 1, 2)) == Outcome::invalid_producer_epoch);
  CHECK(log.check(batch(5, 1, 4)) == Outcome::out_of_order_sequence);
  CHECK(log.check(batch(0, 5, 4)) == Outcome::ok);
  log.append(batch(0, 5, 4));
  CHECK(log.check(batch(0, 5, 4)) == Outcome::duplicate);
  CHECK(log.check(batch(0, 5, 3)) == Outcome::invalid_producer_epoch);
}

TEST_CASE("given a control batch of a newer epoch, that epoch starts at 0 and the older one is fenced") {
  Log log;
  log.append(batch(0, 5, 1));
  BatchInfo control = batch(-1, 1, 2);
  control.control = true;
  log.append(control);
  CHECK(log.producers.epoch(ProducerId(7)) == 2);
  CHECK(log.check(batch(5, 1, 1)) == Outcome::invalid_producer_epoch);
  CHECK(log.check(batch(5, 1, 2)) == Outcome::out_of_order_sequence);
  CHECK(log.check(batch(0, 1, 2)) == Outcome::ok);
}

TEST_CASE("given no state, any sequence is unknown and none is a gap; given the first batch, only the next one follows") {
  Log log;
  CHECK(log.check(batch(0, 1)) == Outcome::producer_unknown);
  CHECK(log.check(batch(5, 1)) == Outcome::producer_unknown);
  CHECK(log.check(batch(-1, 1)) == Outcome::out_of_order_sequence);
  log.append(batch(5, 1));
  CHECK(log.check(batch(6, 1)) == Outcome::ok);
  CHECK(log.check(batch(7, 1)) == Outcome::out_of_order_sequence);
  CHECK(log.check(batch(4, 1)) == Outcome::out_of_order_sequence);  // a lower one after a higher is never appended
  CHECK(log.check(batch(0, 1)) == Outcome::out_of_order_sequence);
}

TEST_CASE("given a truncated batch, its sequence is the next one again") {
  Log log;
  log.append(batch(0, 5));
  log.append(batch(5, 5));
  log.producers.truncate(Offset(5));
  CHECK(log.check(batch(5, 5)) == Outcome::ok);
  log.producers.truncate(Offset(0));
  CHECK(log.producers.size() == 0);
  CHECK(log.check(batch(5, 5)) == Outcome::producer_unknown);
}

// Folds all that is left of the log, every time, and keeps the five newest of the newest epoch.
std::vector<Producers::Batch> dumb_fold(const std::vector<Descriptor>& log, ProducerId id) {
  std::vector<Producers::Batch> cached;
  for (const Descriptor& d : log) {
    if (d.info.producer_id != id) continue;
    bool newer = cached.empty() || d.info.producer_epoch != cached.back().producer_epoch;
    if (newer) cached.clear();
    bool control = d.info.base_sequence < 0;
    if (control && !newer) continue;
    int64_t last = int64_t{d.info.base_sequence} + d.info.last_offset_delta;
    if (last > kMax) last -= int64_t{kMax} + 1;
    cached.push_back({d.info.base_sequence, control ? -1 : static_cast<int32_t>(last), d.info.producer_epoch, d.base, d.end()});
    if (cached.size() > 5) cached.erase(cached.begin());
  }
  return cached;
}

TEST_CASE("given any log and any truncation above the high watermark, the state is the fold of what is left") {
  CHECK(rc::check([](const std::vector<std::tuple<uint8_t, uint8_t, uint8_t>>& steps) {
    Log log;
    std::array<int16_t, 3> epochs{};
    std::array<int32_t, 3> next{kMax - 5, 0, 0};
    for (auto [kind, who, amount] : steps) {
      size_t p = who % 3;
      if (kind % 8 == 0) {  // commit some
        for (const Descriptor& d : log.batches)
          if (d.base.v <= log.end().v * amount / 255) log.high_watermark = std::max(log.high_watermark, d.end());
      } else if (kind % 8 == 1) {  // truncate some of what is not committed
        int64_t open = log.end() - log.high_watermark;
        Offset to = log.high_watermark + open * amount / 255;
        while (!log.batches.empty() && log.batches.back().base >= to) log.batches.pop_back();
        log.producers.truncate(log.end());
        if (log.end() < log.high_watermark) log.high_watermark = log.end();
      } else if (kind % 8 == 2) {
        ++epochs[p];
        next[p] = 0;
        if (amount % 2 == 0) log.append(batch(-1, 1, epochs[p], static_cast<int64_t>(p)));
      } else {
        int32_t records = 1 + amount % 4;
        log.append(batch(next[p], records, epochs[p], static_cast<int64_t>(p)));
        next[p] = sequence_after(next[p], records);
      }
      for (int64_t id = 0; id < 3; ++id) RC_ASSERT(log.producers.cached(ProducerId(id)) == dumb_fold(log.batches, ProducerId(id)));
    }
    Producers again;
    again.rebuild(log.batches, log.high_watermark);
    for (int64_t id = 0; id < 3; ++id) RC_ASSERT(again.cached(ProducerId(id)) == log.producers.cached(ProducerId(id)));
  }));
}

}  // namespace
}  // namespace sg::replica
