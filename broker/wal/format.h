// The journal's format: segment header, commit (header, payloads, trailer) and segment index. Pure: bytes in, values out.
// Layout tables and a worked example: docs/formats/journal.md. All integers are little-endian.
//
// Invariant: whatever decodes is exactly what was encoded, at the place where it was written: every structure carries its own
// checksum, and a commit names its directory, segment generation, position, sequence and predecessor.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "broker/wal/types.h"

namespace sg::wal {

inline constexpr size_t kBlockBytes = 4096;  // the least a commit occupies; devices with larger blocks use a multiple
// Version 2: votes name the voter, segment headers the directory's own voter id. Version 1 is read, with 0 for both.
inline constexpr uint16_t kFormatVersion = 2;
inline constexpr uint16_t kOldestVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 128;
// A commit's header without its records. What version 2 added stands behind them, so that whoever reads the records of version 1 reads on.
inline constexpr size_t kOldCommitFixedBytes = 120;
inline constexpr size_t kCommitFixedBytes = kOldCommitFixedBytes + 8;
inline constexpr size_t kFooterBytes = 16;
inline constexpr size_t kIndexFixedBytes = 56;

constexpr uint64_t round_up(uint64_t n, uint64_t block) { return (n + block - 1) / block * block; }

// Where the chain stands after a commit (or before the first one: all zero).
struct ChainEnd {
  uint64_t generation = 0;  // the segment that holds the commit
  uint64_t position = 0;    // the byte after the commit
  uint64_t sequence = 0;    // of the commit
  uint32_t crc = 0;         // of the commit's header: the next commit repeats it
  bool operator==(const ChainEnd&) const = default;
};

// Block 0 of a segment, twice (at 0 and in the middle of the block), so that one bad sector does not lose it.
struct SegmentHeader {
  Uuid cluster_id;  // zero while it is not known yet
  Uuid directory_id;
  uint64_t generation = 0;  // 1, 2, 3, ...: the order of segments
  Incarnation incarnation;
  uint64_t floor = 0;  // generations below are dead
  uint32_t block_bytes = kBlockBytes;
  ChainEnd previous;  // where the log ends before this segment; vouches for all of it
  HardState hard_state;
  VoterId voter_id{0};  // whose votes and promises these are
  bool operator==(const SegmentHeader&) const = default;
};

enum class RecordKind : uint8_t {
  append = 1,
  truncate = 2,       // first = the new end
  advance_start = 3,  // first = the new start; epoch = that of the last entry below it
  mark = 4,           // first = the high watermark
  drop = 5,           // the stream is dead; its id is never used again
  base = 6,    // first = start, next = end, epoch = that of the last entry below the start, mark: what a recycled segment used to tell
  healed = 7,  // what counted as damage of the stream so far is mended
};

// One line of a commit's header.
struct Record {
  RecordKind kind = RecordKind::append;
  StreamId stream{};
  int64_t first = 0;
  int64_t next = 0;
  int64_t epoch = 0;
  int64_t mark = 0;
  // append only
  uint32_t payload_bytes = 0;
  uint32_t prefix_bytes = 0;
  uint32_t prefix_crc = 0;
  uint32_t body_crc = 0;
  Aux aux{};
  uint64_t payload_at = 0;  // decoded only: the payload's place, in bytes from the start of the commit
  bool operator==(const Record&) const = default;
};

inline constexpr uint16_t kOrderlyStop = 1;  // flag: the process ended here of its own will

struct CommitHeader {
  uint16_t version = kFormatVersion;
  uint16_t flags = 0;
  Uuid cluster_id;
  Uuid directory_id;
  uint64_t sequence = 0;  // 1, 2, 3, ... without a gap
  uint64_t generation = 0;
  uint64_t position = 0;  // byte offset in the segment
  Incarnation incarnation;
  uint32_t previous_crc = 0;   // of the header of the commit before
  uint32_t commit_bytes = 0;   // header, payloads, padding and trailer
  uint32_t payload_bytes = 0;  // all payloads, which follow the header without gaps
  uint64_t floor = 0;
  HardState hard_state;
  std::vector<Record> records;
  uint32_t header_bytes = 0;  // decoded only
  uint32_t crc = 0;           // decoded only
  ChainEnd end() const { return ChainEnd{generation, position + commit_bytes, sequence, crc}; }
  bool operator==(const CommitHeader&) const = default;
};

// Sizes, to plan a commit before it is encoded.
size_t encoded_bytes(RecordKind kind, size_t aux_bytes);
constexpr uint64_t commit_bytes_for(size_t header_bytes, uint64_t payload_bytes, uint64_t block) {
  return round_up(2 * header_bytes + payload_bytes + kFooterBytes, block);
}

// Encodes a header in two steps, into memory that the caller reuses: each record, then what stands in front of them and behind.
void begin_header(ByteVec& out);
void append_record(ByteVec& out, const Record& record);
// How long it will be once it is finished.
size_t finished_bytes(const ByteVec& begun, uint16_t version = kFormatVersion);
// Fills in everything of `header` but its records; returns the header's CRC.
uint32_t finish_header(ByteVec& out, const CommitHeader& header, uint32_t record_count);

// Writes the trailer (header copy and footer) into the end of the commit.
void write_trailer(MutableByteSpan commit, ByteSpan header);

// `bytes` begins at the commit and holds at least its header.  Errc::corrupt.
Result<CommitHeader> decode_header(ByteSpan bytes);
// How many bytes decode_header() needs, from the first 16; nothing if they cannot be a header.
std::optional<uint32_t> peek_header_bytes(ByteSpan bytes);
// Header bytes of the commit that ends where `block` ends; nothing if no footer is there.
std::optional<uint32_t> peek_footer(ByteSpan block);

// The checksums of one payload against its record.
bool payload_matches(const Record& record, ByteSpan payload);

// One block of `block_bytes`, holding the header twice.
ByteVec encode_segment_block(const SegmentHeader& header);
// From either copy.  Errc::corrupt.
Result<SegmentHeader> decode_segment_block(ByteSpan block);

// The index of a sealed segment: its commit headers, one after the other, without payloads.
struct SegmentIndex {
  Uuid directory_id;
  uint64_t generation = 0;
  uint64_t last_sequence = 0;
  std::vector<CommitHeader> commits;
};
// `headers` are encoded commit headers, concatenated. The result is padded to `block`.
ByteVec encode_index(const Uuid& directory_id, uint64_t generation, uint64_t last_sequence, ByteSpan headers, size_t block);
// Bytes of the whole index, from its first kIndexFixedBytes; nothing if no index begins there.
std::optional<uint64_t> peek_index_bytes(ByteSpan bytes);
Result<SegmentIndex> decode_index(ByteSpan bytes);

}  // namespace sg::wal
