#include "broker/replica/progress.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace sg::replica {

Progress::Progress(NodeId node, const Uuid& directory, BrokerEpoch broker_epoch, Offset log_end, Time now)
    : node_(node), directory_(directory), broker_epoch_(broker_epoch), caught_up_(now), left_(now), mark_end_(log_end), mark_time_(now) {}

void Progress::follow(const Progress& earlier) {
  if (earlier.directory_ != directory_) return;
  promised_ = earlier.promised_;
  distrusted_ = earlier.distrusted_;
}

bool Progress::states_less(Offset common) {
  distrusted_ = distrusted_ || common < promised_;
  if (distrusted_) durable_end_.reset();
  return distrusted_;
}

void Progress::subscribe(uint64_t subscription, Offset offset) {
  ENSURE(!subscribed_);
  subscribed_ = true;
  subscription_ = subscription;
  next_ = offset;
  ENSURE(!distrusted_ && promised_ <= offset, "subscribed at {} after {} was acknowledged", offset, promised_);
  high_watermark_sent_ = Offset(0);
  news_due_ = true;  // an answer, if only an empty one: it tells that the logs fit
}

void Progress::unsubscribe(Time now) {
  if (std::exchange(subscribed_, false)) left_ = now;
  news_due_ = false;
  in_flight_.clear();
  bytes_in_flight_ = 0;
}

void Progress::sent(Offset end, uint64_t bytes, Offset high_watermark) {
  ENSURE(subscribed_ && end >= next_, "sent to {} after {}", end, next_);
  if (end > next_) {
    in_flight_.push_back({end, bytes});
    bytes_in_flight_ += bytes;
  }
  next_ = end;
  high_watermark_sent_ = high_watermark;
  news_due_ = false;
}

bool Progress::ack(Offset durable_end, Offset log_end, Time now) {
  ENSURE(durable_end <= next_ && durable_end <= log_end, "acknowledged {}, sent {}, log end {}", durable_end, next_, log_end);
  bool moved = !durable_end_ || durable_end > *durable_end_;
  if (moved) durable_end_ = durable_end;
  promised_ = std::max(promised_, durable_end);
  while (!in_flight_.empty() && in_flight_.front().end <= durable_end) {
    bytes_in_flight_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
  if (*durable_end_ == log_end) {
    caught_up_ = now;
  } else if (*durable_end_ >= mark_end_) {
    caught_up_ = std::max(caught_up_, mark_time_);
  } else {
    return moved;
  }
  mark_end_ = log_end;
  mark_time_ = now;
  return moved;
}

void Progress::before_append(Offset log_end, Time now) {
  if (durable_end_ == log_end) {
    caught_up_ = subscribed_ ? now : std::max(caught_up_, left_);
    mark_end_ = log_end;
    mark_time_ = now;
  }
}

Time Progress::behind_since(Offset log_end) const {
  if (durable_end_ != log_end) return caught_up_;
  return subscribed_ ? Time::never() : std::max(caught_up_, left_);
}

}  // namespace sg::replica
