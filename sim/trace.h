// The trace: a stream of typed events, folded into one rolling 64-bit hash. Same seed, same hash, on every machine and compiler.
//
// Invariant: the hash depends on the events alone, never on whether or how they are recorded, and no text is built unless somebody
// records. Notes (log lines) are recorded among the events but are not part of the stream: they neither count nor hash.
// Spec: architecture §8; what the kinds' four numbers mean is written beside each kind.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/time.h"

namespace sg::sim {

enum class TraceKind : uint16_t {
  none,
  node_start,      // incarnation
  node_exit,       // incarnation, exit code
  node_death,      // incarnation, Death
  node_stop,       // incarnation
  node_stall,      // ns, whether the clock stops too
  turn,            // resumes
  callback,        // slot
  listen,          // port
  connect,         // connection, remote node, port
  accept,          // connection, remote node
  refused,         // connection
  send,            // connection, bytes, crc32c
  deliver,         // connection, bytes
  stream_end,      // connection, 0 = end of stream, 1 = reset
  close,           // connection
  link,            // from, to, LinkChange, value
  disk_open,       // file, mode
  disk_read,       // file, offset, bytes
  disk_write,      // file, offset, bytes, crc32c of the first bytes
  disk_written,    // file, offset, bytes, Errc + 1 (0 = ok)
  disk_sync,       // file, sectors, Errc + 1 (0 = ok)
  disk_truncate,   // file, size
  disk_name,       // NameChange, file
  disk_name_sync,  // changes made durable
  disk_cut,        // sectors kept, lost, torn
  fault,           // index in the plan, FaultKind, draw
  note,            // a log line (text only)
  disk_exchange,   // DiskExchange, image
  host_moved,      // host, whether its old name leads there too
  user = 256,      // from here on: kinds of the scenarios
};

struct TraceEvent {
  Time time;
  uint64_t a = 0, b = 0, c = 0, d = 0;
  uint32_t node = 0;
  TraceKind kind = TraceKind::none;
  bool operator==(const TraceEvent&) const = default;
};
inline constexpr uint32_t kNoNodeIndex = UINT32_MAX;

std::string_view to_string(TraceKind kind);
// "12.345678901 n2 send 7 120 99 0 text"
std::string to_line(const TraceEvent& event, std::string_view text = {});

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void on_event(const TraceEvent& event, std::string_view text) = 0;
};

class Trace {
 public:
  static constexpr size_t kRingSize = 64;

  // Node indices are small and dense; kNoNodeIndex is the world itself.
  void event(Time time, uint32_t node, TraceKind kind, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0) {
    TraceEvent e{time, a, b, c, d, node, kind};
    fold(e);
    if (sink_) sink_->on_event(e, {});
  }
  // `text` is a callable that returns a string; called only when somebody records.
  template <class Text>
  void event_with(Text&& text, Time time, uint32_t node, TraceKind kind, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0) {
    TraceEvent e{time, a, b, c, d, node, kind};
    fold(e);
    if (sink_) sink_->on_event(e, text());
  }
  void note(Time time, uint32_t node, LogLevel level, std::string_view component, std::string_view message);

  bool recording() const { return sink_ != nullptr; }
  // Borrowed; null stops recording.
  void record_to(TraceSink* sink) { sink_ = sink; }

  uint64_t hash() const { return hash_; }
  uint64_t count() const { return count_; }

  // The last events of a node, oldest first: for failure reports.
  std::vector<TraceEvent> last(uint32_t node) const;

 private:
  struct Ring {
    std::array<TraceEvent, kRingSize> events;
    uint64_t next = 0;
  };
  static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9fb21c651e98df25u;
    return hash ^ (hash >> 29);
  }
  void fold(const TraceEvent& e);
  Ring& ring_of(uint32_t node);

  uint64_t hash_ = 0x5d7f3c6a91e2b804u;
  uint64_t count_ = 0;
  TraceSink* sink_ = nullptr;
  std::vector<Ring> rings_;  // [0] = the world, [i + 1] = node i
};

// Keeps everything in memory.
class MemoryTrace final : public TraceSink {
 public:
  struct Record {
    TraceEvent event;
    std::string text;
  };
  void on_event(const TraceEvent& event, std::string_view text) override { records_.push_back({event, std::string(text)}); }
  const std::vector<Record>& records() const { return records_; }

 private:
  std::vector<Record> records_;
};

// The index of the first event at which two traces differ, notes left out; nullopt if they are equal.
std::optional<size_t> first_difference(const MemoryTrace& a, const MemoryTrace& b);
// Both sides around that event, with the log lines between, for a person. The names stand above each side.
std::string describe_difference(const MemoryTrace& a, const MemoryTrace& b, size_t index, std::string_view name_a = "first run",
                                std::string_view name_b = "second run", size_t context = 5);

}  // namespace sg::sim
