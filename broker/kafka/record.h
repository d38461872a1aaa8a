// Single records, for those who make and read them: clients, workloads, checks, tests. The broker itself never looks into a batch.
// A record in a v2 batch: varint length, attributes, varlong timestamp delta, varint offset delta, key, value, headers; each of these
// a varint length (-1 = null) and bytes (KIP-98). Uncompressed batches only.
#pragma once

#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "broker/kafka/record_batch.h"

namespace sg::kafka {

// Borrows its bytes: from the batch that was read, or from whoever builds one.
struct Record {
  struct Header {
    ByteSpan key;
    std::optional<ByteSpan> value;
  };

  Offset offset;              // written: base offset + its index, whatever stands here
  int64_t timestamp_ms = -1;  // since the Unix epoch
  std::optional<ByteSpan> key;
  std::optional<ByteSpan> value;
  std::vector<Header> headers;
};

// Who appends, for idempotence: the first record's sequence number; the others count on from it.
struct BatchProducer {
  ProducerId id = kNoProducerId;
  int16_t epoch = -1;
  int32_t base_sequence = -1;
  bool transactional = false;
};

// Collects records into one batch with base offset 0 and leader epoch -1, as a producer sends it.
class BatchBuilder {
 public:
  explicit BatchBuilder(BatchProducer producer = {}) : producer_(producer) {}

  // Copies the record's bytes.
  void add(const Record& record);

  int32_t record_count() const { return count_; }
  // Of the batch as it stands.
  size_t size_bytes() const { return kBatchHeaderBytes + records_.size(); }

  // The batch, checksum included. At least one record was added. The builder is empty again afterwards; an idempotent producer's
  // next batch follows in sequence (which wraps from 2^31 - 1 to 0).
  SharedBytes finish();

 private:
  BatchProducer producer_;
  ByteVec records_;
  ByteVec scratch_;
  int32_t count_ = 0;
  int64_t base_timestamp_ = 0;
  int64_t max_timestamp_ = 0;
};

// The records of one whole batch, with absolute offsets and timestamps. `batch` outlives them.
// Errc::corrupt: magic, length, checksum, or the records themselves. Errc::unsupported: compressed.
Result<std::vector<Record>> read_records(ByteSpan batch);

}  // namespace sg::kafka
