// One stream of one node as its disk holds it: entries with a chain hash, so that "equal up to here" is one comparison.
// Invariant: two logs with the same chain at a position hold the same entries below it (spec: correctness.md part 1, 3).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

namespace sg::scenario {

inline constexpr uint64_t kEmptyChain = 0x243f6a8885a308d3;

struct LogEntry {
  int64_t first = 0;
  int64_t next = 0;
  int64_t epoch = 0;        // leader epoch or Raft term
  uint32_t body_crc = 0;    // of a record batch: its own CRC
  uint64_t chain = 0;       // of everything up to and including this entry
  uint64_t generation = 0;  // of the segment that holds it
  int64_t term = 0;         // Raft's, when it was written: that of the leader it was accepted from, or a later one
};

// The chain after an entry that covers [first, next).
constexpr uint64_t extend(uint64_t chain, int64_t first, int64_t next, int64_t epoch, uint32_t prefix_crc, uint32_t body_crc) {
  auto mix = [](uint64_t h, uint64_t word) {
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ (h >> 29);
  };
  chain = mix(chain, static_cast<uint64_t>(first));
  chain = mix(chain, static_cast<uint64_t>(next));
  chain = mix(chain, static_cast<uint64_t>(epoch));
  return mix(chain, (uint64_t{prefix_crc} << 32) | body_crc);
}

class DurableLog {
 public:
  int64_t start() const { return start_; }
  int64_t end() const { return entries_.empty() ? start_ : entries_.back().next; }
  const std::deque<LogEntry>& entries() const { return entries_; }

  // The chain of everything below `position`; nothing unless an entry ends there (or the log starts there).
  std::optional<uint64_t> chain_at(int64_t position) const;
  // The entry that ends at `position`; null if none does.
  const LogEntry* ending_at(int64_t position) const;

  // At or behind the end (a gap only where the stream has them: Raft's snapshots).
  void append(const LogEntry& entry);
  // Drops every entry that reaches beyond `position`.
  void truncate(int64_t position);
  // Drops every entry that ends at or below `position`. `base_chain`: the chain there if the log does not reach that far.
  void advance_start(int64_t position, uint64_t base_chain);
  // Something else takes the place of everything below `position`, whatever stood there.
  void replace_start(int64_t position, uint64_t chain);
  // Forgets everything: what follows begins at `position`, where the chain is `chain`.
  void begin_anew(int64_t position, uint64_t chain);

 private:
  int64_t start_ = 0;
  uint64_t start_chain_ = kEmptyChain;
  std::deque<LogEntry> entries_;
};

}  // namespace sg::scenario
