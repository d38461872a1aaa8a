#include "broker/replica/partition.h"

#include <algorithm>

#include "base/ensure.h"
#include "base/probe.h"
#include "broker/replica/follower.h"
#include "broker/replica/leader.h"

namespace sg::replica {

Partition::Partition(NodeId self, StreamId stream, const Config& config, Offset log_start, Offset high_watermark)
    : self_(self), stream_(stream), config_(config), log_(log_start, high_watermark) {}
Partition::~Partition() = default;

// ------------------------------------------------------------------------------------------------------------------------- roles

void Partition::catalogue(Time now, BrokerEpoch own, const PartitionState& state, Output& out) {
  ENSURE(own >= own_epoch_, "broker epoch {} after {}", own, own_epoch_);
  if (state_ && (state.leader_epoch < state_->leader_epoch || state.partition_epoch < state_->partition_epoch)) return;
  bool same_role = state_ && own == own_epoch_ && state.leader == state_->leader && state.leader_epoch == state_->leader_epoch;
  // Who holds a role holds it under its current registration.
  const ReplicaState* self = state.replica(self_);
  bool mine = self && self->broker_epoch == own;
  same_role = same_role && mine == mine_;
  mine_ = mine;
  state_ = state;
  own_epoch_ = own;
  if (faulted_) return;
  if (!same_role) {
    step_down(out);
    if (mine) take_role(now, out);
    out.add(RoleChanged{role_, state.leader_epoch});
  }
  if (leading_) leading_->update(now, state, out);
  // Some may have heard the news before this node did.
  for (auto& [node, message] : std::exchange(early_, {})) subscribe(now, node, message, out);
}

void Partition::step_down(Output& out) {
  if (leading_) leading_->resign(out);
  if (following_) following_->resign(out);
  leading_.reset();
  following_.reset();
  role_ = Role::none;
}

void Partition::take_role(Time now, Output& out) {
  if (state_->leader == kNoNode) return;
  if (state_->leader == self_) {
    // An epoch is led once. Records of it that this run did not write come from an earlier one, which may have sent more than is here:
    // the controller has to choose again, under a new epoch.
    if (log_.epochs().last() >= state_->leader_epoch) {
      REACHED("replica: asked to lead an epoch for the second time");
      return;
    }
    if (newest_epoch_ > state_->leader_epoch) {
      REACHED("replica: asked to lead an epoch that is over");
      return;
    }
    role_ = Role::leader;
    leading_ = std::make_unique<Leader>(self_, stream_, config_, log_, *state_, standing_, now);
    return;
  }
  role_ = Role::follower;
  following_ = std::make_unique<Follower>(stream_, config_, log_, last_subscription_, state_->leader, state_->leader_epoch, own_epoch_);
  if (sessions_.contains(state_->leader)) following_->session_opened(now, out);
}

void Partition::fault(std::string why, Output& out) {
  step_down(out);
  faulted_ = true;
  out.add(Faulted{std::move(why)});
  out.add(RoleChanged{role_, leader_epoch()});
}

void Partition::damaged(Offset from, Offset to, Output& out) {
  if (faulted_) return;
  const Offset end = std::min(to, log_.log_end());
  fault(from < end ? fmt::format("records in [{}, {}) that were promised are missing from the journal", from, end)
                   : "records that were promised are missing from the journal, or may be",
        out);
}

// Whoever names a later epoch has it from the catalogue, which this node will hear too: until then it answers nobody.
void Partition::hear(LeaderEpoch epoch, Output& out) {
  newest_epoch_ = std::max(newest_epoch_, epoch);
  if (!leading_ || newest_epoch_ <= leader_epoch()) return;
  REACHED("replica: a leader hears of a later epoch before the catalogue tells it");
  step_down(out);
  out.add(RoleChanged{role_, leader_epoch()});
}

void Partition::isr_refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Output& out) {
  if (leading_) leading_->isr_refused(now, partition_epoch, why, out);
}

void Partition::standing(Time now, Standing standing, Output& out) {
  standing_ = standing;
  if (leading_) leading_->set_standing(now, standing, out);
}

// --------------------------------------------------------------------------------------------------------------- journal, clients

void Partition::durable(Time now, uint64_t generation, Offset end, Output& out) {
  if (!log_.durable(generation, end)) return;
  if (leading_) leading_->durable(now, out);
  if (following_) following_->durable(out);
}

Appended Partition::append(Time now, const BatchInfo& batch, Acks acks, Token token, Time deadline, Output& out) {
  ENSURE(batch.record_count > 0 && batch.last_offset_delta >= 0, "a batch of {} records, delta {}", batch.record_count,
         batch.last_offset_delta);
  const Verdict verdict = may({acks == Acks::all ? Question::append_all : Question::append});
  if (verdict.speech == Speech::nothing) return {verdict.error, {}, leader_epoch(), log_.generation()};
  return leading_->append(now, batch, acks, token, deadline, log_full_, out);
}

Verdict Partition::may(const Asked& asked) const {
  return may_speak({standing_, faulted_, leading_ != nullptr, leader_epoch(), newest_epoch_}, asked);
}

OffsetAnswer Partition::latest() const {
  const Verdict verdict = may({Question::look_up});
  return verdict.speech == Speech::nothing ? OffsetAnswer{verdict.error, {}} : leading_->latest();
}

ReadAnswer Partition::read(const ReadFrom& from) const {
  const Verdict verdict = may({Question::fetch, from.current_epoch, from.last_epoch});
  if (verdict.speech == Speech::nothing) return {verdict.error, {}, {}};
  ReadAnswer answer = leading_->read(from);
  const bool gives = answer.outcome == Outcome::ok && !answer.diverging && from.offset < answer.bound;
  if (verdict.speech == Speech::committed && !gives) return {verdict.error, {}, {}};
  return answer;
}

// --------------------------------------------------------------------------------------------------------------------- as leader

void Partition::subscribe(Time now, NodeId from, const Subscribe& message, Output& out) {
  ENSURE(message.stream == stream_);
  hear(message.leader_epoch, out);
  LeaderEpoch known = leader_epoch();
  const ReplicaState* replica = state_ ? state_->replica(from) : nullptr;
  bool ahead = message.leader_epoch > known || (replica && message.broker_epoch > replica->broker_epoch);
  early_.erase(from);
  if (ahead) {
    REACHED("replica: a subscription ahead of the catalogue waits");
    early_.emplace(from, message);
    return;
  }
  auto refuse = [&](RefuseReason why) { out.add(Send{from, Refused{stream_, known, message.subscription, why}}); };
  if (!leading_) return refuse(RefuseReason::not_leader);
  if (message.leader_epoch < known) return refuse(RefuseReason::fenced_leader_epoch);
  if (!replica || from == self_) return refuse(RefuseReason::not_a_replica);
  if (message.broker_epoch < replica->broker_epoch) return refuse(RefuseReason::stale_broker_epoch);
  leading_->subscribe(now, from, message, out);
}

void Partition::unsubscribe(Time now, NodeId from, const Unsubscribe& message, Output&) {
  if (auto it = early_.find(from); it != early_.end() && it->second.subscription == message.subscription) early_.erase(it);
  if (leading_) leading_->unsubscribe(now, from, message.subscription);
}

Result<> Partition::ack(Time now, NodeId from, const Ack& message, Output& out) {
  hear(message.leader_epoch, out);
  if (!leading_) return {};
  return leading_->ack(now, from, message, out);
}

void Partition::follower_lost(Time now, NodeId node, Output&) {
  early_.erase(node);
  if (leading_) leading_->follower_lost(now, node);
}

std::optional<SendPlan> Partition::next_to_send(NodeId to) const { return leading_ ? leading_->next_to_send(to) : std::nullopt; }

std::optional<Data> Partition::sent(NodeId to, const SendPlan& plan, Offset end, std::vector<uint32_t> batch_bytes) {
  return leading_ ? leading_->sent(to, plan, end, std::move(batch_bytes)) : std::nullopt;
}

// ------------------------------------------------------------------------------------------------------------------- as follower

void Partition::session_opened(Time now, NodeId leader, Output& out) {
  sessions_.insert(leader);
  if (following_ && following_->leader() == leader) following_->session_opened(now, out);
}

void Partition::session_closed(Time, NodeId leader, Output&) {
  sessions_.erase(leader);
  if (following_ && following_->leader() == leader) following_->session_closed();
}

Result<> Partition::data(Time now, NodeId from, const Data& message, std::span<const Descriptor> batches, Output& out) {
  hear(message.leader_epoch, out);
  if (!following_ || following_->leader() != from) return {};
  return following_->data(now, message, batches, out);
}

Result<> Partition::diverged(Time now, NodeId from, const Diverged& message, Output& out) {
  hear(message.leader_epoch, out);
  if (!following_ || following_->leader() != from) return {};
  auto done = following_->diverged(now, message, out);
  if (!done.is(Errc::corrupt)) return done;
  fault(std::move(done.error().what), out);
  return {};
}

void Partition::refused(Time now, NodeId from, const Refused& message, Output& out) {
  hear(message.leader_epoch, out);
  if (!following_ || following_->leader() != from) return;
  if (auto done = following_->refused(now, message); !done) fault(std::move(done.error().what), out);
}

// ------------------------------------------------------------------------------------------------------------------ time, reading

void Partition::wake(Time now, Output& out) {
  if (leading_) leading_->wake(now, out);
  if (following_) following_->wake(now, out);
}

Time Partition::deadline() const {
  if (leading_) return leading_->deadline();
  return following_ ? following_->deadline() : Time::never();
}

PartitionView Partition::view() const {
  PartitionView view;
  view.role = role_;
  view.faulted = faulted_;
  view.leader_epoch = leader_epoch();
  if (state_) view.partition_epoch = state_->partition_epoch;
  view.log_start = log_.log_start();
  view.log_end = log_.log_end();
  view.durable_end = log_.durable_end();
  view.high_watermark = log_.high_watermark();
  view.generation = log_.generation();
  view.epochs = log_.epochs().starts();
  if (leading_) leading_->describe(view);
  return view;
}

}  // namespace sg::replica
