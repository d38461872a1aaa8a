#include "broker/wal/damage.h"

#include <algorithm>

#include "base/probe.h"

namespace sg::wal {

const KnownDamage* DamageList::find(const Damage& damage) const {
  auto at = std::ranges::find_if(entries_, [&](const KnownDamage& k) { return k.what.covers(damage); });
  return at == entries_.end() ? nullptr : &*at;
}

bool DamageList::note(const Damage& damage) {
  ENSURE(damage.first < damage.next && (damage.is_unattributed() || damage.stream.v >= 0), "stream {}: damage [{}, {})", damage.stream,
         damage.first, damage.next);
  if (find(damage)) return false;
  // What was answered for a part of it is not answered for all of it.
  std::erase_if(entries_, [&](const KnownDamage& k) { return damage.covers(k.what); });
  KnownDamage known{damage, false};
  entries_.insert(std::ranges::lower_bound(entries_, known), known);
  while (entries_.size() > kMaxEntries) make_room();
  return true;
}

// Leaves damage that counts for all that what it took counted for; two steps take away at least one entry.
void DamageList::make_room() {
  auto join = [&](auto&& same, auto&& widened) {
    for (size_t i = 0; i + 1 < entries_.size(); ++i) {
      const Damage a = entries_[i].what;
      const Damage b = entries_[i + 1].what;
      if (!same(a, b)) continue;
      const Damage wide = widened(a, b);
      const bool answered = entries_[i].answered && entries_[i + 1].answered;
      std::erase_if(entries_, [&](const KnownDamage& k) { return k.what == a || k.what == b || wide.covers(k.what); });
      KnownDamage known{wide, answered};
      entries_.insert(std::ranges::lower_bound(entries_, known), known);
      return true;
    }
    return false;
  };
  REACHED("wal: the list of damage is full");
  if (join([](const Damage& a, const Damage& b) { return a.stream == b.stream && a.generation == b.generation; },
           [](const Damage& a, const Damage& b) {
             return Damage{a.stream, a.generation, std::min(a.first, b.first), std::max(a.next, b.next)};
           }))
    return;
  // Of a segment that is later in the log: more streams were there when it was lost.
  if (join([](const Damage& a, const Damage& b) { return a.is_unattributed() && b.is_unattributed(); },
           [](const Damage& a, const Damage& b) {
             return Damage{kEveryStream, std::max(a.generation, b.generation)};
           }))
    return;
  const uint64_t generation = entries_.back().what.generation;
  std::erase_if(entries_, [&](const KnownDamage& k) { return k.what.generation == generation; });
  KnownDamage known{{kEveryStream, generation}, false};
  entries_.insert(std::ranges::lower_bound(entries_, known), known);
}

bool DamageList::answered(const Damage& damage) const {
  return std::ranges::any_of(entries_, [&](const KnownDamage& k) { return k.answered && k.what.covers(damage); });
}

void DamageList::answer(const Damage& damage) {
  note(damage);
  for (KnownDamage& k : entries_)
    if (k.what.covers(damage)) k.answered = true;
}

size_t DamageList::lift(const std::function<bool(const Damage&)>& gone) {
  return std::erase_if(entries_, [&](const KnownDamage& k) { return !k.what.is_unattributed() && gone(k.what); });
}

bool DamageList::unattributed() const {
  return std::ranges::any_of(entries_, [](const KnownDamage& k) { return k.what.is_unattributed(); });
}

}  // namespace sg::wal
