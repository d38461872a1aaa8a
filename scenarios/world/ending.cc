#include "scenarios/world/ending.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::scenario {
namespace {

constexpr size_t kBreakages = static_cast<size_t>(Breakage::unheard) + 1;
constexpr Duration kForEver = std::chrono::hours(24);

void cut(sim::World& world, const sim::Node& from, const sim::Node& to) {
  world.effects().begin({.kind = sim::EffectKind::link_cut, .node = from.index(), .peer = to.index()});
}

void end_process(sim::World& world, sim::Node& node, sim::Death death) {
  if (node.running()) node.die(death);
  world.effects().begin({.kind = sim::down_after(death), .node = node.index()});
}

}  // namespace

std::string_view to_string(Breakage breakage) {
  static constexpr std::string_view kNames[] = {"killed", "dark", "standing", "alone", "deaf", "mute", "estranged", "unheard"};
  static_assert(std::size(kNames) == kBreakages);
  return kNames[static_cast<size_t>(breakage)];
}

std::vector<Broken> draw_broken(Rng rng, size_t nodes) {
  std::vector<Broken> out;
  if (nodes < 3) return out;
  const size_t count = 1 + rng.below((nodes - 1) / 2);
  std::vector<size_t> left;
  for (size_t i = 0; i < nodes; ++i) left.push_back(i);
  while (out.size() < count) {
    const size_t at = rng.below(left.size());
    Broken b{.node = left[at]};
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    // Of several that each have lost another, no majority may be left that hear each other.
    b.breakage = static_cast<Breakage>(rng.below(count == 1 ? kBreakages : static_cast<size_t>(Breakage::estranged)));
    b.other = left[rng.below(left.size())];
    b.to_clients = rng.chance(1, 2);
    out.push_back(b);
  }
  return out;
}

void break_for_ever(sim::World& world, const std::vector<sim::Node*>& nodes, const std::vector<Broken>& broken) {
  for (const Broken& b : broken) {
    sim::Node& node = *nodes[b.node];
    auto each_other = [&](auto&& f) {
      for (size_t i = 0; i < world.node_count(); ++i) {
        sim::Node& peer = world.node(i);
        if (&peer != &node && (b.to_clients || std::ranges::find(nodes, &peer) != nodes.end())) f(peer);
      }
    };
    switch (b.breakage) {
      case Breakage::killed: end_process(world, node, sim::Death::kill); break;
      case Breakage::dark: end_process(world, node, sim::Death::power_cut); break;
      case Breakage::standing: node.stall(world.now() + kForEver, false); break;
      case Breakage::alone:
        each_other([&](sim::Node& peer) {
          cut(world, node, peer);
          cut(world, peer, node);
        });
        break;
      case Breakage::deaf: each_other([&](sim::Node& peer) { cut(world, peer, node); }); break;
      case Breakage::mute: each_other([&](sim::Node& peer) { cut(world, node, peer); }); break;
      case Breakage::estranged: cut(world, *nodes[b.other], node); [[fallthrough]];
      case Breakage::unheard: cut(world, node, *nodes[b.other]); break;
    }
  }
}

std::string describe(const std::vector<sim::Node*>& nodes, const std::vector<Broken>& broken) {
  std::string out;
  for (const Broken& b : broken) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", nodes[b.node]->name(), to_string(b.breakage));
    if (b.breakage >= Breakage::estranged) out += fmt::format(" by {}", nodes[b.other]->name());
    if (b.breakage >= Breakage::alone && b.breakage <= Breakage::mute && !b.to_clients) out += " but for clients";
  }
  return out;
}

}  // namespace sg::scenario
