// What faults do to links, disks, clocks and machines for as long as they last.
//
// Invariant: the state of each thing is a fold over the effects in force on it, whatever their order, so the end of one effect changes
// nothing about what another does. Stalls are not among them: each has its end from the beginning, and what is stalled keeps the greatest
// (SimNetwork, SimDisk, Node). A wall clock that was moved, and what is damaged, stays so.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/life.h"

namespace sg::sim {

class Node;
class World;

enum class EffectKind : uint8_t {
  link_cut,      // node -> peer: cut while there is any
  link_delay,    // node -> peer: latency up to the greatest `amount` of ns
  link_hold,     // node -> peer: messages of each kind that is a `word` wait
  slow_disk,     // operations take up to the greatest `amount` of ns
  full_disk,     // room for the least `amount` of bytes
  clock_drift,   // its own drift and the sum of all `amount`s of ppm
  process_down,  // no process while there is any of this or the next
  power_off,     // likewise, and the machine is silent while there is any of these
};

// What keeps a machine down after such a death.
constexpr EffectKind down_after(Death death) {
  return death == Death::power_cut || death == Death::wipe ? EffectKind::power_off : EffectKind::process_down;
}

struct Effect {
  EffectKind kind = EffectKind::link_cut;
  uint32_t node = 0;
  uint32_t peer = 0;  // of a link
  int64_t amount = 0;
  std::string word{};
};

class Effects {
 public:
  using Id = uint64_t;  // never reused; from 1

  explicit Effects(World& world) : world_(world) {}

  // process_down and power_off keep a machine down; what ends its process is up to the caller.
  Id begin(Effect effect);
  // The end of the last that kept a machine down starts it. No effect if it has ended already.
  void end(Id id);

  bool kept_down(const Node& node) const;
  // For whoever starts machines: now, if it is down and nothing keeps it so. Else whoever keeps it down starts it in the end.
  void start(Node& node) const;

  // Healing: all end. Nobody starts by this, and links and disks are the healer's to restore.
  void clear();

 private:
  template <class F>
  void for_each(EffectKind kind, uint32_t node, uint32_t peer, F&& f) const {
    for (const auto& [id, effect] : in_force_)
      if (effect.kind == kind && effect.node == node && effect.peer == peer) f(effect);
  }
  bool any(EffectKind kind, uint32_t node, uint32_t peer = 0) const;
  int64_t greatest(EffectKind kind, uint32_t node, uint32_t peer = 0) const;
  void apply(const Effect& changed);
  void apply_to_link(const Effect& changed);
  void apply_to_disk(const Effect& changed);
  void set_drift(uint32_t node);

  World& world_;
  std::map<Id, Effect> in_force_;
  Id last_ = 0;
};

}  // namespace sg::sim
