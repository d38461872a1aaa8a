// One stream in memory: the fold of its records. Used alike by recovery and by the running journal. Pure.
//
// Invariant: entries are in order of position without overlap, all at or above start(); end() is the last entry's next, or start()
// when there is none. Memory is one Entry per batch, never per record.
#pragma once

#include <algorithm>
#include <deque>
#include <ranges>

#include "broker/wal/format.h"
#include "broker/wal/types.h"

namespace sg::wal {

struct Entry {
  int64_t first = 0;
  int64_t next = 0;
  int64_t epoch = 0;
  uint64_t generation = 0;  // the segment that holds it; 0 = still queued
  uint64_t at = 0;          // the payload's place in that segment, in bytes
  uint32_t bytes = 0;       // of the payload
  uint32_t prefix_bytes = 0;
  uint32_t prefix_crc = 0;
  uint32_t body_crc = 0;
  Aux aux;
};

using Entries = std::deque<Entry>;
using EntryRange = std::ranges::subrange<Entries::const_iterator>;

class StreamLog {
 public:
  explicit StreamLog(StreamId stream) : stream_(stream) {}

  StreamId stream() const { return stream_; }
  int64_t start() const { return start_; }
  int64_t end() const { return entries_.empty() ? start_ : entries_.back().next; }
  // Of the last entry, alive or dead; -1 = there never was one.
  int64_t last_epoch() const { return entries_.empty() ? base_epoch_ : entries_.back().epoch; }
  // Of the last entry below start().
  int64_t base_epoch() const { return base_epoch_; }
  int64_t mark() const { return mark_; }
  const Entries& entries() const { return entries_; }
  const std::vector<EpochStart>& epoch_starts() const { return epoch_starts_; }

  // Entries from the one that holds `position` (or, in a gap, the first after it).
  EntryRange from(int64_t position) const;
  size_t index_of(int64_t position) const;
  // The largest entry boundary that is not above `position`; at least start(), at most end().
  int64_t boundary_below(int64_t position) const;

  // An empty stream goes on at `position`.
  void jump(int64_t position) {
    ENSURE(entries_.empty());
    start_ = position;
  }
  // For a fold that learns the start after the entries.
  void set_start(int64_t start);
  // An entry at or after the end.
  void append(Entry entry);
  Entry& entry(size_t index) { return entries_[index]; }

  // Each calls `died` for every entry that it removes: truncate from the end, advance_start from the start.
  template <class F>
  void truncate(int64_t new_end, F&& died) {
    while (!entries_.empty() && entries_.back().next > new_end) {
      died(entries_.back());
      entries_.pop_back();
    }
    truncated();
  }
  template <class F>
  void advance_start(int64_t new_start, F&& died) {
    while (!entries_.empty() && entries_.front().next <= new_start) {
      died(entries_.front());
      base_epoch_ = entries_.front().epoch;
      entries_.pop_front();
    }
    started(new_start);
  }
  void note_base_epoch(int64_t epoch) { base_epoch_ = std::max(base_epoch_, epoch); }
  void set_mark(int64_t mark) { mark_ = mark; }

 private:
  void truncated();
  void started(int64_t new_start);

  StreamId stream_;
  int64_t start_ = 0;
  int64_t base_epoch_ = -1;
  int64_t mark_ = 0;
  Entries entries_;
  std::vector<EpochStart> epoch_starts_;
};

}  // namespace sg::wal
