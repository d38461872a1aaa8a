#include "sim/fault_executor.h"

#include <algorithm>

namespace sg::sim {
namespace {

// A file with something in it, if there is any.
std::optional<std::string> draw_file(SimDisk& disk, std::string_view prefix, Rng& rng) {
  std::vector<std::string> files = disk.files();
  std::erase_if(files, [&](const std::string& path) { return !path.starts_with(prefix) || disk.contents(path).empty(); });
  if (files.empty()) return std::nullopt;
  return files[rng.below(files.size())];
}

}  // namespace

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

void FaultExecutor::later(Duration delay, std::function<void()> undo) {
  world_.schedule(world_.now() + delay, [this, undo = std::move(undo)] {
    if (world_.phase() == Phase::safety) undo();  // the liveness phase has healed it already
  });
}

void FaultExecutor::begin(Duration duration, std::vector<Effect> effects) {
  std::vector<Effects::Id> ids;
  for (Effect& effect : effects) ids.push_back(world_.effects().begin(std::move(effect)));
  end_later(duration, std::move(ids));
}

void FaultExecutor::end_later(Duration duration, std::vector<Effects::Id> effects) {
  if (duration.count() == 0) return;
  later(duration, [this, effects = std::move(effects)] {
    for (Effects::Id id : effects) world_.effects().end(id);
  });
}

void FaultExecutor::happened(std::string_view event) {
  auto it = awaiting_.find(event);
  if (it == awaiting_.end()) return;
  for (Effects::Id id : std::exchange(it->second, {})) world_.effects().end(id);
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

// --- machines that are down ------------------------------------------------------------------------------------------------------

Effects::Id FaultExecutor::keep_down(Node& target, Death death, Duration down_time) {
  const Effects::Id id = world_.effects().begin({.kind = down_after(death), .node = target.index()});
  if (down_time.count() == 0) down_until_started_[target.index()].push_back(id);
  return id;
}

void FaultExecutor::kill(Node& target, Death death, Duration down_time) {
  target.die(death);
  end_later(down_time, {keep_down(target, death, down_time)});
}

void FaultExecutor::down(const Fault& fault, Node& target) {
  static_assert(static_cast<int>(FaultKind::wipe) == static_cast<int>(FaultKind::kill) + 2);
  Death death = fault.kind == FaultKind::kill ? Death::kill : fault.kind == FaultKind::wipe ? Death::wipe : Death::power_cut;
  kill(target, death, fault.duration);
  if (fault.duration.count() == 0 || fault.value <= 0) return;
  later(fault.duration + Duration(fault.value), [this, &target, death, again = fault.duration] { kill(target, death, again); });
}

void FaultExecutor::start(Node& target) {
  for (Effects::Id id : std::exchange(down_until_started_[target.index()], {})) world_.effects().end(id);
  world_.effects().start(target);
}

void FaultExecutor::arm(const Fault& fault, Node& target) {
  auto struck = std::make_shared<Effects::Id>(0);
  auto on_strike = [this, &target, struck, death = fault.death, down_time = fault.duration] {
    ++executed_;
    *struck = keep_down(target, death, down_time);
  };
  target.arm({fault.point, fault.death, static_cast<uint64_t>(std::max<int64_t>(1, fault.value)), std::move(on_strike)});
  if (fault.duration.count() > 0) watch(std::move(struck), fault.duration);
}

// An armed death strikes at a time that nobody knows yet; its down time counts from the next look.
void FaultExecutor::watch(std::shared_ptr<const Effects::Id> struck, Duration down_time) {
  later(kRetryEvery, [this, struck = std::move(struck), down_time] {
    if (*struck == 0) return watch(struck, down_time);
    end_later(down_time, {*struck});
  });
}

// --- what strikes ----------------------------------------------------------------------------------------------------------------

void FaultExecutor::apply(const Fault& fault, Node& target) {
  Time until = world_.now() + fault.duration;
  Rng rng = Rng(fault.draw).split("choice");
  switch (fault.kind) {
    case FaultKind::kill:
    case FaultKind::power_cut:
    case FaultKind::wipe: return down(fault, target);
    case FaultKind::stop: target.stop(); return end_later(fault.duration, {keep_down(target, Death::exit, fault.duration)});
    case FaultKind::start: return start(target);
    case FaultKind::pause: return target.stall(until, false);
    case FaultKind::suspend: return target.stall(until, true);
    case FaultKind::link_cut:
    case FaultKind::link_stall:
    case FaultKind::link_delay:
    case FaultKind::link_hold:
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
    case FaultKind::disk_latency:
      return begin(fault.duration, {{.kind = EffectKind::slow_disk, .node = target.index(), .amount = fault.value}});
    case FaultKind::disk_stall: return target.disk().stall(until);
    case FaultKind::sync_failure: return target.disk().fail_syncs(fault.path, static_cast<uint64_t>(std::max<int64_t>(1, fault.value)));
    case FaultKind::write_failure: return target.disk().fail_writes(fault.path, static_cast<uint64_t>(std::max<int64_t>(1, fault.value)));
    case FaultKind::bit_flip: {
      auto path = draw_file(target.disk(), fault.path, rng);
      if (!path) return;
      uint64_t offset = rng.below(target.disk().contents(*path).size());
      return target.disk().flip_bit(*path, offset, static_cast<int>(rng.below(8)));
    }
    case FaultKind::read_error: {
      auto path = draw_file(target.disk(), fault.path, rng);
      if (path) target.disk().spoil_sector(*path, rng.below(target.disk().contents(*path).size()));
      return;
    }
    case FaultKind::file_loss: {
      target.die(Death::kill);
      if (auto path = target.disk().last_written(fault.path)) target.disk().lose_file(*path);
      return end_later(fault.duration, {keep_down(target, Death::kill, fault.duration)});
    }
    case FaultKind::disk_full: {
      const auto used = static_cast<int64_t>(target.disk().used_bytes());
      const int64_t room = used + std::clamp<int64_t>(fault.value, 0, INT64_MAX - used);
      return begin(fault.duration, {{.kind = EffectKind::full_disk, .node = target.index(), .amount = room}});
    }
    case FaultKind::clock_jump: return target.clock().set_wall_offset(target.clock().wall_offset() + Duration(fault.value));
    case FaultKind::clock_drift:
      return begin(fault.duration, {{.kind = EffectKind::clock_drift, .node = target.index(), .amount = fault.value}});
    case FaultKind::crash_point: return arm(fault, target);
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

void FaultExecutor::apply_link(const Fault& fault, Node& from, Node& to) {
  SimNetwork& network = world_.network();
  uint32_t a = from.index();
  uint32_t b = to.index();
  bool both = fault.value == 1;
  switch (fault.kind) {
    case FaultKind::link_cut: {
      std::vector<Effect> cuts{{.kind = EffectKind::link_cut, .node = a, .peer = b}};
      if (both) cuts.push_back({.kind = EffectKind::link_cut, .node = b, .peer = a});
      return begin(fault.duration, std::move(cuts));
    }
    case FaultKind::link_stall:
      network.stall(a, b, world_.now() + fault.duration);
      if (both) network.stall(b, a, world_.now() + fault.duration);
      return;
    case FaultKind::link_delay:
      return begin(fault.duration, {{.kind = EffectKind::link_delay, .node = a, .peer = b, .amount = fault.value},
                                    {.kind = EffectKind::link_delay, .node = b, .peer = a, .amount = fault.value}});
    case FaultKind::link_hold: {
      const Effects::Id id = world_.effects().begin({.kind = EffectKind::link_hold, .node = a, .peer = b, .word = fault.choice});
      if (!fault.until.empty()) awaiting_[fault.until].push_back(id);
      return end_later(fault.duration, {id});
    }
    default: return network.reset_connections(a, b);
  }
}

}  // namespace sg::sim
