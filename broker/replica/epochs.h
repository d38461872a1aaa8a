// The leader epochs of a log: where each begins (KIP-101). A fold of the log: an epoch is here if and only if a record of it is.
// Invariant: epochs and start offsets both grow strictly.
#pragma once

#include <vector>

#include "base/ids.h"

namespace sg::replica {

struct EpochStart {
  LeaderEpoch epoch;
  Offset start;
  bool operator==(const EpochStart&) const = default;
};

struct EpochEnd {
  LeaderEpoch epoch = kNoLeaderEpoch;
  Offset end;  // exclusive
  bool operator==(const EpochEnd&) const = default;
};

class Epochs {
 public:
  // A record of `epoch` was appended at `base`. Epochs never go back, and positions grow.
  void append(LeaderEpoch epoch, Offset base);

  // The log now ends at `end`.
  void truncate(Offset end);

  // The epoch of the last record; none where the log is empty.
  LeaderEpoch last() const { return starts_.empty() ? kNoLeaderEpoch : starts_.back().epoch; }

  // The largest epoch that is not above `epoch`, and where it ends in a log of [log_start, log_end): at the start of the next one, or at
  // the log's end. {none, log_start} where there is none.
  EpochEnd end_of(LeaderEpoch epoch, Offset log_start, Offset log_end) const;

  const std::vector<EpochStart>& starts() const { return starts_; }

 private:
  std::vector<EpochStart> starts_;
};

}  // namespace sg::replica
