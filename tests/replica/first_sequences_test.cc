// Where a producer without state may begin: refused once, taken when it returns and nothing lower was seen; bounded.
#include "broker/replica/first_sequences.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "broker/replica/producers.h"

namespace sg::replica {
namespace {

constexpr int32_t kMax = std::numeric_limits<int32_t>::max();

BatchInfo batch(int32_t sequence, int64_t id = 7, int16_t epoch = 0) {
  return {.record_count = 1, .last_offset_delta = 0, .producer_id = ProducerId(id), .producer_epoch = epoch, .base_sequence = sequence};
}

struct Memory {
  FirstSequences first;
  Time now{};
  bool ask(int32_t sequence, int64_t id = 7, int16_t epoch = 0) { return first.may_begin(now, batch(sequence, id, epoch)); }
};

TEST_CASE("given a producer never seen, sequence 0 begins at once, and any other at its second try") {
  Memory m;
  CHECK(m.ask(0));
  CHECK(m.first.size() == 0);
  CHECK(!m.ask(5));
  CHECK(!m.ask(5, 8));  // another producer
  CHECK(m.ask(5));
  CHECK(m.ask(5));  // refused for another reason, it comes again
  m.first.begun(ProducerId(7));
  CHECK(!m.ask(5));
}

TEST_CASE("given batches 10 and 11, when the second comes first, then the first begins") {
  Memory m;
  CHECK(!m.ask(11));
  CHECK(!m.ask(10));
  CHECK(!m.ask(11));
  CHECK(m.ask(10));

  Memory from_zero;
  CHECK(!from_zero.ask(1));
  CHECK(from_zero.ask(0));
}

TEST_CASE("given a sequence seen just before the wrap, then 0 comes after it") {
  Memory m;
  CHECK(!m.ask(kMax - 1));
  CHECK(!m.ask(0));
  CHECK(!m.ask(3));
  CHECK(m.ask(kMax - 1));
  Memory reversed;
  CHECK(!reversed.ask(3));
  CHECK(!reversed.ask(kMax));
  CHECK(!reversed.ask(3));
  CHECK(reversed.ask(kMax));
}

TEST_CASE("given two epochs of a producer, then the newer counts") {
  Memory m;
  CHECK(!m.ask(5, 7, 1));
  CHECK(!m.ask(9, 7, 2));
  CHECK(!m.ask(5, 7, 1));
  CHECK(!m.ask(5, 7, 1));
  CHECK(m.ask(9, 7, 2));
  CHECK(m.ask(0, 7, 3));
}

TEST_CASE("given as many producers as are remembered, then others wait until one begins or was silent for long") {
  Memory m;
  for (int64_t id = 0; id < static_cast<int64_t>(FirstSequences::kProducers); ++id) CHECK(!m.ask(5, id));
  const int64_t one_more = FirstSequences::kProducers;
  CHECK(!m.ask(5, one_more));
  CHECK(!m.ask(5, one_more));
  CHECK(m.first.size() == FirstSequences::kProducers);
  CHECK(m.ask(0, one_more + 1));  // needs no memory
  m.first.begun(ProducerId(3));
  CHECK(!m.ask(5, one_more));
  CHECK(m.ask(5, one_more));

  m.now = m.now + FirstSequences::kForgotten;
  for (int64_t id = 1; id <= one_more; ++id)
    if (id != 3) CHECK(m.ask(5, id));
  CHECK(!m.ask(5, one_more + 2));  // in the place of producer 0
  CHECK(m.ask(5, one_more + 2));
  CHECK(!m.ask(5, 0));
  CHECK(!m.ask(5, 0));
  CHECK(m.first.size() == FirstSequences::kProducers);
}

TEST_CASE("given a gap, then it is one at once for who was heard here, and at its second try for who was not") {
  Memory m;
  CHECK(m.first.is_gap(m.now, batch(5), false));
  CHECK(m.first.size() == 0);
  CHECK(!m.first.is_gap(m.now, batch(7), true));
  CHECK(!m.first.is_gap(m.now, batch(5), true));
  CHECK(!m.first.is_gap(m.now, batch(7), true));
  CHECK(m.first.is_gap(m.now, batch(5), true));
  m.first.begun(ProducerId(7));
  CHECK(m.first.is_gap(m.now, batch(7), false));
}

TEST_CASE("given a refused batch that is not sent again, then who waits for it waits a minute, and is heard at its second try") {
  Memory m;
  m.first.refused(m.now, batch(3));
  CHECK(!m.first.is_gap(m.now, batch(5), false));
  CHECK(!m.first.is_gap(m.now, batch(5), false));
  m.now = m.now + FirstSequences::kForgotten;
  CHECK(!m.first.is_gap(m.now, batch(5), false));
  CHECK(m.first.is_gap(m.now, batch(5), false));

  Memory unknown;
  CHECK(!unknown.ask(3));
  CHECK(!unknown.ask(5));
  unknown.now = unknown.now + FirstSequences::kForgotten;
  CHECK(!unknown.ask(5));
  CHECK(unknown.ask(5));
}

// As librdkafka does behind a time-out: at its new leader it may begin with any of the five, and sends everything unfinished, oldest first,
// when that is refused.
TEST_CASE("given a client that takes up with a later batch at each new leader, then nothing is called a gap, and all comes in order") {
  CHECK(rc::check([](const std::vector<uint8_t>& hasty) {
    constexpr int kBatches = 12;
    std::vector<int> log;
    Producers producers;
    FirstSequences memory;
    Offset epoch_start;
    auto offer = [&](int k) {
      BatchInfo b = batch(k);
      auto verdict = producers.check(b);
      if (verdict.outcome == Outcome::producer_unknown && memory.may_begin(Time{}, b)) verdict.outcome = Outcome::ok;
      if (verdict.outcome == Outcome::out_of_order_sequence) {
        const auto known = producers.cached(b.producer_id);
        RC_ASSERT(!memory.is_gap(Time{}, b, known.back().end <= epoch_start));
      }
      if (verdict.outcome != Outcome::ok) return false;
      producers.fold({Offset(k), LeaderEpoch(1), b}, Offset(k));
      memory.begun(b.producer_id);
      log.push_back(k);
      return true;
    };
    size_t round = 0;
    while (log.size() < kBatches) {
      const int open = static_cast<int>(log.size());
      if (round < hasty.size()) {  // a new leader
        memory = FirstSequences();
        epoch_start = Offset(open);
        const int first = open + hasty[round] % 5;
        ++round;
        if (first > open && first < kBatches) RC_ASSERT(!offer(first));
      }
      for (int k = open; k < std::min(open + 3, kBatches); ++k) offer(k);
      RC_ASSERT(round < hasty.size() || ++round < hasty.size() + 3 * kBatches);
    }
    for (int k = 0; k < kBatches; ++k) RC_ASSERT(log[static_cast<size_t>(k)] == k);
  }));
}

// A client as Kafka's are: up to five batches under way; after a refusal it waits for what is under way, and sends everything unfinished
// again, oldest first. The leader may change between any two batches; what went to the old one was appended by it, or came too late.
TEST_CASE("given one client and leaders that change, then every batch is appended once, in the order of its sequence") {
  CHECK(rc::check([](uint32_t first, const std::vector<uint8_t>& chances) {
    constexpr int kBatches = 12;
    const auto first_sequence = static_cast<int32_t>(first % (1u << 31) % (kMax - kBatches));
    std::vector<int> log;
    Producers producers;
    FirstSequences memory;
    for (size_t round = 0; log.size() < kBatches; ++round) {
      RC_ASSERT(round < chances.size() + 2 * kBatches);
      const uint8_t chance = round < chances.size() ? chances[round] : uint8_t{7};
      const int open = static_cast<int>(log.size());
      const int change_at = open + chance % 8;  // mostly after some of them, or not at all
      const bool too_late = chance & 8;
      for (int k = open; k < std::min(open + 5, kBatches); ++k) {
        if (k == change_at) memory = FirstSequences();
        if (k < change_at && change_at < open + 5 && too_late) continue;
        BatchInfo b = batch(sequence_after(first_sequence, k));
        auto verdict = producers.check(b);
        if (verdict.outcome == Outcome::producer_unknown && memory.may_begin(Time{}, b)) verdict.outcome = Outcome::ok;
        RC_ASSERT(verdict.outcome != Outcome::duplicate);
        RC_ASSERT(k > open || verdict.outcome != Outcome::out_of_order_sequence);  // what would end a client for good
        if (verdict.outcome != Outcome::ok) continue;
        producers.fold({Offset(static_cast<int64_t>(log.size())), LeaderEpoch(0), b}, Offset(0));
        memory.begun(b.producer_id);
        log.push_back(k);
      }
    }
    for (int k = 0; k < kBatches; ++k) RC_ASSERT(log[static_cast<size_t>(k)] == k);
  }));
}

}  // namespace
}  // namespace sg::replica
