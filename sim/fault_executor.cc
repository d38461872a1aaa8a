#include "sim/fault_executor.h"

#include <algorithm>

namespace sg::sim {

FaultExecutor::FaultExecutor(World& world, FaultPlan plan, std::vector<Node*> candidates, Resolver resolver)
    : world_(world), plan_(std::move(plan)), candidates_(std::move(candidates)), resolver_(std::move(resolver)) {
  ENSURE(!candidates_.empty());
}

void FaultExecutor::start() {
  for (size_t i = 0; i < plan_.faults.size(); ++i) {
    const Fault& fault = plan_.faults[i];
    ENSURE(people_ || !is_of_people(fault.kind), "{} needs somebody who carries it out", to_string(fault.kind));
    world_.schedule(fault.at, [this, i] { strike(i, 0); });
    if (needs_backup(fault.kind))
      world_.schedule(Time{std::max<int64_t>(0, fault.at.ns - std::max<int64_t>(1, fault.value))}, [this, i] { back_up(i, 0); });
  }
}

uint64_t FaultExecutor::executed() const {
  uint64_t crashes = 0;
  for (const Node* node : candidates_) crashes += node->crashes();
  return executed_ + crashes;
}

void FaultExecutor::later(Duration delay, std::function<void()> undo) {
  world_.schedule(world_.now() + delay, [this, undo = std::move(undo)] {
    if (world_.phase() == Phase::safety) undo();  // the liveness phase has healed it already
  });
}

std::vector<Node*> FaultExecutor::resolve(std::string_view target, uint64_t draw) const {
  if (target == "all") return candidates_;
  if (target == "random" || target == "random_down") {
    std::vector<Node*> fit;
    for (Node* node : candidates_)
      if (node->running() == (target == "random")) fit.push_back(node);
    if (fit.empty()) return {};
    return {fit[Rng(draw).split("target").below(fit.size())]};
  }
  if (Node* node = world_.find(target)) return {node};
  return resolver_ ? resolver_(target, draw) : std::vector<Node*>{};
}

void FaultExecutor::back_up(size_t index, int attempt) {
  const Fault& fault = plan_.faults[index];
  std::vector<Node*> targets = resolve(fault.target, fault.draw);
  if (!targets.empty()) return people_->back_up(index, *targets.front());
  if (attempt < kRetries) world_.schedule(world_.now() + kRetryEvery, [this, index, attempt] { back_up(index, attempt + 1); });
}

void FaultExecutor::strike(size_t index, int attempt) {
  if (world_.phase() != Phase::safety) return;
  const Fault& fault = plan_.faults[index];
  std::vector<Node*> targets = resolve(fault.target, fault.draw);
  if (needs_backup(fault.kind)) {
    // A backup goes back to where it came from, whoever would be meant by now.
    Node* owner = people_->backed_up(index);
    targets = owner ? std::vector{owner} : std::vector<Node*>{};
  }
  if (targets.empty()) {
    if (attempt < kRetries)
      world_.schedule(world_.now() + kRetryEvery, [this, index, attempt] { strike(index, attempt + 1); });
    else
      ++skipped_;
    return;
  }
  if (fault.kind != FaultKind::crash_point && !is_of_people(fault.kind)) ++executed_;
  for (Node* target : targets) strike_at(index, *target);
}

void FaultExecutor::strike_at(size_t index, Node& target) {
  const Fault& fault = plan_.faults[index];
  world_.trace().event(world_.now(), target.index(), TraceKind::fault, index, static_cast<uint64_t>(fault.kind), fault.draw);
  if (on_fault_) on_fault_(fault, target);
  if (!is_of_people(fault.kind)) return apply(fault, target);
  ++(people_->strike(index, fault, target) ? executed_ : skipped_);
}

void FaultExecutor::restart_later(Node& target, Duration delay) {
  if (delay.count() == 0) return;
  later(delay, [&target] {
    if (!target.running()) target.start();
  });
}

void FaultExecutor::down(const Fault& fault, Node& target) {
  static_assert(static_cast<int>(FaultKind::wipe) == static_cast<int>(FaultKind::kill) + 2);
  Death death = fault.kind == FaultKind::kill ? Death::kill : fault.kind == FaultKind::wipe ? Death::wipe : Death::power_cut;
  target.die(death);
  restart_later(target, fault.duration);
  if (fault.duration.count() == 0 || fault.value <= 0) return;
  later(fault.duration + Duration(fault.value), [this, &target, death, again = fault.duration] {
    if (!target.running()) return;
    target.die(death);
    restart_later(target, again);
  });
}

void FaultExecutor::apply(const Fault& fault, Node& target) {
  Time until = world_.now() + fault.duration;
  Rng rng = Rng(fault.draw).split("choice");
  switch (fault.kind) {
    case FaultKind::kill:
    case FaultKind::power_cut:
    case FaultKind::wipe: return down(fault, target);
    case FaultKind::stop: target.stop(); return restart_later(target, fault.duration);
    case FaultKind::start:
      if (!target.running()) target.start();
      return;
    case FaultKind::pause: return target.stall(until, false);
    case FaultKind::suspend: return target.stall(until, true);
    case FaultKind::link_cut:
    case FaultKind::link_stall:
    case FaultKind::link_delay:
    case FaultKind::link_reset: {
      std::vector<Node*> peers;
      if (fault.peer.empty())
        for (size_t i = 0; i < world_.node_count(); ++i) peers.push_back(&world_.node(i));
      else
        peers = resolve(fault.peer, rng.next());
      for (Node* peer : peers)
        if (peer != &target) apply_link(fault, target, *peer);
      return;
    }
    case FaultKind::disk_latency: {
      DiskLatency slow;
      slow.read_max = slow.write_max = slow.sync_max = std::max(Duration(fault.value), slow.sync_max);
      target.disk().set_latency(slow);
      return later(fault.duration, [&target, usual = DiskLatency(target.disk().latency_at_start())] { target.disk().set_latency(usual); });
    }
    case FaultKind::disk_stall: return target.disk().stall(until);
    case FaultKind::sync_failure: return target.disk().fail_syncs(fault.path, static_cast<uint64_t>(std::max<int64_t>(1, fault.value)));
    case FaultKind::bit_flip: {
      std::vector<std::string> files = target.disk().files();
      std::erase_if(files, [&](const std::string& path) { return !path.starts_with(fault.path) || target.disk().contents(path).empty(); });
      if (files.empty()) return;
      const std::string& path = files[rng.below(files.size())];
      uint64_t offset = rng.below(target.disk().contents(path).size());
      return target.disk().flip_bit(path, offset, static_cast<int>(rng.below(8)));
    }
    case FaultKind::file_loss: {
      target.die(Death::kill);
      if (auto path = target.disk().last_written(fault.path)) target.disk().lose_file(*path);
      return restart_later(target, fault.duration);
    }
    case FaultKind::disk_full:
      target.disk().set_capacity(target.disk().used_bytes());
      return later(fault.duration, [&target] { target.disk().restore_capacity(); });
    case FaultKind::clock_jump: return target.clock().set_wall_offset(Duration(fault.value));
    case FaultKind::clock_drift:
      target.clock().set_drift(fault.value);
      return later(fault.duration, [&target] { target.clock().set_drift(0); });
    case FaultKind::crash_point:
      target.arm(fault.point, static_cast<uint64_t>(std::max<int64_t>(1, fault.value)), fault.death);
      return watch(target, fault.duration);
    case FaultKind::operator_start:
    case FaultKind::operator_clock:
    case FaultKind::operator_move:
    case FaultKind::operator_restore:
    case FaultKind::operator_unmount:
    case FaultKind::operator_twin:
    case FaultKind::operator_twin_copy:
    case FaultKind::operator_twin_restore:
    case FaultKind::operator_stale_first: ENSURE(false, "{} is for people", to_string(fault.kind));
  }
}

// An armed death strikes at a time that nobody knows yet; the restart follows the end of that process.
void FaultExecutor::watch(Node& target, Duration down_time) {
  if (down_time.count() == 0) return;
  later(kRetryEvery, [this, &target, down_time, incarnation = target.incarnation()] {
    if (target.incarnation() != incarnation) return;
    if (target.running()) return watch(target, down_time);
    restart_later(target, down_time);
  });
}

void FaultExecutor::apply_link(const Fault& fault, Node& from, Node& to) {
  SimNetwork& network = world_.network();
  uint32_t a = from.index();
  uint32_t b = to.index();
  bool both = fault.value == 1;
  switch (fault.kind) {
    case FaultKind::link_cut:
      network.cut(a, b);
      if (both) network.cut(b, a);
      if (fault.duration.count() == 0) return;
      return later(fault.duration, [&network, a, b, both] {
        network.heal(a, b);
        if (both) network.heal(b, a);
      });
    case FaultKind::link_stall:
      network.stall(a, b, world_.now() + fault.duration);
      if (both) network.stall(b, a, world_.now() + fault.duration);
      return;
    case FaultKind::link_delay: {
      LinkOptions usual = network.options().link;
      LinkOptions slow = usual;
      slow.latency_max = std::max(slow.latency_min, Duration(fault.value));
      network.set_link(a, b, slow);
      network.set_link(b, a, slow);
      return later(fault.duration, [&network, a, b, usual] {
        network.set_link(a, b, usual);
        network.set_link(b, a, usual);
      });
    }
    default: return network.reset_connections(a, b);
  }
}

}  // namespace sg::sim
