// What is known to be missing in a directory, of bounded size, so that it fits into the identity and a restart forgets nothing. Pure.
//
// Invariant: whatever was noted counts until it is lifted. Where there is no room, damage is widened, never dropped: several ranges of one
// stream become one, and at last a segment's damage counts for every stream.
#pragma once

#include <functional>
#include <vector>

#include "broker/wal/types.h"

namespace sg::wal {

struct KnownDamage {
  Damage what;
  bool answered = false;  // a voter id was drawn for it
  auto operator<=>(const KnownDamage&) const = default;
};

class DamageList {
 public:
  static constexpr size_t kMaxEntries = 80;

  DamageList() = default;
  // Sorted, at most kMaxEntries.
  explicit DamageList(std::vector<KnownDamage> entries) : entries_(std::move(entries)) {}

  // False if it was known already.
  bool note(const Damage& damage);
  bool knows(const Damage& damage) const { return find(damage) != nullptr; }
  // Whether a voter id was drawn for it.
  bool answered(const Damage& damage) const;
  void answer(const Damage& damage);
  // Forgets the damage of single streams for which `gone` says that nothing of it is left in the log.
  size_t lift(const std::function<bool(const Damage&)>& gone);

  bool unattributed() const;
  const std::vector<KnownDamage>& entries() const { return entries_; }
  bool operator==(const DamageList&) const = default;

 private:
  const KnownDamage* find(const Damage& damage) const;
  void make_room();

  std::vector<KnownDamage> entries_;  // sorted
};

}  // namespace sg::wal
