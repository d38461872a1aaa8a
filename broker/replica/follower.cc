#include "broker/replica/follower.h"

#include <algorithm>

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::replica {

Follower::Follower(StreamId stream, const Config& config, ReplicaLog& log, uint64_t& last_subscription, NodeId leader,
                   LeaderEpoch leader_epoch, BrokerEpoch own)
    : stream_(stream),
      config_(config),
      log_(log),
      last_subscription_(last_subscription),
      leader_(leader),
      leader_epoch_(leader_epoch),
      own_(own) {}

void Follower::ask(Time now, Output& out) {
  phase_ = Phase::asking;
  retry_at_ = now + config_.subscribe_timeout;
  ++last_subscription_;
  out.add(Send{leader_, Subscribe{stream_, leader_epoch_, own_, last_subscription_, log_.log_end(), log_.epochs().last()}});
}

void Follower::session_opened(Time now, Output& out) { ask(now, out); }

void Follower::session_closed() {
  phase_ = Phase::disconnected;
  retry_at_ = Time::never();
}

// The one place where what belongs to another epoch or subscription is recognised.
bool Follower::is_current(LeaderEpoch leader_epoch, uint64_t subscription) const {
  bool live = phase_ == Phase::asking || phase_ == Phase::streaming;
  return live && leader_epoch == leader_epoch_ && subscription == last_subscription_;
}

Result<> Follower::check(const Data& message, std::span<const Descriptor> batches) const {
  if (batches.size() != message.batch_bytes.size())
    return fail(Errc::invalid,
                fmt::format("stream {}: {} batches announced, {} came", stream_, message.batch_bytes.size(), batches.size()));
  Offset next = log_.log_end();
  LeaderEpoch epoch = log_.epochs().last();
  for (const Descriptor& batch : batches) {
    if (batch.base != next || batch.end() <= batch.base)
      return fail(Errc::invalid, fmt::format("stream {}: expected a batch at {}, found [{}, {})", stream_, next, batch.base, batch.end()));
    if (batch.epoch < epoch || batch.epoch > leader_epoch_ || batch.epoch < LeaderEpoch(0))
      return fail(Errc::invalid, fmt::format("stream {}: a batch of epoch {} behind epoch {} under leader epoch {}", stream_, batch.epoch,
                                             epoch, leader_epoch_));
    next = batch.end();
    epoch = batch.epoch;
  }
  return {};
}

Result<> Follower::data(Time, const Data& message, std::span<const Descriptor> batches, Output& out) {
  if (!is_current(message.leader_epoch, message.subscription)) {
    REACHED("replica: stale data dropped");
    return {};
  }
  TRY_DO(check(message, batches));
  bool first = phase_ == Phase::asking;
  phase_ = Phase::streaming;
  retry_at_ = Time::never();
  if (!batches.empty()) {
    Offset from = log_.log_end();
    for (const Descriptor& batch : batches) log_.append(batch);
    out.add(Write{from, log_.log_end(), log_.generation()});
  }
  log_.raise_high_watermark(std::min(message.high_watermark, log_.log_end()));
  log_.raise_log_start(message.log_start);
  // The first Data says that the logs fit: only now does what is on the disk here count.
  if (first) acknowledge(out);
  return {};
}

Result<> Follower::diverged(Time now, const Diverged& message, Output& out) {
  if (!is_current(message.leader_epoch, message.subscription) || phase_ != Phase::asking) return {};
  // KIP-279: where this log lacks that epoch too, the largest one below it decides, and the next question is about that one.
  EpochEnd own = log_.end_of(message.epoch);
  Offset to = own.epoch == message.epoch ? std::min(own.end, message.end_offset) : own.end;
  if (to >= log_.log_end())
    return fail(Errc::invalid, fmt::format("stream {}: diverged at epoch {} end {}, which fits a log that ends at {}", stream_,
                                           message.epoch, message.end_offset, log_.log_end()));
  if (to < log_.high_watermark())
    return fail(Errc::corrupt, fmt::format("stream {}: node {} leads epoch {} with a log that parts from this one at {}, below the high "
                                           "watermark {} known here: committed records are missing there",
                                           stream_, leader_, leader_epoch_, to, log_.high_watermark()));
  REACHED("replica: truncated by epoch");
  log_.truncate(to);
  out.add(Truncate{to, leader_epoch_, log_.generation()});
  ask(now, out);
  return {};
}

Result<> Follower::refused(Time now, const Refused& message) {
  // Its epoch is the leader's own, which may be any: the subscription alone says whether this is the answer to the newest question.
  if (phase_ != Phase::asking || message.subscription != last_subscription_) return {};
  if (message.reason == RefuseReason::holds_less && message.leader_epoch == leader_epoch_)
    return fail(Errc::corrupt,
                fmt::format("stream {}: node {} leads epoch {} and has counted more from this directory than it holds (its log "
                            "ends at {}): records that it had acknowledged are missing",
                            stream_, leader_, leader_epoch_, log_.log_end()));
  phase_ = Phase::pausing;
  retry_at_ = now + config_.subscribe_retry;
  return {};
}

void Follower::acknowledge(Output& out) {
  out.add(Send{leader_, Ack{stream_, leader_epoch_, own_, last_subscription_, log_.durable_end()}});
}

void Follower::durable(Output& out) {
  if (phase_ == Phase::streaming) acknowledge(out);
}

void Follower::wake(Time now, Output& out) {
  if (now >= retry_at_) ask(now, out);
}

void Follower::resign(Output& out) {
  if (phase_ != Phase::disconnected) out.add(Send{leader_, Unsubscribe{stream_, last_subscription_}});
}

}  // namespace sg::replica
