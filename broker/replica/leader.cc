#include "broker/replica/leader.h"

#include <algorithm>

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::replica {

Leader::Leader(NodeId self, StreamId stream, const Config& config, ReplicaLog& log, const PartitionState& state, Standing standing,
               Time now)
    : self_(self),
      stream_(stream),
      config_(config),
      log_(log),
      state_(state),
      epoch_start_(log.log_end()),
      in_sync_(stream, state),
      standing_(standing) {
  ENSURE(state.leader == self);
  ENSURE(log.epochs().last() < state.leader_epoch, "leading in epoch {} with a record of epoch {}", state.leader_epoch,
         log.epochs().last());
  sync_peers(now);
}

// ------------------------------------------------------------------------------------------------------------------ the catalogue

void Leader::update(Time now, const PartitionState& state, Output& out) {
  now_ = now;
  state_ = state;
  in_sync_.update(state);
  sync_peers(now);
  // A smaller ISR may commit what waited for a member that is gone; a larger one may reach the minimum again.
  advance_high_watermark(now, out);
  consider_isr(now, out);
}

// Keeps what is known of a replica as long as it is the same registration of the same broker; and what it has promised, as long as it is
// the same copy.
void Leader::sync_peers(Time now) {
  std::vector<Progress> peers;
  for (const ReplicaState& r : state_.replicas) {
    if (r.node == self_) continue;
    Progress* known = find(r.node);
    if (known && known->broker_epoch() == r.broker_epoch) {
      peers.push_back(std::move(*known));
    } else {
      peers.emplace_back(r.node, r.directory, r.broker_epoch, log_.log_end(), now);
      if (known) peers.back().follow(*known);
    }
  }
  peers_ = std::move(peers);
}

void Leader::isr_refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Output& out) {
  now_ = now;
  in_sync_.refused(now, partition_epoch, why, config_.isr_retry);
  // An addition that will never be made no longer holds the high watermark back.
  advance_high_watermark(now, out);
}

void Leader::set_standing(Time now, Standing standing, Output& out) {
  now_ = now;
  standing_ = standing;
  out.add(WakeReaders{});
  let_go(now, out);
  consider_isr(now, out);
}

// Who waits for what this node may no longer say is told at once. Without a controller acks=all goes on for a while: the in-sync set may
// still be whole. What it needs more than that for is likely to be lost on a deposed leader, and its client had better look elsewhere.
void Leader::let_go(Time now, Output& out) {
  if (standing_ == Standing::registered) return;
  if (is_outside(standing_)) {
    durable_waits_.fail(Outcome::not_leader, out);
    commit_waits_.fail(Outcome::not_leader, out);
    return;
  }
  durable_waits_.fail(Outcome::controller_silent, out);
  commit_waits_.let_go(now - config_.silent_wait, Outcome::controller_silent, out);
}

// ------------------------------------------------------------------------------------------------------------------- in-sync set

bool Leader::lags(const Progress& peer, Time now) const {
  if (peer.distrusted()) return true;
  Time since = peer.behind_since(log_.log_end());
  return since != Time::never() && now >= since + config_.lag_time_max;
}

// Durable to the high watermark, so that it misses nothing committed; and to the start of this epoch, so that nothing an earlier leader
// committed, of which this one does not know yet that it was, is missing either.
bool Leader::may_join(const Progress& peer) const {
  const ReplicaState* replica = state_.replica(peer.node());
  return !replica->fenced && peer.durable_end() && *peer.durable_end() >= std::max(log_.high_watermark(), epoch_start_);
}

void Leader::consider_isr(Time now, Output& out) {
  if (standing_ != Standing::registered || !in_sync_.may_propose(now)) return;
  std::vector<IsrMember> wanted;
  bool changes = in_sync_.unsettled();
  for (const ReplicaState& r : state_.replicas) {
    bool is_member = state_.in_isr(r.node);
    bool stays = is_member;
    if (r.node != self_) {
      const Progress* peer = find(r.node);
      stays = is_member ? !lags(*peer, now) : may_join(*peer) && !lags(*peer, now);
    }
    changes |= stays != is_member;
    if (stays) wanted.push_back({r.node, r.broker_epoch});
  }
  if (changes) out.add(ProposeIsr{in_sync_.propose(std::move(wanted))});
}

// ---------------------------------------------------------------------------------------------------------------- high watermark

void Leader::advance_high_watermark(Time now, Output& out) {
  if (!in_sync_.enough()) return;
  Offset least = log_.durable_end();
  for (NodeId node : in_sync_.maximal()) {
    if (node == self_) continue;
    const Progress* peer = find(node);
    ENSURE(peer, "node {} is in the ISR and no replica", node);
    if (!peer->durable_end()) return;
    least = std::min(least, *peer->durable_end());
  }
  if (!log_.raise_high_watermark(least)) return;
  out.add(HighWatermarkMoved{least});
  commit_waits_.reach(least, out);
  bool anyone = std::ranges::any_of(peers_, &Progress::subscribed);
  if (anyone && news_at_ == Time::never()) news_at_ = now + config_.high_watermark_linger;
}

void Leader::durable(Time now, Output& out) {
  now_ = now;
  durable_waits_.reach(log_.durable_end(), out);
  advance_high_watermark(now, out);
}

// ------------------------------------------------------------------------------------------------------------------------ clients

Appended Leader::append(Time now, const BatchInfo& batch, Acks acks, Token token, Time deadline, bool log_full, Output& out) {
  now_ = now;
  auto refuse = [&](Outcome outcome) { return Appended{outcome, {}, state_.leader_epoch, log_.generation()}; };
  auto verdict = log_.producers().check(batch);
  if (verdict.outcome == Outcome::producer_unknown && first_sequences_.may_begin(now, batch)) verdict.outcome = Outcome::ok;
  Offset base = log_.log_end();
  Offset end = base + (int64_t{batch.last_offset_delta} + 1);
  if (verdict.outcome == Outcome::duplicate) {
    base = verdict.base;
    end = verdict.end;
    if (end > log_.high_watermark()) REACHED("replica: retry of a batch that is not committed yet");
  } else {
    // In silence another may lead, and have taken what is missing here.
    if (verdict.outcome != Outcome::ok && standing_ == Standing::silent) return refuse(Outcome::controller_silent);
    if (verdict.outcome == Outcome::out_of_order_sequence && !is_gap(now, batch)) return refuse(Outcome::earlier_awaited);
    if (verdict.outcome != Outcome::ok) return refuse(verdict.outcome);
    const bool alone = acks == Acks::all && !in_sync_.enough();
    if (alone || log_full) {
      first_sequences_.refused(now, batch);
      return refuse(alone ? Outcome::not_enough_replicas : Outcome::log_full);
    }
    for (Progress& peer : peers_) peer.before_append(log_.log_end(), now);
    log_.append({base, state_.leader_epoch, batch});
    first_sequences_.begun(batch.producer_id);
    for (const Progress& peer : peers_)
      if (next_to_send(peer.node())) out.add(WakeSender{peer.node()});
  }
  // A duplicate is answered when its original would be: the retry of a batch under way promises no more than the batch itself.
  if (acks == Acks::all) {
    commit_waits_.add(end, token, base, now, deadline);
    commit_waits_.reach(log_.high_watermark(), out);
  } else {
    durable_waits_.add(end, token, base, now, deadline);
    durable_waits_.reach(log_.durable_end(), out);
  }
  return {verdict.outcome, base, state_.leader_epoch, log_.generation()};
}

bool Leader::is_gap(Time now, const BatchInfo& batch) {
  if (batch.base_sequence < 0) return true;
  const auto known = log_.producers().cached(batch.producer_id);
  const bool is_new = !known.empty() && known.back().end <= epoch_start_;
  return first_sequences_.is_gap(now, batch, is_new);
}

OffsetAnswer Leader::latest() const {
  // Below the start of its epoch an earlier leader may have shown its clients more (KIP-207).
  if (log_.high_watermark() < epoch_start_) return {Outcome::offset_not_available, {}};
  return {Outcome::ok, log_.high_watermark()};
}

ReadAnswer Leader::read(const ReadFrom& from) const {
  const Offset bound = log_.high_watermark();
  if (from.last_epoch != kNoLeaderEpoch) {
    EpochEnd end = log_.end_of(from.last_epoch);
    if (end.epoch < from.last_epoch || end.end < from.offset) return {Outcome::ok, bound, end};
  }
  bool beyond = from.offset > log_.log_end() && bound >= epoch_start_;
  if (from.offset < log_.log_start() || beyond) return {Outcome::offset_out_of_range, bound, {}};
  return {Outcome::ok, bound, {}};
}

// ---------------------------------------------------------------------------------------------------------------------- followers

Progress* Leader::find(NodeId node) {
  auto it = std::ranges::find(peers_, node, &Progress::node);
  return it == peers_.end() ? nullptr : &*it;
}
const Progress* Leader::find(NodeId node) const { return const_cast<Leader*>(this)->find(node); }

void Leader::subscribe(Time now, NodeId from, const Subscribe& message, Output& out) {
  now_ = now;
  Progress* peer = find(from);
  ENSURE(peer && peer->broker_epoch() == message.broker_epoch && message.leader_epoch == state_.leader_epoch);
  peer->unsubscribe(now);
  if (message.offset < log_.log_start()) {
    out.add(Send{from, Refused{stream_, state_.leader_epoch, message.subscription, RefuseReason::offset_below_log_start}});
    return;
  }
  // Two logs that hold the same epoch at the same place are equal up to there: one leader per epoch wrote both.
  const bool empty = message.last_epoch == kNoLeaderEpoch && message.offset <= log_.log_end();
  const EpochEnd ours = log_.end_of(message.last_epoch);
  const bool fits = empty || (ours.epoch == message.last_epoch && ours.end >= message.offset);
  if (peer->states_less(fits ? message.offset : ours.end)) {
    REACHED("replica: a copy has come back with less than it had acknowledged");
    out.add(Send{from, Refused{stream_, state_.leader_epoch, message.subscription, RefuseReason::holds_less}});
    consider_isr(now, out);
    return;
  }
  if (!fits) {
    out.add(Send{from, Diverged{stream_, state_.leader_epoch, message.subscription, ours.epoch, ours.end}});
    return;
  }
  peer->subscribe(message.subscription, message.offset);
  out.add(WakeSender{from});
}

void Leader::unsubscribe(Time now, NodeId from, uint64_t subscription) {
  now_ = now;
  if (Progress* peer = find(from); peer && peer->subscription() == subscription) peer->unsubscribe(now);
}

void Leader::follower_lost(Time now, NodeId node) {
  now_ = now;
  if (Progress* peer = find(node)) peer->unsubscribe(now);
}

Result<> Leader::ack(Time now, NodeId from, const Ack& message, Output& out) {
  now_ = now;
  Progress* peer = find(from);
  bool current = peer && peer->subscribed() && peer->subscription() == message.subscription &&
                 peer->broker_epoch() == message.broker_epoch && message.leader_epoch == state_.leader_epoch;
  if (!current) return {};
  if (message.durable_end > peer->next() || message.durable_end > log_.log_end())
    return fail(Errc::invalid,
                fmt::format("node {} acknowledges {} of stream {}, and was sent {}", from, message.durable_end, stream_, peer->next()));
  bool had_room = peer->bytes_in_flight() < config_.window_bytes;
  bool moved = peer->ack(message.durable_end, log_.log_end(), now);
  if (!had_room && next_to_send(from)) out.add(WakeSender{from});
  if (moved) advance_high_watermark(now, out);
  if (!state_.in_isr(from)) consider_isr(now, out);
  return {};
}

std::optional<SendPlan> Leader::next_to_send(NodeId to) const {
  const Progress* peer = find(to);
  if (!peer || !peer->subscribed()) return std::nullopt;
  SendPlan plan{peer->next(), 0, state_.leader_epoch, peer->subscription()};
  bool data = peer->next() < log_.log_end() && peer->bytes_in_flight() < config_.window_bytes;
  if (data) plan.max_bytes = config_.window_bytes - peer->bytes_in_flight();
  if (!data && !peer->news_due()) return std::nullopt;
  return plan;
}

std::optional<Data> Leader::sent(NodeId to, const SendPlan& plan, Offset end, std::vector<uint32_t> batch_bytes) {
  Progress* peer = find(to);
  bool current = peer && peer->subscribed() && plan.leader_epoch == state_.leader_epoch && plan.subscription == peer->subscription() &&
                 plan.from == peer->next();
  if (!current) return std::nullopt;
  ENSURE(end >= plan.from && end <= log_.log_end(), "sent [{}, {}) of a log that ends at {}", plan.from, end, log_.log_end());
  ENSURE(batch_bytes.empty() == (end == plan.from), "{} batches for [{}, {})", batch_bytes.size(), plan.from, end);
  uint64_t bytes = 0;
  for (uint32_t b : batch_bytes) bytes += b;
  peer->sent(end, bytes, log_.high_watermark());
  return Data{stream_, state_.leader_epoch, plan.subscription, log_.high_watermark(), log_.log_start(), std::move(batch_bytes)};
}

// --------------------------------------------------------------------------------------------------------------------------- time

void Leader::wake(Time now, Output& out) {
  now_ = now;
  let_go(now, out);
  durable_waits_.expire(now, Outcome::request_timed_out, out);
  commit_waits_.expire(now, in_sync_.enough() ? Outcome::request_timed_out : Outcome::not_enough_replicas_after_append, out);
  if (now >= news_at_) {
    news_at_ = Time::never();
    for (Progress& peer : peers_) {
      if (!peer.subscribed() || peer.high_watermark_sent() >= log_.high_watermark()) continue;
      peer.make_news_due();
      out.add(WakeSender{peer.node()});
    }
  }
  consider_isr(now, out);
}

Time Leader::deadline() const {
  Time at = std::min({durable_waits_.deadline(), commit_waits_.deadline(), news_at_});
  if (standing_ == Standing::silent && commit_waits_.oldest() != Time::never())
    at = std::min(at, commit_waits_.oldest() + config_.silent_wait);
  if (standing_ != Standing::registered) return at;
  if (!in_sync_.may_propose(now_)) return std::min(at, in_sync_.retry_at(now_));
  for (const Progress& peer : peers_)
    if (state_.in_isr(peer.node()))
      if (Time since = peer.behind_since(log_.log_end()); since != Time::never()) at = std::min(at, since + config_.lag_time_max);
  return at;
}

void Leader::resign(Output& out) {
  durable_waits_.fail(Outcome::not_leader, out);
  commit_waits_.fail(Outcome::not_leader, out);
}

void Leader::describe(PartitionView& view) const {
  view.epoch_start = epoch_start_;
  view.isr = in_sync_.committed();
  view.maximal_isr = in_sync_.maximal();
  view.min_isr = in_sync_.min();
  view.waits_for_commit = commit_waits_.size();
  view.waits_for_leader = durable_waits_.size();
  for (const Progress& p : peers_) view.peers.push_back({p.node(), p.subscribed(), p.next(), p.durable_end(), p.bytes_in_flight()});
}

}  // namespace sg::replica
