#include "broker/membership.h"

#include <algorithm>

#include "base/archive.h"
#include "base/probe.h"
#include "broker/stall.h"

namespace sg::broker {
namespace {

constexpr Duration kRegisterRetry = 200ms;
constexpr Duration kAttempt = 1s;
constexpr Duration kRetryPause = 20ms;
constexpr size_t kMaxHeartbeatsOpen = 256;

}  // namespace

Membership::Membership(Env& env, const Config::Timing& timing, const peer::Identity& identity, metadata::RegisterBroker registration,
                       MetadataMachine& machine, const RaftDriver& raft, ControllerHost& controller, peer::ControlLinks& links,
                       StandingEvents& events)
    : env_(env),
      log_(env.log.with("membership")),
      timing_(timing),
      identity_(identity),
      registration_(std::move(registration)),
      machine_(machine),
      raft_(raft),
      controller_(controller),
      links_(links),
      events_(events),
      heard_(env.clock.now()) {
  registration_.node = identity.node;
  registration_.incarnation = identity.incarnation;
}

BrokerEpoch Membership::broker_epoch() const {
  const metadata::Broker* self = machine_.catalogue().broker(identity_.node);
  return self && self->incarnation == identity_.incarnation ? self->epoch : kNoBrokerEpoch;
}

replica::Station Membership::station() const {
  const metadata::Broker* self = machine_.catalogue().broker(identity_.node);
  const bool mine = self && self->incarnation == identity_.incarnation;
  return {.registered = mine, .fenced = !self || self->fenced, .since = self ? self->since : LogIndex(0), .told = told_, .heard = heard_};
}

replica::Standing Membership::standing() {
  using replica::Standing;
  const Time now = env_.clock.now();
  const replica::Station facts = station();
  was_registered_ |= facts.registered;
  const Standing was = std::exchange(standing_, replica::standing_of(facts, timing_.session_timeout, now));
  if (was == standing_) return standing_;
  if (standing_ == Standing::outside) {
    REACHED("membership: superseded or fenced");
    log_.warn("not_serving reason=\"{}\"", !facts.registered ? "another run is registered as this node"
                                           : facts.fenced    ? "the cluster has fenced this node"
                                                             : "the controller says that this node is fenced or replaced");
  } else if (standing_ == Standing::silent) {
    REACHED("membership: the controller is silent");
    log_.warn("controller_silent since_ms={}", (now - heard_).count() / 1'000'000);
  } else {
    log_.info("{} broker_epoch={}", was == Standing::silent ? "controller_heard" : "serving", broker_epoch());
  }
  events_.on_standing(standing_);
  return standing_;
}

void Membership::run(Task& task) {
  Time next_heartbeat = task.now();
  next_register_ = task.now();
  NodeId last_leader = kNoNode;
  while (!task.stopping()) {
    const Time now = task.now();
    const NodeId leader = raft_.core().leader();
    if (leader != last_leader) {
      last_leader = leader;
      next_heartbeat = next_register_ = now;
    }
    // What is not yet known to the controller is worth a heartbeat of its own: it may unfence this node.
    if (registered() && machine_.applied() != reported_applied_ && machine_.catalogue().broker(identity_.node)->fenced)
      next_heartbeat = now;
    if (leader != kNoNode) {
      if ((!registered() || register_again_) && next_register_ <= now) {
        next_register_ = now + kRegisterRetry;
        register_again_ = false;
        call(registration_, now + kAttempt, [this](Result<metadata::ControllerReply> reply) {
          const auto* r = reply ? std::get_if<metadata::RegisterReply>(&reply->body) : nullptr;
          if (r && reply->error == metadata::ControllerError::none) log_.info("registered broker_epoch={}", r->broker_epoch);
          // A leader that has just been elected is not the controller for a moment yet.
          if (reply && reply->error == metadata::ControllerError::not_controller) next_register_ = env_.clock.now() + kRetryPause;
          wake_.notify_all();
        });
      }
      if (next_heartbeat <= now) {
        next_heartbeat = now + timing_.heartbeat;
        send_heartbeat(now, leader);
        if (!unreported_damage_.empty()) send_damage(now);
      }
    }
    send_outgoing();
    expire_calls(now);
    if (!outgoing_.empty()) continue;
    const Time silence = heard_ + timing_.session_timeout;
    const bool in_office = standing_ == replica::Standing::registered;
    if (in_office && silence <= now) {
      if (!drain_after_stall(task, silence)) return;
      standing();
      continue;
    }
    Time deadline = in_office ? silence : Time::never();
    if (leader != kNoNode) deadline = std::min(deadline, next_heartbeat);
    if (leader != kNoNode && !registered()) deadline = std::min(deadline, next_register_);
    for (const auto& [id, open] : calls_) deadline = std::min(deadline, open.deadline);
    if (wake_.wait(task, deadline, "the next heartbeat").is(Errc::stopped)) break;
  }
  expire_calls(Time::never());
}

void Membership::call(Body body, Time deadline, Done done) {
  uint64_t id = next_call_++;
  calls_[id] = {deadline, std::move(done)};
  outgoing_.push_back({id, std::move(body)});
  wake_.notify_all();
}

void Membership::send_outgoing() {
  while (!outgoing_.empty()) {
    metadata::ControllerRequest request = std::move(outgoing_.front());
    outgoing_.pop_front();
    NodeId leader = raft_.core().leader();
    if (leader == identity_.node) {
      controller_.on_request(identity_.node, std::move(request));
    } else if (leader != kNoNode) {
      links_.send(leader, peer::FrameKind::controller_request, pack(request));
    } else if (auto it = calls_.find(request.id); it != calls_.end()) {
      Done done = std::move(it->second.done);
      calls_.erase(it);
      done(fail(Errc::unavailable, "no controller is known now"));
    }
  }
}

void Membership::expire_calls(Time now) {
  std::vector<Done> late;
  std::erase_if(calls_, [&](auto& entry) {
    if (entry.second.deadline > now && now != Time::never()) return false;
    late.push_back(std::move(entry.second.done));
    return true;
  });
  for (Done& done : late) done(fail(Errc::timeout, "the controller did not answer in time"));
}

void Membership::report_damage(StreamId stream) {
  unreported_damage_.insert(stream);
  // Should this run register anew, the damage is older than that.
  if (std::ranges::find(registration_.damaged, stream) == registration_.damaged.end()) registration_.damaged.push_back(stream);
  send_damage(env_.clock.now());
}

void Membership::send_damage(Time now) {
  std::vector<StreamId> streams(unreported_damage_.begin(), unreported_damage_.end());
  call(metadata::ReportDamage{identity_.node, broker_epoch(), streams}, now + timing_.heartbeat,
       [this, streams](Result<metadata::ControllerReply> reply) {
         if (!reply || reply->error != metadata::ControllerError::none) return;  // the next heartbeat says it again
         for (StreamId stream : streams) unreported_damage_.erase(stream);
       });
}

void Membership::on_controller_reply(const metadata::ControllerReply& reply) {
  auto it = calls_.find(reply.id);
  if (it == calls_.end()) return;  // given up meanwhile
  Done done = std::move(it->second.done);
  calls_.erase(it);
  done(reply);
}

Result<metadata::ControllerReply> Membership::request(Task& task, const Body& body, Time deadline) {
  while (true) {
    struct Answer {
      std::optional<Result<metadata::ControllerReply>> reply;
      Signal arrived;
    };
    auto answer = std::make_shared<Answer>();  // may be answered after this task has gone
    call(body, std::min(deadline, task.now() + kAttempt), [answer](Result<metadata::ControllerReply> reply) {
      answer->reply = std::move(reply);
      answer->arrived.notify_all();
    });
    while (!answer->reply) TRY_DO(answer->arrived.wait(task, deadline, "the controller's answer"));
    const Result<metadata::ControllerReply>& reply = *answer->reply;
    if (reply && reply->error != metadata::ControllerError::not_controller && reply->error != metadata::ControllerError::busy)
      return *reply;
    if (task.now() >= deadline) return fail(Errc::timeout, "the controller did not answer in time");
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + kRetryPause)));
  }
}

void Membership::send_heartbeat(Time now, NodeId leader) {
  metadata::Heartbeat heartbeat{identity_.node, identity_.incarnation, broker_epoch(), machine_.applied(), ++heartbeat_sequence_};
  heartbeats_.push_back({heartbeat.sequence, now, heartbeat.broker_epoch});
  if (heartbeats_.size() > kMaxHeartbeatsOpen) heartbeats_.pop_front();
  reported_applied_ = heartbeat.applied;
  if (leader == identity_.node) {
    controller_.on_heartbeat(heartbeat);
  } else {
    links_.send(leader, peer::FrameKind::heartbeat, pack(heartbeat));
  }
}

void Membership::on_heartbeat_reply(const metadata::HeartbeatReply& reply) {
  if (reply.incarnation != identity_.incarnation) return;
  auto it = std::find_if(heartbeats_.begin(), heartbeats_.end(), [&](const SentHeartbeat& h) { return h.sequence == reply.sequence; });
  if (it == heartbeats_.end()) return;
  SentHeartbeat sent = *it;
  const replica::Standing was = standing_;
  heartbeats_.erase(heartbeats_.begin(), it + 1);
  heard_ = std::max(heard_, sent.sent);
  if (reply.status == metadata::HeartbeatStatus::register_again && sent.broker_epoch != kNoBrokerEpoch &&
      sent.broker_epoch == broker_epoch()) {
    REACHED("membership: told to register again");
    register_again_ = true;
    wake_.notify_all();
  }
  if (reply.status != metadata::HeartbeatStatus::ok) told_ = std::max(told_, reply.since);
  if (standing() != was) wake_.notify_all();
}

}  // namespace sg::broker
