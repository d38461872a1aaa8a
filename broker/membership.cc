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
constexpr Duration kClaimRetry = 1s;  // while another process bears this node's id
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
  registration_.run = identity.run;
}

BrokerEpoch Membership::broker_epoch() const {
  const metadata::Broker* self = machine_.catalogue().broker(identity_.node);
  return self && self->run == identity_.run ? self->epoch : kNoBrokerEpoch;
}

void Membership::register_now(Time now) {
  next_register_ = now + kRegisterRetry;
  register_again_ = false;
  call(registration_, now + kAttempt, [this](Result<metadata::ControllerReply> reply) {
    on_register_reply(reply);
    wake_.notify_all();
  });
}

void Membership::on_register_reply(const Result<metadata::ControllerReply>& reply) {
  using metadata::ControllerError;
  if (!reply) return;
  const auto* r = std::get_if<metadata::RegisterReply>(&reply->body);
  if (r && reply->error == ControllerError::none) {
    refusal_.clear();
    log_.info("registered broker_epoch={}", r->broker_epoch);
    return;
  }
  // A leader that has just been elected is not the controller for a moment yet; and one that is asking around will know soon.
  if (reply->error == ControllerError::not_controller || reply->error == ControllerError::busy)
    next_register_ = env_.clock.now() + kRetryPause;
  if (reply->error != ControllerError::claimed && reply->error != ControllerError::stale) return;
  REACHED("membership: another process bears this node's id");
  next_register_ = env_.clock.now() + kClaimRetry;
  if (std::exchange(refusal_, reply->message) != reply->message) log_.error("registration_refused what=\"{}\"", refusal_);
}

replica::Station Membership::station() const {
  const metadata::Broker* self = machine_.catalogue().broker(identity_.node);
  const bool mine = self && self->run == identity_.run;
  return {.registered = mine,
          .was_registered = was_registered_,
          .replaced = self && !mine,
          .fenced = !self || self->fenced,
          .since = self ? self->since : LogIndex(0),
          .told = told_,
          .heard = heard_};
}

replica::Standing Membership::standing() {
  was_registered_ = was_registered_ || registered();
  const replica::Standing was = std::exchange(standing_, replica::standing_of(station(), timing_.session_timeout, env_.clock.now()));
  if (was == standing_) return standing_;
  say(was);
  events_.on_standing(standing_);
  return standing_;
}

// Says once what has become of this process: whose place was taken is what the operator of either process needs to know. Silence is said
// by whoever watches the clock.
void Membership::say(replica::Standing was) const {
  using replica::Standing;
  switch (standing_) {
    case Standing::superseded: {
      REACHED("membership: superseded");
      const metadata::Broker& other = *machine_.catalogue().broker(identity_.node);
      log_.error(
          "superseded by={} at={}:{} directory={} own={} what=\"another process was registered as node {}; this one serves nothing "
          "until that one is gone: stop whichever was started by mistake\"",
          other.run, other.peer.host, other.peer.port, other.run.directory, identity_.run, identity_.node);
      return;
    }
    case Standing::fenced:
      if (replica::is_outside(was)) return;  // newly registered: it is about to be unfenced
      REACHED("membership: fenced");
      log_.warn("not_serving reason=\"{}\"",
                station().fenced ? "the cluster has fenced this node" : "the controller says that this node is fenced or replaced");
      return;
    case Standing::registered:
      if (was != Standing::silent) log_.info("serving broker_epoch={}", broker_epoch());
      return;
    case Standing::unregistered:
    case Standing::silent: return;
  }
}

// Also while it is not registered: then nobody answers its registration.
void Membership::note_silence(Time now) {
  if (!is_silent(now)) return;
  REACHED("membership: the controller is silent");
  silence_said_ = true;
  log_.warn("controller_silent since_ms={} not_heard=\"{}\"", (now - heard_) / 1ms, links_.unheard());
  standing();
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
      if ((!registered() || register_again_) && next_register_ <= now) register_now(now);
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
    if (!silence_said_ && silence <= now) {
      if (!drain_after_stall(task, silence)) return;
      note_silence(task.now());
      continue;
    }
    Time deadline = silence_said_ ? Time::never() : silence;
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

Result<metadata::ControllerReply> Membership::request(Task& task, const Body& body, Time deadline, bool* asked_before) {
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
    // A controller that was deposed meanwhile may have had it committed.
    if (asked_before && (reply ? reply->error == metadata::ControllerError::not_controller : reply.is(Errc::timeout))) *asked_before = true;
    if (task.now() >= deadline) return fail(Errc::timeout, "the controller did not answer in time");
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + kRetryPause)));
  }
}

void Membership::send_heartbeat(Time now, NodeId leader) {
  metadata::Heartbeat heartbeat{identity_.node, identity_.run, broker_epoch(), machine_.applied(), ++heartbeat_sequence_};
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
  if (reply.run != identity_.run) return;
  auto it = std::find_if(heartbeats_.begin(), heartbeats_.end(), [&](const SentHeartbeat& h) { return h.sequence == reply.sequence; });
  if (it == heartbeats_.end()) return;
  SentHeartbeat sent = *it;
  heartbeats_.erase(heartbeats_.begin(), it + 1);
  heard_ = std::max(heard_, sent.sent - Duration(std::max<int64_t>(0, reply.age_ns)));
  if (reply.status == metadata::HeartbeatStatus::register_again && sent.broker_epoch != kNoBrokerEpoch &&
      sent.broker_epoch == broker_epoch()) {
    REACHED("membership: told to register again");
    register_again_ = true;
    wake_.notify_all();
  }
  if (reply.status != metadata::HeartbeatStatus::ok) told_ = std::max(told_, reply.since);
  if (silence_said_ && !is_silent(env_.clock.now())) {
    silence_said_ = false;
    log_.info("controller_heard");
    wake_.notify_all();  // which watches the clock again
  }
  standing();
}

}  // namespace sg::broker
