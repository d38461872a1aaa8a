// The journal's vocabulary: streams, entries, and what is asked of and told by the journal.
//
// A stream is a sequence of entries; an entry covers the positions [first, next) of its stream and carries one opaque payload.
// Raft's log, Raft's snapshots and every partition are streams of one journal (docs/formats/journal.md).
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sg::wal {

inline constexpr StreamId kRaftLog{0};                // position = log index
inline constexpr StreamId kRaftSnapshots{1};          // position = last included index; the only stream whose positions may jump
inline constexpr StreamId kFirstPartitionStream{16};  // position = offset; below it: metadata, which may use the reserve

constexpr bool is_metadata(StreamId stream) { return stream < kFirstPartitionStream; }

// Up to 40 bytes that an entry's descriptor carries for its owner: a partition's producer id, epoch, base sequence, max timestamp and
// record count, so that producer state and timestamp look-ups are a fold over descriptors, without reading payloads.
struct Aux {
  static constexpr size_t kMaxBytes = 40;
  std::array<uint8_t, kMaxBytes> bytes{};
  uint8_t size = 0;

  Aux() = default;
  explicit Aux(ByteSpan from) : size(static_cast<uint8_t>(from.size())) {
    ENSURE(from.size() <= kMaxBytes, "aux of {} bytes", from.size());
    if (!from.empty()) std::memcpy(bytes.data(), from.data(), from.size());
  }
  ByteSpan span() const { return {bytes.data(), size}; }
  bool operator==(const Aux& other) const { return equal(span(), other.span()); }
};

// One entry on its way into the journal. The payload is kept by reference until its commit starts, so it is not written to any more.
struct Append {
  StreamId stream;
  int64_t first = 0;
  int64_t next = 0;   // > first
  int64_t epoch = 0;  // leader epoch, or Raft term; never below that of the entry before
  SharedBytes payload;
  // The journal checksums payload[0, prefix_bytes) itself; `body_crc` is the CRC-32C of the rest, computed by whoever received it
  // (for a record batch: prefix 21 bytes, body = what Kafka's own CRC covers). A caller without a checksum uses whole_payload().
  uint32_t prefix_bytes = 0;
  uint32_t body_crc = 0;
  Aux aux;

  static Append whole_payload(StreamId stream, int64_t first, int64_t next, int64_t epoch, SharedBytes payload) {
    auto bytes = static_cast<uint32_t>(payload.size());
    return Append{stream, first, next, epoch, std::move(payload), bytes, 0, {}};
  }
};

// What came back from the journal, verified. Shares a larger buffer: copy it to keep it for long.
struct ReadBatch {
  int64_t first = 0;
  int64_t next = 0;
  int64_t epoch = 0;
  SharedBytes payload;
};

struct HardState {
  Term term{0};
  NodeId vote = kNoNode;
  VoterId vote_id{0};  // of the node that the vote went to; 0 also where the journal was written before votes named it
  bool operator==(const HardState&) const = default;
};

struct EpochStart {
  int64_t epoch = 0;
  int64_t first = 0;  // the position where the epoch begins (or where the stream begins, if that is later)
  bool operator==(const EpochStart&) const = default;
};

// Positions [first, next) that were promised once and cannot be read any more.
struct Hole {
  int64_t first = 0;
  int64_t next = 0;
  bool operator==(const Hole&) const = default;
};

inline constexpr StreamId kEveryStream{-1};

// Something promised that is missing, by its place. It is the same damage at the next start if it lies in the same segment and range.
struct Damage {
  StreamId stream = kEveryStream;  // kEveryStream: nobody knows what was lost, so it counts for every stream of the node
  uint64_t generation = 0;         // of the segment
  int64_t first = 0;               // positions of the stream; of kEveryStream: sequences of commits
  int64_t next = std::numeric_limits<int64_t>::max();
  auto operator<=>(const Damage&) const = default;
  bool is_unattributed() const { return stream == kEveryStream; }
  bool covers(const Damage& other) const {
    return stream == other.stream && generation == other.generation && first <= other.first && other.next <= next;
  }
};

// One stream as recovery found it.
struct StreamState {
  StreamId stream;
  int64_t start = 0;        // positions below are dead
  int64_t end = 0;          // the next position; equal to start when empty
  int64_t last_epoch = -1;  // of the last entry, also when that is dead by now; -1 = never had one
  int64_t mark = 0;         // the high watermark as last noted; a lower bound
  bool damaged = false;     // something promised is missing: holes say what, or nobody knows (no holes)
  std::vector<Hole> holes;
  std::vector<EpochStart> epoch_starts;
  bool operator==(const StreamState&) const = default;
};

// `durable_end`: every position of the stream below it is on the disk, and no truncation that was asked for touches it.
struct StreamEnd {
  StreamId stream;
  int64_t durable_end = 0;
  bool operator==(const StreamEnd&) const = default;
};

// Requests are numbered in the order in which they were made, separately for metadata (hard state, streams below 16) and for data,
// because metadata overtakes data. A ticket is durable when every request of its lane up to it is.
struct Tickets {
  uint64_t metadata = 0;
  uint64_t data = 0;
  bool operator==(const Tickets&) const = default;
};

// Told from the commit task, between two suspensions. It may ask the journal for more; it does not suspend.
class JournalListener {
 public:
  virtual ~JournalListener() = default;
  // After each commit: streams whose durable end may have changed, and the tickets that are durable now.
  virtual void on_durable(std::span<const StreamEnd> ends, Tickets durable) = 0;
  // A segment file of the running journal is gone, shorter than it was, or another file: what was in it is damage of these streams, and
  // damaged() says so. Told from another task than the commits'.
  virtual void on_damaged(std::span<const StreamId> streams, const Error& what) = 0;
  // Once: a write or sync failed. Nothing that was not reported durable will ever be; the node halts.
  virtual void on_failed(const Error& error) = 0;
};

}  // namespace sg::wal
