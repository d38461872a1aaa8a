// One stream of the running journal: its fold, the payloads of its youngest entries, and how far each step of durability has come.
//
// Invariant: `payloads` belong to the last payloads.size() entries of `log`, in order.
#pragma once

#include <deque>
#include <limits>
#include <vector>

#include "broker/wal/stream_log.h"

namespace sg::wal {

// What a fold of commits knows of a stream.
struct StreamFacts {
  explicit StreamFacts(StreamId stream) : log(stream) {}
  StreamLog log;
  std::vector<Hole> holes;
  bool suspect = false;  // something is missing, and nobody knows which positions
  // The segments whose records tell the present start and mark; 0 = nothing was told. Before such a segment is recycled, a base record
  // repeats the facts.
  uint64_t start_generation = 0;
  uint64_t mark_generation = 0;

  bool damaged() const { return suspect || !holes.empty(); }
  void add_hole(int64_t first, int64_t next);
  void heal() {
    suspect = false;
    holes.clear();
  }
  // Forgets holes, or parts of them, that lie outside of [start, end) by now.
  void trim_holes();
  StreamState state() const;
};

struct CachedPayload {
  SharedBytes bytes;
  uint64_t ticket = 0;  // of its append
  uint64_t commit = 0;  // the sequence of its commit; 0 while it is queued
};

struct Stream : StreamFacts {
  static constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
  using StreamFacts::StreamFacts;
  explicit Stream(StreamFacts facts);

  std::deque<CachedPayload> payloads;

  // As of the last commit that was composed: what a base record of the next one tells.
  int64_t composed_start = 0;
  int64_t composed_end = 0;
  int64_t composed_base_epoch = -1;
  int64_t composed_mark = 0;

  int64_t durable_end = 0;
  // Truncations that were asked for and are not durable: nothing above the lowest counts as durable, since it may be of either past.
  uint32_t truncations = 0;
  int64_t lowest_truncation = kNone;

  bool mark_is_dirty = false;
  bool dropped = false;
  bool touched = false;  // by the commit in flight
};

}  // namespace sg::wal
