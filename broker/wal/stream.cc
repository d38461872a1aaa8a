#include "broker/wal/stream.h"

#include <algorithm>

namespace sg::wal {

void StreamFacts::add_hole(int64_t first, int64_t next) {
  ENSURE(first < next, "stream {}: hole [{}, {})", log.stream(), first, next);
  for (const Hole& hole : holes)
    if (hole.first <= first && next <= hole.next) return;
  holes.push_back({first, next});
  std::ranges::sort(holes, {}, &Hole::first);
}

void StreamFacts::trim_holes() {
  for (Hole& hole : holes) {
    hole.first = std::max(hole.first, log.start());
    hole.next = std::min(hole.next, log.end());
  }
  std::erase_if(holes, [](const Hole& hole) { return hole.first >= hole.next; });
}

StreamState StreamFacts::state() const {
  return StreamState{log.stream(), log.start(), log.end(), log.last_epoch(), log.mark(), damaged(), holes, log.epoch_starts()};
}

Stream::Stream(StreamFacts facts) : StreamFacts(std::move(facts)) {
  composed_start = log.start();
  composed_end = durable_end = log.end();
  composed_base_epoch = log.base_epoch();
  composed_mark = log.mark();
}

}  // namespace sg::wal
