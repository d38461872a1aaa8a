// What a replica knows of a record batch: the fields of its 61-byte header that replication needs (Kafka's RecordBatch v2). The bytes
// themselves never enter this folder.
#pragma once

#include "base/ids.h"

namespace sg::replica {

struct BatchInfo {
  int32_t record_count = 0;
  int32_t last_offset_delta = 0;  // >= record_count - 1; larger only where compaction has removed records
  ProducerId producer_id = kNoProducerId;
  int16_t producer_epoch = -1;
  int32_t base_sequence = -1;  // -1 where there is no producer id, and in control batches
  int64_t max_timestamp = -1;  // ms since the Unix epoch
  uint32_t bytes = 0;          // the whole batch, header included
  bool transactional = false;
  bool control = false;
};

// A batch with its place in the log.
struct Descriptor {
  Offset base;
  LeaderEpoch epoch;
  BatchInfo info;

  Offset end() const { return base + (int64_t{info.last_offset_delta} + 1); }  // exclusive
};

}  // namespace sg::replica
