// What is known to be damaged: remembered once, by its place, and never dropped for want of room.
#include "broker/wal/damage.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

using namespace sg;
using namespace sg::wal;

namespace {
constexpr StreamId kA{16}, kB{17};

// What the list has to go on saying of a piece of damage: it, or something wider, or everything that was there by then.
bool counts(const DamageList& list, const Damage& d) {
  return std::ranges::any_of(list.entries(), [&](const KnownDamage& k) {
    return k.what.covers(d) || (k.what.is_unattributed() && k.what.generation >= d.generation);
  });
}
}  // namespace

TEST_CASE("given known damage, when it or a part of it is noted again, then nothing changes; what is wider takes its place") {
  DamageList list;
  CHECK(list.note({kA, 3, 10, 20}));
  CHECK_FALSE(list.note({kA, 3, 10, 20}));
  CHECK_FALSE(list.note({kA, 3, 12, 15}));
  CHECK(list.note({kB, 3, 12, 15}));
  CHECK(list.note({kA, 4, 12, 15}));
  CHECK(list.note({kA, 3, 5, 30}));
  CHECK(list.entries().size() == 3);
  CHECK_FALSE(list.unattributed());
  CHECK(list.note({kEveryStream, 1}));
  CHECK(list.unattributed());
}

TEST_CASE("given damage that a voter id was drawn for, when it is found again, then it is answered; when it has grown, it is not") {
  DamageList list;
  list.answer({kRaftLog, 3, 10, 20});
  CHECK(list.answered({kRaftLog, 3, 10, 20}));
  CHECK(list.answered({kRaftLog, 3, 11, 12}));
  CHECK_FALSE(list.answered({kRaftLog, 3, 10, 21}));
  CHECK_FALSE(list.answered({kRaftLog, 4, 10, 20}));
  list.note({kRaftLog, 3, 10, 21});
  CHECK_FALSE(list.answered({kRaftLog, 3, 10, 20}));
}

TEST_CASE("given damage of single streams, when nothing of it is left, then it is lifted; what counts for every stream never is") {
  DamageList list;
  list.note({kA, 3, 10, 20});
  list.note({kB, 3, 10, 20});
  list.note({kEveryStream, 2, 1, 2});
  CHECK(list.lift([](const Damage& d) { return d.stream == kA; }) == 1);
  CHECK(list.lift([](const Damage&) { return true; }) == 1);
  CHECK(list.entries().size() == 1);
  CHECK(list.unattributed());
}

TEST_CASE("given more damage than there is room for, then all of it still counts") {
  CHECK(rc::check([](const std::vector<std::pair<uint8_t, uint8_t>>& draws) {
    DamageList list;
    std::vector<Damage> noted;
    for (size_t i = 0; i < draws.size() * 8; ++i) {
      auto [stream, generation] = draws[i % draws.size()];
      int64_t at = static_cast<int64_t>(i) * 10;
      StreamId id = stream % 8 == 0 ? kEveryStream : StreamId{16 + stream % 100};
      noted.push_back({id, 1 + generation % 40u, at, at + 5});
      list.note(noted.back());
      RC_ASSERT(list.entries().size() <= DamageList::kMaxEntries);
      RC_ASSERT(std::ranges::is_sorted(list.entries()));
    }
    for (const Damage& d : noted) RC_ASSERT(counts(list, d));
  }));
}
