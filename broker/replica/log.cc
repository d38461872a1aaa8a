#include "broker/replica/log.h"

#include <algorithm>

#include "base/ensure.h"

namespace sg::replica {

ReplicaLog::ReplicaLog(Offset log_start, Offset high_watermark_mark)
    : log_start_(log_start), log_end_(log_start), durable_end_(log_start), high_watermark_(log_start), mark_(high_watermark_mark) {}

void ReplicaLog::recover(const Descriptor& batch) {
  ENSURE(generation_ == 0 && durable_end_ == log_end_, "recovery at {} after the log was used", batch.base);
  high_watermark_ = std::max(high_watermark_, std::min(mark_, batch.end()));
  append(batch);
  durable_end_ = log_end_;
}

void ReplicaLog::append(const Descriptor& batch) {
  ENSURE(batch.base == log_end_, "a batch at {} where the log ends at {}", batch.base, log_end_);
  ENSURE(batch.end() > batch.base, "an empty batch at {}", batch.base);
  epochs_.append(batch.epoch, batch.base);
  producers_.fold(batch, high_watermark_);
  log_end_ = batch.end();
}

void ReplicaLog::truncate(Offset to) {
  ENSURE(to >= high_watermark_ && to <= log_end_, "truncation to {} of a log that is committed to {} and ends at {}", to, high_watermark_,
         log_end_);
  epochs_.truncate(to);
  producers_.truncate(to);
  log_end_ = to;
  durable_end_ = std::min(durable_end_, to);
  ++generation_;
}

bool ReplicaLog::durable(uint64_t generation, Offset end) {
  ENSURE(generation <= generation_, "durable in generation {}, the newest is {}", generation, generation_);
  if (generation < generation_ || end <= durable_end_) return false;
  ENSURE(end <= log_end_, "durable to {} where the log ends at {}", end, log_end_);
  durable_end_ = end;
  return true;
}

bool ReplicaLog::raise_high_watermark(Offset to) {
  ENSURE(to <= log_end_, "high watermark {} where the log ends at {}", to, log_end_);
  if (to <= high_watermark_) return false;
  high_watermark_ = to;
  return true;
}

void ReplicaLog::raise_log_start(Offset to) { log_start_ = std::max(log_start_, std::min({to, high_watermark_, durable_end_})); }

}  // namespace sg::replica
