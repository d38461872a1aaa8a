// What a replica knows of its own log, without its bytes: where it begins and ends, what of it is on the disk, what of it is committed
// as far as known here, its epochs and its producers.
//
// Invariant: log_start <= high_watermark <= log_end and log_start <= durable_end <= log_end. The high watermark never goes back, and
// nothing below it is ever truncated (so what was read stays true).
#pragma once

#include "broker/replica/batch.h"
#include "broker/replica/epochs.h"
#include "broker/replica/producers.h"

namespace sg::replica {

class ReplicaLog {
 public:
  // A log that begins at `log_start`. `high_watermark_mark`: the newest high watermark that the journal kept, a lower bound of the true
  // one.
  ReplicaLog(Offset log_start, Offset high_watermark_mark);

  // A batch that recovery found, in log order, before anything else happens. It is durable.
  void recover(const Descriptor& batch);

  // batch.base == log_end(); its epoch is not below that of the last record.
  void append(const Descriptor& batch);

  // high_watermark() <= to <= log_end().
  void truncate(Offset to);

  // The journal's word: everything below `end` is durable. Of an older generation than the newest truncation: ignored, since the
  // truncation itself will report. True if durable_end moved.
  bool durable(uint64_t generation, Offset end);

  // Never back, never beyond the log's end: true if it moved.
  bool raise_high_watermark(Offset to);

  // Records below `to` are not wanted any more; only what is committed and durable here goes.
  void raise_log_start(Offset to);

  Offset log_start() const { return log_start_; }
  Offset log_end() const { return log_end_; }
  Offset durable_end() const { return durable_end_; }
  Offset high_watermark() const { return high_watermark_; }
  // Grows with each truncation: tells the journal's reports about the old tail from those about the new one.
  uint64_t generation() const { return generation_; }
  const Epochs& epochs() const { return epochs_; }
  const Producers& producers() const { return producers_; }
  EpochEnd end_of(LeaderEpoch epoch) const { return epochs_.end_of(epoch, log_start_, log_end_); }

 private:
  Offset log_start_;
  Offset log_end_;
  Offset durable_end_;
  Offset high_watermark_;
  Offset mark_;
  uint64_t generation_ = 0;
  Epochs epochs_;
  Producers producers_;
};

}  // namespace sg::replica
