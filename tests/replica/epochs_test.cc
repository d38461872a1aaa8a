// Leader epochs: the table of KIP-279's cases, and a twin that keeps the epoch of every single offset.
#include "broker/replica/epochs.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <vector>

namespace sg::replica {
namespace {

LeaderEpoch le(int32_t v) { return LeaderEpoch(v); }
Offset at(int64_t v) { return Offset(v); }

TEST_CASE("given epochs 1, 3 and 4, end_of finds the largest epoch that is not above, and its end") {
  Epochs epochs;
  epochs.append(le(1), at(10));
  epochs.append(le(3), at(20));
  epochs.append(le(3), at(25));
  epochs.append(le(4), at(30));
  struct Row {
    int32_t asked, epoch;
    int64_t end;
  };
  for (Row r : {Row{0, -1, 10}, {1, 1, 20}, {2, 1, 20}, {3, 3, 30}, {4, 4, 42}, {9, 4, 42}, {-1, -1, 10}}) {
    CAPTURE(r.asked);
    CHECK(epochs.end_of(le(r.asked), at(10), at(42)) == EpochEnd{le(r.epoch), at(r.end)});
  }
}

TEST_CASE("given a truncation inside an epoch, when it is exact at an epoch's start, then that epoch is gone") {
  Epochs epochs;
  epochs.append(le(1), at(0));
  epochs.append(le(2), at(5));
  epochs.truncate(at(6));
  CHECK(epochs.last() == le(2));
  epochs.truncate(at(5));
  CHECK(epochs.last() == le(1));
  epochs.truncate(at(0));
  CHECK(epochs.last() == kNoLeaderEpoch);
}

// The epoch of each offset, one by one.
struct DumbEpochs {
  std::vector<int32_t> of;

  EpochEnd end_of(int32_t epoch) const {
    EpochEnd found{kNoLeaderEpoch, at(0)};
    for (size_t i = 0; i < of.size(); ++i)
      if (of[i] <= epoch) found = {le(of[i]), at(static_cast<int64_t>(i) + 1)};
    return found;
  }
};

TEST_CASE("given any appends and truncations, the table answers as its dumb twin does") {
  CHECK(rc::check([](const std::vector<std::pair<uint8_t, uint8_t>>& steps) {
    Epochs epochs;
    DumbEpochs twin;
    int32_t epoch = 0;
    for (auto [kind, amount] : steps) {
      auto end = static_cast<int64_t>(twin.of.size());
      if (kind % 3 == 0) {
        int64_t to = end * amount / 255;
        epochs.truncate(at(to));
        twin.of.resize(static_cast<size_t>(to));
      } else {
        epoch += amount % 3;
        epochs.append(le(epoch), at(end));
        twin.of.insert(twin.of.end(), 1 + amount % 4, epoch);
      }
      for (int32_t asked = -1; asked <= epoch + 1; ++asked)
        RC_ASSERT(epochs.end_of(le(asked), at(0), at(static_cast<int64_t>(twin.of.size()))) == twin.end_of(asked));
      RC_ASSERT(epochs.last() == (twin.of.empty() ? kNoLeaderEpoch : le(twin.of.back())));
    }
  }));
}

}  // namespace
}  // namespace sg::replica
