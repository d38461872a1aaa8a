// Batches that no broker may take: each is one of ours with one thing wrong, and has one answer of who leads the partition.
#pragma once

#include <span>
#include <string_view>

#include "broker/kafka/errors.h"
#include "scenarios/history.h"

namespace sg::scenario {

inline constexpr size_t kUsualValue = 40;

// One record.
ByteVec one_record_batch(ValueId id, size_t value_size, int64_t timestamp_ms);

struct Flaw {
  std::string_view name;
  kafka::ErrorCode answer;
  void (*spoil)(ByteVec& batch);
  size_t value_bytes = kUsualValue;
};
std::span<const Flaw> flaws();

}  // namespace sg::scenario
