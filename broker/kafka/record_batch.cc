#include "broker/kafka/record_batch.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace sg::kafka {

namespace {

constexpr size_t kMagicAt = 16;  // in every format so far
constexpr size_t kCrcAt = 17;
constexpr size_t kAttributesAt = 21;
constexpr size_t kMaxTimestampAt = 35;
constexpr int16_t kLogAppendTimeBit = 0x08;

template <class... Args>
BatchFault fault(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return {code, fmt::format(format, std::forward<Args>(args)...)};
}

// The whole length that a batch claims in its prefix.
int64_t claimed_bytes(ByteSpan prefix) { return int64_t{load_be<int32_t>(prefix.data() + 8)} + static_cast<int64_t>(kBatchPrefixBytes); }

// Exactly one whole batch of our format.
BatchFault check_frame(ByteSpan records) {
  if (records.empty()) return fault(ErrorCode::invalid_record, "no record batch, expected one");
  // A message set of an old format may be shorter than our header: its magic says so before its length can.
  if (records.size() > kMagicAt && static_cast<int8_t>(records[kMagicAt]) != kBatchMagic)
    return fault(ErrorCode::invalid_record, "magic {}, expected {}", static_cast<int8_t>(records[kMagicAt]), kBatchMagic);
  if (records.size() < kBatchHeaderBytes)
    return fault(ErrorCode::corrupt_message, "{} bytes, expected a batch header of {}", records.size(), kBatchHeaderBytes);
  int64_t claimed = claimed_bytes(records);
  if (claimed < static_cast<int64_t>(kBatchHeaderBytes) || claimed > static_cast<int64_t>(records.size()))
    return fault(ErrorCode::corrupt_message, "the batch claims {} bytes, {} are there", claimed, records.size());
  if (claimed < static_cast<int64_t>(records.size()))
    return fault(ErrorCode::invalid_record, "{} bytes behind the batch, expected exactly one batch",
                 static_cast<int64_t>(records.size()) - claimed);
  return {};
}

BatchFault check_counts(const BatchView& batch) {
  if (batch.record_count() <= 0) return fault(ErrorCode::invalid_record, "{} records, expected at least one", batch.record_count());
  if (batch.last_offset_delta() != batch.record_count() - 1) {
    return fault(ErrorCode::invalid_record, "last offset delta {}, expected {} with {} records", batch.last_offset_delta(),
                 batch.record_count() - 1, batch.record_count());
  }
  size_t most = batch.records().size() / kMinRecordBytes;
  if (batch.compression() == Compression::none && static_cast<size_t>(batch.record_count()) > most)
    return fault(ErrorCode::invalid_record, "{} records in {} bytes, which hold at most {}", batch.record_count(), batch.records().size(),
                 most);
  return {};
}

BatchFault check_attributes(const BatchView& batch, int16_t version) {
  if (batch.compression() > Compression::zstd)
    return fault(ErrorCode::unsupported_compression_type, "compression codec {} is unknown", static_cast<int>(batch.compression()));
  if (batch.compression() == Compression::zstd && version < 7)
    return fault(ErrorCode::unsupported_compression_type, "zstd in a Produce request v{}, expected v7 or later (KIP-110)", version);
  if (batch.is_control()) return fault(ErrorCode::invalid_record, "a control batch from a client");
  if (batch.is_log_append_time()) return fault(ErrorCode::invalid_timestamp, "timestamp type LogAppendTime, which only a broker sets");
  return {};
}

BatchFault check_producer(const BatchView& batch) {
  if (!batch.has_producer_id()) {
    if (batch.is_transactional()) return fault(ErrorCode::invalid_record, "a transactional batch without a producer id");
    return {};
  }
  if (batch.producer_id().v < 0 || batch.producer_epoch() < 0 || batch.base_sequence() < 0) {
    return fault(ErrorCode::invalid_record, "producer id {}, epoch {}, base sequence {}: none may be negative", batch.producer_id().v,
                 batch.producer_epoch(), batch.base_sequence());
  }
  return {};
}

}  // namespace

bool BatchView::crc_holds() const { return crc32c(bytes_.subspan(kAttributesAt)) == crc(); }

BatchFault validate_produced(ByteSpan records, int16_t version) {
  if (auto found = check_frame(records)) return found;
  BatchView batch(records);
  // Before anything the checksum covers is believed.
  if (!batch.crc_holds())
    return fault(ErrorCode::corrupt_message, "checksum {:08x} does not hold over {} bytes", batch.crc(), records.size());
  if (auto found = check_attributes(batch, version)) return found;
  if (auto found = check_counts(batch)) return found;
  return check_producer(batch);
}

Result<SplitBatches> split_batches(const SharedBytes& run) {
  SplitBatches split;
  while (run.size() - split.used >= kBatchPrefixBytes) {
    int64_t claimed = claimed_bytes(run.span().subspan(split.used));
    if (claimed < static_cast<int64_t>(kBatchHeaderBytes))
      return fail(Errc::corrupt, fmt::format("a batch of {} bytes at byte {} of {}", claimed, split.used, run.size()));
    size_t size = static_cast<size_t>(claimed);
    if (size > run.size() - split.used) break;
    split.batches.push_back(run.slice(split.used, size));
    split.used += size;
  }
  return split;
}

void stamp_batch(MutableByteSpan batch, Offset base_offset, LeaderEpoch partition_leader_epoch) {
  ENSURE(batch.size() >= kBatchHeaderBytes, "{} bytes are no batch", batch.size());
  store_be<int64_t>(batch.data(), base_offset.v);
  store_be<int32_t>(batch.data() + 12, partition_leader_epoch.v);
}

void stamp_log_append_time(MutableByteSpan batch, int64_t timestamp_ms) {
  ENSURE(batch.size() >= kBatchHeaderBytes, "{} bytes are no batch", batch.size());
  auto attributes = static_cast<int16_t>(BatchView(batch).attributes() | kLogAppendTimeBit);
  store_be<int16_t>(batch.data() + kAttributesAt, attributes);
  store_be<int64_t>(batch.data() + kMaxTimestampAt, timestamp_ms);
  store_be<uint32_t>(batch.data() + kCrcAt, crc32c(batch.subspan(kAttributesAt)));
}

}  // namespace sg::kafka
