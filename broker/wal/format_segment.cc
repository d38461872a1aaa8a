// Segment blocks and segment indexes.
#include "base/crc32c.h"
#include "broker/wal/format.h"

namespace sg::wal {
namespace {

constexpr uint32_t kSegmentMagic = 0x31534353;  // "SCS1"
constexpr uint32_t kIndexMagic = 0x31494353;    // "SCI1"
constexpr size_t kSegmentCrcAt = 12;
constexpr size_t kOldSegmentHeaderBytes = 112;
constexpr uint32_t kIndexVersion = 1;  // the headers in it have a version each
constexpr size_t kIndexCrcAt = 16;

uint32_t crc_without(ByteSpan bytes, size_t at) { return crc32c(bytes.subspan(at + 4), crc32c(bytes.first(at))); }

Result<SegmentHeader> decode_copy(ByteSpan bytes) {
  if (bytes.size() < kOldSegmentHeaderBytes || load_le<uint32_t>(bytes.data()) != kSegmentMagic)
    return fail(Errc::corrupt, "no segment header");
  auto version = load_le<uint32_t>(bytes.data() + 4);
  const size_t size = version == kOldestVersion ? kOldSegmentHeaderBytes : kSegmentHeaderBytes;
  if (bytes.size() < size) return fail(Errc::corrupt, "no segment header");
  bytes = bytes.first(size);
  if (load_le<uint32_t>(bytes.data() + kSegmentCrcAt) != crc_without(bytes, kSegmentCrcAt))
    return fail(Errc::corrupt, "segment header: wrong checksum");
  ByteReader r(bytes);
  r.bytes(8);
  if (version < kOldestVersion || version > kFormatVersion)
    return fail(Errc::corrupt,
                fmt::format("segment header: format version {}, expected {} to {}", version, kOldestVersion, kFormatVersion));
  SegmentHeader h;
  h.block_bytes = r.le<uint32_t>();
  r.bytes(4);
  h.cluster_id.high = r.le<uint64_t>();
  h.cluster_id.low = r.le<uint64_t>();
  h.directory_id.high = r.le<uint64_t>();
  h.directory_id.low = r.le<uint64_t>();
  h.generation = r.le<uint64_t>();
  h.incarnation = Incarnation(r.le<uint64_t>());
  h.floor = r.le<uint64_t>();
  h.previous.generation = r.le<uint64_t>();
  h.previous.position = r.le<uint64_t>();
  h.previous.sequence = r.le<uint64_t>();
  h.previous.crc = r.le<uint32_t>();
  h.hard_state.vote = NodeId(r.le<int32_t>());
  h.hard_state.term = Term(r.le<int64_t>());
  if (version != kOldestVersion) {
    h.hard_state.vote_id = VoterId(r.le<uint64_t>());
    h.voter_id = VoterId(r.le<uint64_t>());
  }
  ENSURE(r.ok() && r.remaining() == 0);
  if (h.block_bytes < 2 * kSegmentHeaderBytes)
    return fail(Errc::corrupt, fmt::format("segment header: a block of {} bytes, which cannot hold it twice", h.block_bytes));
  if (h.generation == 0 || h.previous.generation >= h.generation || h.floor > h.generation)
    return fail(Errc::corrupt, "segment header: generations do not agree");
  return h;
}

}  // namespace

ByteVec encode_segment_block(const SegmentHeader& h) {
  ENSURE(h.block_bytes >= 2 * kSegmentHeaderBytes && h.generation > 0 && h.previous.generation < h.generation);
  ByteVec out;
  out.reserve(h.block_bytes);
  ByteWriter w(out);
  w.le(kSegmentMagic);
  w.le(uint32_t{kFormatVersion});
  w.le(h.block_bytes);
  w.le(uint32_t{0});
  w.le(h.cluster_id.high);
  w.le(h.cluster_id.low);
  w.le(h.directory_id.high);
  w.le(h.directory_id.low);
  w.le(h.generation);
  w.le(h.incarnation.v);
  w.le(h.floor);
  w.le(h.previous.generation);
  w.le(h.previous.position);
  w.le(h.previous.sequence);
  w.le(h.previous.crc);
  w.le(h.hard_state.vote.v);
  w.le(h.hard_state.term.v);
  w.le(h.hard_state.vote_id.v);
  w.le(h.voter_id.v);
  ENSURE(out.size() == kSegmentHeaderBytes, "{} bytes", out.size());
  store_le(out.data() + kSegmentCrcAt, crc_without(out, kSegmentCrcAt));
  out.resize(h.block_bytes);
  std::memcpy(out.data() + h.block_bytes / 2, out.data(), kSegmentHeaderBytes);
  return out;
}

Result<SegmentHeader> decode_segment_block(ByteSpan block) {
  auto first = decode_copy(block);
  if (first) return first;
  auto second = decode_copy(block.subspan(block.size() / 2));
  return second ? std::move(second) : std::move(first);
}

ByteVec encode_index(const Uuid& directory_id, uint64_t generation, uint64_t last_sequence, ByteSpan headers, size_t block) {
  uint32_t count = 0;
  for (ByteSpan rest = headers; !rest.empty(); ++count) {
    auto size = peek_header_bytes(rest);
    ENSURE(size && *size <= rest.size(), "the index is made of commit headers");
    rest = rest.subspan(*size);
  }
  ByteVec out;
  out.reserve(round_up(kIndexFixedBytes + headers.size(), block));
  ByteWriter w(out);
  w.le(kIndexMagic);
  w.le(kIndexVersion);
  w.le(uint64_t{kIndexFixedBytes + headers.size()});
  w.le(uint32_t{0});
  w.le(count);
  w.le(directory_id.high);
  w.le(directory_id.low);
  w.le(generation);
  w.le(last_sequence);
  ENSURE(out.size() == kIndexFixedBytes, "{} bytes", out.size());
  w.bytes(headers);
  store_le(out.data() + kIndexCrcAt, crc_without(out, kIndexCrcAt));
  out.resize(round_up(out.size(), block));
  return out;
}

std::optional<uint64_t> peek_index_bytes(ByteSpan bytes) {
  if (bytes.size() < kIndexFixedBytes || load_le<uint32_t>(bytes.data()) != kIndexMagic) return std::nullopt;
  auto size = load_le<uint64_t>(bytes.data() + 8);
  if (size < kIndexFixedBytes || size > (uint64_t{1} << 32)) return std::nullopt;
  return size;
}

Result<SegmentIndex> decode_index(ByteSpan bytes) {
  auto size = peek_index_bytes(bytes);
  if (!size || *size > bytes.size()) return fail(Errc::corrupt, "no segment index");
  bytes = bytes.first(static_cast<size_t>(*size));
  if (load_le<uint32_t>(bytes.data() + kIndexCrcAt) != crc_without(bytes, kIndexCrcAt))
    return fail(Errc::corrupt, "segment index: wrong checksum");
  ByteReader r(bytes);
  r.bytes(4);
  if (r.le<uint32_t>() != kIndexVersion) return fail(Errc::corrupt, "segment index: another format version");
  r.bytes(12);
  auto count = r.le<uint32_t>();
  SegmentIndex index;
  index.directory_id.high = r.le<uint64_t>();
  index.directory_id.low = r.le<uint64_t>();
  index.generation = r.le<uint64_t>();
  index.last_sequence = r.le<uint64_t>();
  ByteSpan rest = r.rest();
  for (uint32_t i = 0; i < count; ++i) {
    TRY(auto header, decode_header(rest));
    rest = rest.subspan(header.header_bytes);
    index.commits.push_back(std::move(header));
  }
  if (!rest.empty()) return fail(Errc::corrupt, "segment index: more bytes than commits");
  return index;
}

}  // namespace sg::wal
