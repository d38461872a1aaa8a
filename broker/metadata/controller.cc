#include "broker/metadata/controller.h"

#include <algorithm>

namespace sg::metadata {

namespace {

// The broker whose state a record changes; none for others.
NodeId changes_broker(const Record& record) {
  if (auto* r = std::get_if<RegisterBroker>(&record)) return r->node;
  if (auto* r = std::get_if<FenceBroker>(&record)) return r->node;
  if (auto* r = std::get_if<UnfenceBroker>(&record)) return r->node;
  return kNoNode;
}

}  // namespace

Controller::Controller(const Catalogue& catalogue, ControllerOptions options, Rng rng)
    : catalogue_(catalogue), options_(std::move(options)), rng_(rng) {
  ENSURE(options_.session_timeout > Duration::zero() && options_.retry > Duration::zero());
  ENSURE(options_.default_replication_factor != 0 && options_.default_partitions >= 1);
}

ControllerOutput Controller::start(Time now, Uuid cluster_id) {
  ENSURE(!active_ && pending_.empty() && open_.empty() && watches_.empty());
  active_ = true;
  watch_all(now);
  ControllerOutput out;
  if (catalogue_.cluster_id().is_zero()) propose(SetCluster{cluster_id.is_zero() ? draw_uuid() : cluster_id}, {}, out);
  for (const auto& [node, broker] : catalogue_.brokers()) {
    if (node == options_.node || broker.fenced) continue;
    probed_[node] = broker.run;
    out.probes.push_back(node);
  }
  return out;
}

ControllerOutput Controller::stop(Time) {
  ControllerOutput out;
  active_ = false;
  for (auto& [key, open] : open_) {
    open.reply.error = ControllerError::not_controller;
    open.reply.body = std::monostate{};
    out.replies.push_back({open.to, std::move(open.reply)});
  }
  open_.clear();
  pending_.clear();
  changing_.clear();
  watches_.clear();
  probed_.clear();
  return out;
}

// --- Who lives -----------------------------------------------------------------------------------------------------------------------

// A broker that is seen for the first time, or under a new run, has a full session from now.
void Controller::watch_all(Time now) {
  for (const auto& [node, broker] : catalogue_.brokers()) {
    Watch& w = watches_[node];
    if (w.run != broker.run || w.epoch != broker.epoch) {
      w = Watch{.run = broker.run,
                .epoch = broker.epoch,
                .heard = now,
                .fence_at = {},
                .retry_at = {},
                .found = {},
                .found_at = {},
                .last_note = {}};
    }
  }
}

ControllerOutput Controller::on_heartbeat(Time now, const Heartbeat& hb) {
  ControllerOutput out = on_alive(now, hb.node, hb.run);
  if (!active_) return out;
  const Broker* b = catalogue_.broker(hb.node);
  HeartbeatReply reply{.to = hb.node,
                       .run = hb.run,
                       .sequence = hb.sequence,
                       .status = HeartbeatStatus::register_again,
                       .since = b ? b->since : LogIndex(0)};
  if (b && b->run == hb.run && b->epoch == hb.broker_epoch) {
    reply.status = b->fenced ? HeartbeatStatus::fenced : HeartbeatStatus::ok;
    // A heartbeat that was sent before the fencing, and arrives after it, proves nothing: it has not applied that far.
    bool proven = hb.applied >= b->since && now >= watches_.at(hb.node).retry_at;
    if (b->fenced && proven && !changing(hb.node)) propose(UnfenceBroker{b->node, b->epoch}, {}, out);
  }
  out.heartbeats.push_back(reply);
  return out;
}

ControllerOutput Controller::on_alive(Time now, NodeId node, Run run) {
  ControllerOutput out;
  const Broker* b = catalogue_.broker(node);
  if (!active_ || !b) return out;
  watch_all(now);
  Watch& w = watches_.at(node);
  if (run == b->run) {
    w.heard = std::max(w.heard, now);
    w.suspected = false;
    if (b->fenced) w.fence_at.reset();
    if (w.found == Found::another || w.found == Found::closed) w.found.reset();  // it lives, wherever it was not found
  } else if (run.newer_than(b->run) && !b->fenced && !w.fence_at) {
    out.notes.push_back(fmt::format("broker_restarted node={} run={} was={}", node, run, b->run));
    w.fence_at = now + options_.registration_grace;
  }
  propose_fences(now, out);
  return out;
}

ControllerOutput Controller::on_suspicion(Time now, NodeId node, Run run) {
  ControllerOutput out;
  const Broker* b = catalogue_.broker(node);
  // An older run has been replaced already. A newer one that is gone again has ended the registered one before.
  if (!active_ || !b || b->fenced || (run != b->run && !run.newer_than(b->run))) return out;
  watch_all(now);
  Watch& w = watches_.at(node);
  if (w.suspicion_spent) return out;
  w.suspected = w.suspicion_spent = true;
  out.notes.push_back(fmt::format("broker_suspected node={} run={}", node, run));
  propose_fences(now, out);
  return out;
}

ControllerOutput Controller::on_probe_refused(Time now, NodeId node) {
  auto at = probed_.find(node);
  return at == probed_.end() ? ControllerOutput{} : on_suspicion(now, node, at->second);
}

// When this broker is to be fenced if nothing is heard before; never() while it is, or while that is being decided.
Time Controller::fence_due(const Broker& b) const {
  auto at = watches_.find(b.node);
  if (b.fenced || at == watches_.end() || changing(b.node)) return Time::never();
  const Watch& w = at->second;
  Time due = w.heard + options_.session_timeout;
  if (w.fence_at) due = std::min(due, *w.fence_at);
  if (w.suspected) due = w.heard;
  return std::max(due, w.retry_at);
}

void Controller::propose_fences(Time now, ControllerOutput& out) {
  for (const auto& [node, b] : catalogue_.brokers()) {
    if (fence_due(b) > now) continue;
    const Watch& w = watches_.at(node);
    out.notes.push_back(fmt::format("broker_fencing node={} epoch={} silent_ms={}", node, b.epoch, (now - w.heard) / 1ms));
    propose(FenceBroker{node, b.epoch}, {}, out);
  }
}

Time Controller::deadline() const {
  Time earliest = Time::never();
  if (!active_) return earliest;
  for (const auto& [node, broker] : catalogue_.brokers()) earliest = std::min(earliest, fence_due(broker));
  return earliest;
}

ControllerOutput Controller::on_deadline(Time now) {
  ControllerOutput out;
  if (!active_) return out;
  watch_all(now);
  propose_fences(now, out);
  return out;
}

// --- Proposals -----------------------------------------------------------------------------------------------------------------------

void Controller::propose(Record record, std::vector<Waiter> waiters, ControllerOutput& out) {
  Token token = next_token_++;
  if (NodeId node = changes_broker(record); node != kNoNode) ++changing_[node];
  out.proposals.push_back({token, record});
  pending_.emplace(token, Pending{std::move(record), std::move(waiters)});
}

Controller::Pending Controller::take_pending(Token token) {
  auto at = pending_.find(token);
  ENSURE(at != pending_.end());
  Pending taken = std::move(at->second);
  pending_.erase(at);
  if (NodeId node = changes_broker(taken.record); node != kNoNode) {
    ENSURE(changing(node));
    if (--changing_[node] == 0) changing_.erase(node);
  }
  return taken;
}

ControllerOutput Controller::on_applied(Time now, Token token, const Result<Applied>& outcome) {
  ControllerOutput out;
  if (!active_ || !pending_.contains(token)) return out;
  Pending done = take_pending(token);
  watch_all(now);
  for (const Waiter& waiter : done.waiters) {
    fill(open_.at(waiter.open), waiter, done.record, outcome);
    finish_item(waiter.open, out);
  }
  if (!outcome) out.notes.push_back(fmt::format("record_refused {} why=\"{}\"", describe(done.record), outcome.error().what));
  propose_fences(now, out);
  return out;
}

ControllerOutput Controller::on_proposal_failed(Time now, Token token) {
  ControllerOutput out;
  if (!active_ || !pending_.contains(token)) return out;
  Pending failed = take_pending(token);
  watch_all(now);
  if (auto at = watches_.find(changes_broker(failed.record)); at != watches_.end()) at->second.retry_at = now + options_.retry;
  for (const Waiter& waiter : failed.waiters) {
    fill(open_.at(waiter.open), waiter, failed.record, fail(Errc::stopped, "the proposal was lost: try again"));
    finish_item(waiter.open, out);
  }
  propose_fences(now, out);
  return out;
}

}  // namespace sg::metadata
