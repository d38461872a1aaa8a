#include "sim/effects.h"

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/world.h"

namespace sg::sim {

Effects::Id Effects::begin(Effect effect) {
  const auto [added, fresh] = in_force_.emplace(++last_, std::move(effect));
  ENSURE(fresh);
  apply(added->second);
  return last_;
}

void Effects::end(Id id) {
  auto it = in_force_.find(id);
  if (it == in_force_.end()) return;
  const Effect ended = std::move(it->second);
  in_force_.erase(it);
  if (ended.kind != EffectKind::process_down && ended.kind != EffectKind::power_off) return apply(ended);
  Node& node = world_.node(ended.node);
  if (ended.kind == EffectKind::power_off && !any(EffectKind::power_off, ended.node)) world_.network().power_on(ended.node);
  start(node);
}

bool Effects::kept_down(const Node& node) const {
  return any(EffectKind::process_down, node.index()) || any(EffectKind::power_off, node.index());
}

void Effects::start(Node& node) const {
  if (!node.running() && !kept_down(node)) node.start();
}

void Effects::clear() {
  const auto ended = std::exchange(in_force_, {});
  for (const auto& [id, effect] : ended)
    if (effect.kind == EffectKind::clock_drift) set_drift(effect.node);
}

// --- folds -----------------------------------------------------------------------------------------------------------------------

bool Effects::any(EffectKind kind, uint32_t node, uint32_t peer) const {
  bool found = false;
  for_each(kind, node, peer, [&](const Effect&) { found = true; });
  return found;
}

int64_t Effects::greatest(EffectKind kind, uint32_t node, uint32_t peer) const {
  int64_t out = INT64_MIN;
  for_each(kind, node, peer, [&](const Effect& effect) { out = std::max(out, effect.amount); });
  return out;
}

void Effects::apply(const Effect& changed) {
  switch (changed.kind) {
    case EffectKind::link_cut:
    case EffectKind::link_delay:
    case EffectKind::link_hold: return apply_to_link(changed);
    case EffectKind::slow_disk:
    case EffectKind::full_disk: return apply_to_disk(changed);
    case EffectKind::clock_drift: return set_drift(changed.node);
    case EffectKind::process_down:
    case EffectKind::power_off: return;
  }
}

void Effects::apply_to_link(const Effect& changed) {
  SimNetwork& network = world_.network();
  const auto [kind, from, to] = std::tuple(changed.kind, changed.node, changed.peer);
  if (kind == EffectKind::link_cut) {
    const bool cut = any(kind, from, to);
    if (cut && !network.is_cut(from, to)) network.cut(from, to);
    if (!cut) network.heal(from, to);
  } else if (kind == EffectKind::link_delay) {
    LinkOptions link = network.options().link;
    if (any(kind, from, to)) link.latency_max = std::max(link.latency_min, Duration(greatest(kind, from, to)));
    network.set_link(from, to, link);
  } else {
    std::vector<std::string> kinds;
    for_each(kind, from, to, [&](const Effect& effect) { kinds.push_back(effect.word); });
    std::ranges::sort(kinds);
    kinds.erase(std::ranges::unique(kinds).begin(), kinds.end());
    network.hold(from, to, std::move(kinds));
  }
}

void Effects::apply_to_disk(const Effect& changed) {
  SimDisk& disk = world_.node(changed.node).disk();
  if (changed.kind == EffectKind::slow_disk) {
    DiskLatency latency = disk.options().latency;
    if (any(changed.kind, changed.node))
      latency.read_max = latency.write_max = latency.sync_max =
          std::max({Duration(greatest(changed.kind, changed.node)), latency.read_max, latency.write_max, latency.sync_max});
    return disk.set_latency(latency);
  }
  uint64_t room = disk.options().capacity_bytes;
  for_each(changed.kind, changed.node, 0, [&](const Effect& effect) { room = std::min(room, static_cast<uint64_t>(effect.amount)); });
  disk.set_capacity(room);
}

void Effects::set_drift(uint32_t node) {
  constexpr int64_t kMost = SimClock::kMaxDriftPpm;  // beyond this nothing counts, and nothing overflows
  int64_t sum = 0;
  for_each(EffectKind::clock_drift, node, 0, [&](const Effect& effect) { sum += std::clamp(effect.amount, -kMost, kMost); });
  world_.node(node).set_drift(sum);
}

}  // namespace sg::sim
