#include "broker/controller_host.h"

#include "base/archive.h"
#include "broker/stall.h"

namespace sg::broker {

ControllerHost::ControllerHost(Env& env, const metadata::Catalogue& catalogue, metadata::ControllerOptions options,
                               const peer::Identity& identity, RaftDriver& raft, peer::ControlLinks& links, LocalReplies& local)
    : env_(env),
      log_(env.log.with("controller")),
      self_(options.node),
      identity_(identity),
      raft_(raft),
      links_(links),
      local_(local),
      controller_(catalogue, options, env.rng.split("controller")) {}

void ControllerHost::run(Task& task) {
  TaskGroup inquiries(task.scheduler());
  inquiries_ = &inquiries;
  while (!task.stopping()) {
    armed_ = controller_.deadline();
    if (armed_ > task.now()) {
      if (earlier_.wait(task, armed_, "the controller's deadline").is(Errc::stopped)) break;
      continue;
    }
    if (!drain_after_stall(task, armed_)) break;
    if (controller_.deadline() <= task.now()) feed(controller_.on_deadline(task.now()));
  }
  inquiries_ = nullptr;
  inquiries.stop();
  inquiries.join(task);
}

void ControllerHost::inquire(const metadata::Inquiry& inquiry) {
  if (!inquiries_) return;  // this node is stopping: nobody is let in any more
  inquiries_->spawn(fmt::format("ask node {}", inquiry.node), [this, inquiry](Task& task) {
    Result<metadata::Answer> answer = links_.inquire(task, inquiry.node, {inquiry.address.host, inquiry.address.port});
    if (answer.is(Errc::stopped)) return;
    feed(controller_.on_answer(env_.clock.now(), inquiry, answer));
  });
}

void ControllerHost::on_request(NodeId from, metadata::ControllerRequest request) {
  feed(controller_.on_request(env_.clock.now(), from, std::move(request)));
}

void ControllerHost::on_heartbeat(const metadata::Heartbeat& heartbeat) { feed(controller_.on_heartbeat(env_.clock.now(), heartbeat)); }

void ControllerHost::on_alive(NodeId node, Run run) { feed(controller_.on_alive(env_.clock.now(), node, run)); }

void ControllerHost::on_suspicion(NodeId node, Run run) { feed(controller_.on_suspicion(env_.clock.now(), node, run)); }

void ControllerHost::on_probe_refused(NodeId node) { feed(controller_.on_probe_refused(env_.clock.now(), node)); }

void ControllerHost::on_raft_change(const raft::StateChange& change) {
  if (change.role == raft::Role::leader || !controller_.active()) return;
  log_.info("stopped term={}", change.term);
  proposed_.clear();
  feed(controller_.stop(env_.clock.now()));
}

void ControllerHost::on_entry_applied(LogIndex index, Term term, const Result<metadata::Applied>& outcome) {
  const raft::Raft& core = raft_.core();
  if (auto it = proposed_.find(index); it != proposed_.end()) {
    Proposed mine = it->second;
    proposed_.erase(it);
    feed(mine.term == term ? controller_.on_applied(env_.clock.now(), mine.token, outcome)
                           : controller_.on_proposal_failed(env_.clock.now(), mine.token));
  }
  // The first entry of its own term is behind all entries of earlier terms.
  if (!controller_.active() && core.is_leader() && term == core.term()) {
    log_.info("started term={} applied={}", term, index);
    feed(controller_.start(env_.clock.now(), identity_.cluster_id));
  }
}

void ControllerHost::feed(metadata::ControllerOutput output) {
  for (const std::string& note : output.notes) log_.info("{}", note);
  for (metadata::Proposal& p : output.proposals) {
    SharedBytes command = SharedBytes::copy_of(metadata::encode(p.record));
    Result<raft::Proposed> proposed = raft_.propose({&command, 1});
    if (proposed) {
      proposed_[proposed->first] = {p.token, proposed->term};
    } else {
      feed(controller_.on_proposal_failed(env_.clock.now(), p.token));
    }
  }
  for (const metadata::AddressedReply& r : output.replies) {
    if (r.to == self_) {
      local_.on_controller_reply(r.reply);
    } else {
      links_.send(r.to, peer::FrameKind::controller_reply, pack(r.reply));
    }
  }
  for (metadata::HeartbeatReply& r : output.heartbeats) {
    const raft::Raft& core = raft_.core();
    if (!core.is_leader()) break;
    const Time now = env_.clock.now();
    r.age_ns = (now - std::min(now, core.confirmed())).count();
    if (r.to == self_) {
      local_.on_heartbeat_reply(r);
    } else {
      links_.send(r.to, peer::FrameKind::heartbeat_reply, pack(r));
    }
  }
  for (NodeId node : output.probes) links_.probe(node);
  for (const metadata::Inquiry& inquiry : output.inquiries) inquire(inquiry);
  if (controller_.deadline() < armed_) earlier_.notify_all();
}

}  // namespace sg::broker
