#include "sim/people.h"

#include <algorithm>

namespace sg::sim {
namespace {

constexpr Duration kLook = 20ms;
constexpr Duration kLookAgain = 500ms;  // what a process needs to refuse, generously
constexpr Duration kPatience = 5s;      // with a process that was asked to stop

// What hands need between two steps.
Duration handling(const Fault& fault) { return Duration(Rng(fault.draw).split("hands").between((20ms / 1ns), (400ms / 1ns))); }

}  // namespace

// --- steps -----------------------------------------------------------------------------------------------------------------------

void People::later(Duration delay, std::function<void()> action) {
  world_.schedule(world_.now() + delay, [this, action = std::move(action)] {
    if (world_.phase() == Phase::safety) action();
  });
}

Effects::Id People::keep_down(Node& machine, Death death) {
  return world_.effects().begin({.kind = down_after(death), .node = machine.index()});
}

void People::start_later(Duration delay, Effects::Id down) {
  later(delay, [this, down] { world_.effects().end(down); });
}

void People::end_process(Node& machine, Death death, std::function<void(Effects::Id down)> next) {
  const Effects::Id down = keep_down(machine, death);
  if (death != Death::exit || !machine.running()) {
    machine.die(death);
    return next(down);
  }
  machine.stop();
  stopping_.push_back(&machine);
  wait_for_exit(machine, world_.now() + kPatience, [next = std::move(next), down] { next(down); });
}

void People::wait_for_exit(Node& machine, Time patience, std::function<void()> next) {
  if (machine.running() && world_.now() >= patience) machine.die(Death::kill);
  if (machine.running())
    return later(kLook, [this, &machine, patience, next = std::move(next)] { wait_for_exit(machine, patience, next); });
  std::erase(stopping_, &machine);
  next();
}

bool People::busy(const Node& machine) const {
  return std::ranges::any_of(mistakes_, [&](const auto& m) { return m.second.machine == &machine || m.second.lender == &machine; });
}

void People::keep(const Fault& fault, Node& machine, std::function<void(bool restart)> end, Node* lender) {
  const uint64_t id = ++next_mistake_;
  mistakes_[id] = {&machine, std::move(end), lender};
  if (fault.duration.count() > 0) later(fault.duration, [this, id] { finish(id, true); });
}

void People::finish(uint64_t id, bool restart) {
  auto it = mistakes_.find(id);
  if (it == mistakes_.end()) return;
  Mistake mistake = std::move(it->second);
  mistakes_.erase(it);
  mistake.end(restart);
}

void People::mend() {
  while (!mistakes_.empty()) finish(mistakes_.begin()->first, false);
  for (Node* machine : stopping_) machine->die(Death::kill);
  stopping_.clear();
}

// --- backups ---------------------------------------------------------------------------------------------------------------------

void People::back_up(size_t index, Node& target) {
  if (target.disk().mounted()) backups_.insert_or_assign(index, std::pair(&target, target.disk().image()));
}

Node* People::backed_up(size_t index) const {
  auto it = backups_.find(index);
  return it == backups_.end() ? nullptr : it->second.first;
}

// --- mistakes --------------------------------------------------------------------------------------------------------------------

bool People::strike(size_t index, const Fault& fault, Node& target) {
  auto backup = backups_.find(index);
  const DiskImage* image = backup == backups_.end() ? nullptr : &backup->second.second;
  if ((needs_backup(fault.kind) && !image) || !target.running() || busy(target) || std::ranges::find(stopping_, &target) != stopping_.end())
    return false;
  switch (fault.kind) {
    case FaultKind::operator_start: return start_wrongly(fault, target), true;
    case FaultKind::operator_clock: return set_clock(fault, target), true;
    case FaultKind::operator_move: return move(fault, target), true;
    case FaultKind::operator_restore: return restore(fault, target, *image), true;
    case FaultKind::operator_unmount: return unmount(fault, target), true;
    case FaultKind::operator_twin: return start_twin(fault, target, nullptr);
    case FaultKind::operator_twin_copy: {
      if (!target.disk().mounted()) return false;
      const DiskImage copy = target.disk().image();
      return start_twin(fault, target, &copy);
    }
    case FaultKind::operator_twin_restore: return start_twin(fault, target, image);
    case FaultKind::operator_stale_first: return start_stale_first(fault, target), true;
    default: ENSURE(false, "{} is no fault of people", to_string(fault.kind));
  }
  return false;
}

void People::start_wrongly(const Fault& fault, Node& target) {
  end_process(target, fault.death, [this, &fault, &target](Effects::Id down) {
    harness_.begin(target, fault);
    start_later(handling(fault), down);
    keep(fault, target, [this, &fault, &target](bool restart) {
      end_and_restart(fault, target, harness_.end(target) ? Death::kill : Death::wipe, restart);
    });
  });
}

// The machine's process ends, and the right one is started where there is somebody to do it.
void People::end_and_restart(const Fault& fault, Node& machine, Death death, bool restart) {
  machine.die(death);
  if (restart) start_later(handling(fault), keep_down(machine, death));
}

void People::set_clock(const Fault& fault, Node& target) {
  end_process(target, fault.death, [this, &fault, &target](Effects::Id down) {
    target.clock().set_wall_offset(Duration(fault.value));
    if (fault.duration.count() > 0) start_later(fault.duration, down);
  });
}

void People::move(const Fault& fault, Node& target) {
  end_process(target, fault.death, [this, &fault, &target](Effects::Id down) {
    target.move(target.name() + "-moved", fault.value == 1);
    harness_.begin(target, fault);
    start_later(handling(fault), down);
    keep(fault, target, [this, &fault, &target](bool restart) {
      harness_.end(target);
      end_and_restart(fault, target, Death::kill, restart);
      target.move(target.name(), false);
    });
  });
}

// What the disk has held since the backup is gone for good. A process that will not start on the old copy, or should not have, is given
// an empty disk in the end: that is what its operator is told to do.
void People::restore(const Fault& fault, Node& target, const DiskImage& image) {
  end_process(target, fault.death, [this, &fault, &target, &image](Effects::Id down) {
    target.die(Death::power_cut);
    target.disk().put(image);
    harness_.begin(target, fault);
    start_later(handling(fault), down);
    keep(fault, target, [this, &fault, &target](bool restart) { end_restored(fault, target, restart); });
  });
}

// A machine that somebody else keeps down has not refused anything: its operator looks again, but for the last time, when all is healed.
void People::end_restored(const Fault& fault, Node& target, bool restart) {
  if (restart && world_.effects().kept_down(target)) {
    const uint64_t id = ++next_mistake_;
    mistakes_[id] = {&target, [this, &fault, &target](bool again) { end_restored(fault, target, again); }, nullptr};
    return later(kLookAgain, [this, id] { finish(id, true); });
  }
  const bool useful = harness_.end(target);
  if (!target.running() || !useful) end_and_restart(fault, target, Death::wipe, restart);
}

void People::unmount(const Fault& fault, Node& target) {
  const Effects::Id down = keep_down(target, Death::power_cut);
  target.die(Death::power_cut);
  target.disk().unmount();
  harness_.begin(target, fault);
  start_later(handling(fault), down);
  keep(fault, target, [this, &fault, &target](bool restart) {
    harness_.end(target);
    end_and_restart(fault, target, Death::power_cut, restart);
    target.disk().mount();
  });
}

bool People::start_twin(const Fault& fault, Node& target, const DiskImage* image) {
  Node* spare = harness_.spare(target);
  if (!spare || busy(*spare)) return false;
  ENSURE(!spare->running(), "{} is no spare machine: it runs", spare->name());
  const Death death = image ? Death::power_cut : Death::wipe;
  const Effects::Id down = keep_down(*spare, death);
  spare->die(death);
  if (image) spare->disk().put(*image);
  Node* const lender = fault.value == 1 && !needs_backup(fault.kind) ? &target : nullptr;
  if (lender) world_.network().lend_name(lender->index(), spare->index());
  harness_.begin(*spare, fault);
  start_later(handling(fault), down);
  const auto end = [this, spare, lender](bool) {
    if (lender) world_.network().give_name_back(lender->index(), spare->index());
    harness_.end(*spare);
    spare->die(Death::kill);
  };
  keep(fault, *spare, end, lender);
  return true;
}

// Once it has missed enough, everybody stops, and of all nodes the one that knows least is the first to start.
void People::start_stale_first(const Fault& fault, Node& target) {
  end_process(target, fault.death, [this, &fault, &target](Effects::Id down) {
    later(std::max(fault.duration, kLook), [this, &fault, &target, down] {
      Rng rng = Rng(fault.draw).split("order");
      const Death death = fault.death == Death::exit ? Death::kill : fault.death;
      for (Node* node : everybody_) node->die(death);
      start_later(handling(fault), down);
      std::vector<Node*> others = everybody_;
      std::erase(others, &target);
      Duration at = handling(fault) + Duration(std::max<int64_t>(0, fault.value));
      while (!others.empty()) {
        const auto next = static_cast<std::ptrdiff_t>(rng.below(others.size()));
        start_later(at, keep_down(*others[static_cast<size_t>(next)], death));
        others.erase(others.begin() + next);
        at += Duration(rng.between(0, std::max<int64_t>(1, fault.value)));
      }
    });
  });
}

}  // namespace sg::sim
