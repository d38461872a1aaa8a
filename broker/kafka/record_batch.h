// The record batch, Kafka's format v2 (KIP-98): 61 bytes of header, then records, perhaps compressed. The broker never looks behind
// the header. Invariant: what validate_produced() lets pass has a checksum that holds and a header that agrees with itself.
//
//    0 base_offset 8 | 8 batch_length 4 (what follows it) | 12 partition_leader_epoch 4 | 16 magic 1 | 17 crc 4
//   21 attributes 2 | 23 last_offset_delta 4 | 27 base_timestamp 8 | 35 max_timestamp 8 | 43 producer_id 8 | 51 producer_epoch 2
//   53 base_sequence 4 | 57 record_count 4 | 61 records
//
// Big-endian. The CRC-32C covers everything from `attributes` on: base_offset and partition_leader_epoch can be stamped without it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

inline constexpr size_t kBatchHeaderBytes = 61;
inline constexpr size_t kBatchPrefixBytes = 12;  // base_offset and batch_length, which does not count them
inline constexpr int8_t kBatchMagic = 2;
// No key, no value, no headers: length, attributes, timestamp delta, offset delta, key length, value length, header count.
inline constexpr size_t kMinRecordBytes = 7;

enum class Compression : uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };  // 5-7 mean nothing

// The header of one batch. Borrows the bytes; of the records nothing is read but by crc_holds().
class BatchView {
 public:
  // `batch` is one whole batch, as split_batches() gives it: at least kBatchHeaderBytes.
  explicit BatchView(ByteSpan batch) : bytes_(batch) { ENSURE(batch.size() >= kBatchHeaderBytes, "{} bytes are no batch", batch.size()); }

  ByteSpan bytes() const { return bytes_; }
  ByteSpan records() const { return bytes_.subspan(kBatchHeaderBytes); }

  Offset base_offset() const { return Offset{at<int64_t>(0)}; }
  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  int32_t batch_length() const { return at<int32_t>(8); }
  LeaderEpoch partition_leader_epoch() const { return LeaderEpoch{at<int32_t>(12)}; }
  int8_t magic() const { return at<int8_t>(16); }
  uint32_t crc() const { return at<uint32_t>(17); }
  int16_t attributes() const { return at<int16_t>(21); }
  int32_t last_offset_delta() const { return at<int32_t>(23); }
  int64_t base_timestamp() const { return at<int64_t>(27); }  // ms since the Unix epoch
  int64_t max_timestamp() const { return at<int64_t>(35); }
  ProducerId producer_id() const { return ProducerId{at<int64_t>(43)}; }
  int16_t producer_epoch() const { return at<int16_t>(51); }
  int32_t base_sequence() const { return at<int32_t>(53); }
  int32_t record_count() const { return at<int32_t>(57); }

  Compression compression() const { return static_cast<Compression>(attributes() & 0x07); }
  bool is_log_append_time() const { return attributes() & 0x08; }
  bool is_transactional() const { return attributes() & 0x10; }
  bool is_control() const { return attributes() & 0x20; }
  bool has_producer_id() const { return producer_id() != kNoProducerId; }

  bool crc_holds() const;

 private:
  template <class T>
  T at(size_t offset) const {
    return load_be<T>(bytes_.data() + offset);
  }
  ByteSpan bytes_;
};

// What is wrong with a batch: a Kafka error and, for a person, what was found. Code `none`: nothing.
struct BatchFault {
  ErrorCode code = ErrorCode::none;
  std::string what;
  explicit operator bool() const { return code != ErrorCode::none; }
};

// The `records` of one partition of a Produce request in `version`: exactly one batch, whole, of magic 2, checksum right, header
// consistent; nothing that only a broker may write (control batches, log-append timestamps). The codes are those of Kafka's
// ProduceRequest.validateRecords and LogValidator:
//   CORRUPT_MESSAGE   length or checksum wrong          INVALID_RECORD     no batch, or more than one; magic; counts; producer fields
//   INVALID_TIMESTAMP log-append time set by a client   UNSUPPORTED_COMPRESSION_TYPE   an unknown codec, or zstd before version 7
// Size limits are the caller's. Cost: one pass for the checksum.
BatchFault validate_produced(ByteSpan records, int16_t version);

struct SplitBatches {
  std::vector<SharedBytes> batches;  // slices of the run, each one whole batch by its length
  size_t used = 0;                   // bytes of the run that they cover; the rest is the beginning of a batch that was cut off
};

// Cuts a run of batches by their length fields; header and checksum are not looked at.
// Errc::corrupt: a length that no batch can have, and where.
Result<SplitBatches> split_batches(const SharedBytes& run);

// Where the leader puts a batch. Outside the checksum.
void stamp_batch(MutableByteSpan batch, Offset base_offset, LeaderEpoch partition_leader_epoch);

// Makes all records of the batch carry the time of the append (message.timestamp.type = LogAppendTime); renews the checksum.
void stamp_log_append_time(MutableByteSpan batch, int64_t timestamp_ms);

}  // namespace sg::kafka
