// Encoding and decoding of commits; segment blocks and indexes are in format_segment.cc.
#include "broker/wal/format.h"

#include "base/crc32c.h"

namespace sg::wal {
namespace {

constexpr uint32_t kCommitMagic = 0x314d4353;  // "SCM1"
constexpr uint32_t kFooterMagic = 0x31544353;  // "SCT1"
constexpr size_t kAppendRecordBytes = 52;      // and aux
constexpr size_t kOtherRecordBytes = 48;
constexpr size_t kCrcAt = 12;
constexpr uint32_t kMaxCommitBytes = 1u << 30;

uint32_t header_crc(ByteSpan header) { return crc32c(header.subspan(kCrcAt + 4), crc32c(header.first(kCrcAt))); }

// Writes over bytes that are there already.
struct FixedWriter {
  uint8_t* at;
  template <class T>
  void le(T value) {
    store_le(at, value);
    at += sizeof value;
  }
};

void put_uuid(FixedWriter& w, const Uuid& id) {
  w.le(id.high);
  w.le(id.low);
}

Uuid get_uuid(ByteReader& r) {
  Uuid id;
  id.high = r.le<uint64_t>();
  id.low = r.le<uint64_t>();
  return id;
}

constexpr size_t fixed_bytes(uint16_t version) { return version == kOldestVersion ? kOldCommitFixedBytes : kCommitFixedBytes; }

// Reads one record; anything that encode would not have written fails.
Record get_record(ByteReader& r) {
  Record record;
  auto kind = r.le<uint8_t>();
  auto aux_bytes = r.le<uint8_t>();
  auto zero = r.le<uint16_t>();
  record.kind = static_cast<RecordKind>(kind);
  record.payload_bytes = r.le<uint32_t>();
  record.stream = StreamId(r.le<int64_t>());
  record.first = r.le<int64_t>();
  record.next = r.le<int64_t>();
  record.epoch = r.le<int64_t>();
  bool valid = zero == 0 && kind >= 1 && kind <= static_cast<uint8_t>(RecordKind::healed) && aux_bytes <= Aux::kMaxBytes;
  if (record.kind == RecordKind::append) {
    record.prefix_bytes = r.le<uint32_t>();
    record.prefix_crc = r.le<uint32_t>();
    record.body_crc = r.le<uint32_t>();
    valid = valid && record.first < record.next && record.prefix_bytes <= record.payload_bytes;
    if (valid) record.aux = Aux(r.bytes(aux_bytes));
  } else {
    record.mark = r.le<int64_t>();
    valid = valid && aux_bytes == 0 && record.payload_bytes == 0;
  }
  if (!valid) r.fail();
  return record;
}

}  // namespace

size_t encoded_bytes(RecordKind kind, size_t aux_bytes) {
  return kind == RecordKind::append ? kAppendRecordBytes + aux_bytes : kOtherRecordBytes;
}

void begin_header(ByteVec& out) { out.assign(kOldCommitFixedBytes, 0); }

size_t finished_bytes(const ByteVec& begun, uint16_t version) { return begun.size() + fixed_bytes(version) - kOldCommitFixedBytes; }

void append_record(ByteVec& out, const Record& record) {
  ByteWriter w(out);
  w.le(static_cast<uint8_t>(record.kind));
  w.le(record.aux.size);
  w.le(uint16_t{0});
  w.le(record.payload_bytes);
  w.le(record.stream.v);
  w.le(record.first);
  w.le(record.next);
  w.le(record.epoch);
  if (record.kind == RecordKind::append) {
    ENSURE(record.first < record.next && record.prefix_bytes <= record.payload_bytes);
    w.le(record.prefix_bytes);
    w.le(record.prefix_crc);
    w.le(record.body_crc);
    w.bytes(record.aux.span());
  } else {
    ENSURE(record.payload_bytes == 0 && record.aux.size == 0);
    w.le(record.mark);
  }
}

uint32_t finish_header(ByteVec& out, const CommitHeader& header, uint32_t record_count) {
  ENSURE(out.size() >= kOldCommitFixedBytes);
  const size_t records_end = out.size();
  out.resize(finished_bytes(out, header.version));
  FixedWriter w{out.data()};
  w.le(kCommitMagic);
  w.le(static_cast<uint32_t>(out.size()));
  w.le(header.version);
  w.le(header.flags);
  w.le(uint32_t{0});
  w.le(header.sequence);
  w.le(header.generation);
  w.le(header.position);
  w.le(header.incarnation.v);
  put_uuid(w, header.cluster_id);
  put_uuid(w, header.directory_id);
  w.le(header.previous_crc);
  w.le(header.commit_bytes);
  w.le(header.payload_bytes);
  w.le(record_count);
  w.le(header.floor);
  w.le(header.hard_state.term.v);
  w.le(header.hard_state.vote.v);
  w.le(uint32_t{0});
  ENSURE(w.at == out.data() + kOldCommitFixedBytes);
  if (header.version != kOldestVersion) store_le(out.data() + records_end, header.hard_state.vote_id.v);
  uint32_t crc = header_crc(out);
  store_le(out.data() + kCrcAt, crc);
  return crc;
}

void write_trailer(MutableByteSpan commit, ByteSpan header) {
  ENSURE(commit.size() >= 2 * header.size() + kFooterBytes, "{} bytes for a header of {}", commit.size(), header.size());
  uint8_t* footer = commit.data() + commit.size() - kFooterBytes;
  std::memcpy(footer - header.size(), header.data(), header.size());
  store_le(footer, kFooterMagic);
  store_le(footer + 4, static_cast<uint32_t>(header.size()));
  store_le(footer + 8, static_cast<uint32_t>(commit.size()));
  store_le(footer + 12, crc32c({footer, 12}));
}

std::optional<uint32_t> peek_header_bytes(ByteSpan bytes) {
  if (bytes.size() < 16 || load_le<uint32_t>(bytes.data()) != kCommitMagic) return std::nullopt;
  auto size = load_le<uint32_t>(bytes.data() + 4);
  if (size < kOldCommitFixedBytes || size > kMaxCommitBytes / 2) return std::nullopt;
  return size;
}

std::optional<uint32_t> peek_footer(ByteSpan block) {
  if (block.size() < kFooterBytes) return std::nullopt;
  const uint8_t* footer = block.data() + block.size() - kFooterBytes;
  if (load_le<uint32_t>(footer) != kFooterMagic || load_le<uint32_t>(footer + 12) != crc32c({footer, 12})) return std::nullopt;
  auto size = load_le<uint32_t>(footer + 4);
  if (size < kOldCommitFixedBytes || size > kMaxCommitBytes / 2) return std::nullopt;
  return size;
}

Result<CommitHeader> decode_header(ByteSpan bytes) {
  auto size = peek_header_bytes(bytes);
  if (!size || *size > bytes.size()) return fail(Errc::corrupt, "no commit header");
  bytes = bytes.first(*size);
  if (load_le<uint32_t>(bytes.data() + kCrcAt) != header_crc(bytes)) return fail(Errc::corrupt, "commit header: wrong checksum");

  CommitHeader h;
  ByteReader r(bytes);
  r.bytes(4);
  h.header_bytes = r.le<uint32_t>();
  h.version = r.le<uint16_t>();
  if (h.version < kOldestVersion || h.version > kFormatVersion || h.header_bytes < fixed_bytes(h.version))
    return fail(Errc::corrupt,
                fmt::format("commit header: format version {}, expected {} to {}", h.version, kOldestVersion, kFormatVersion));
  h.flags = r.le<uint16_t>();
  h.crc = r.le<uint32_t>();
  h.sequence = r.le<uint64_t>();
  h.generation = r.le<uint64_t>();
  h.position = r.le<uint64_t>();
  h.incarnation = Incarnation(r.le<uint64_t>());
  h.cluster_id = get_uuid(r);
  h.directory_id = get_uuid(r);
  h.previous_crc = r.le<uint32_t>();
  h.commit_bytes = r.le<uint32_t>();
  h.payload_bytes = r.le<uint32_t>();
  auto count = r.le<uint32_t>();
  h.floor = r.le<uint64_t>();
  h.hard_state.term = Term(r.le<int64_t>());
  h.hard_state.vote = NodeId(r.le<int32_t>());
  if (r.le<uint32_t>() != 0) r.fail();

  uint64_t at = h.header_bytes;
  h.records.reserve(std::min<size_t>(count, r.remaining() / kOtherRecordBytes + 1));
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    Record record = get_record(r);
    if (record.kind == RecordKind::append) record.payload_at = at;
    at += record.payload_bytes;
    h.records.push_back(std::move(record));
  }
  if (h.version != kOldestVersion) h.hard_state.vote_id = VoterId(r.le<uint64_t>());
  bool fits = at == uint64_t{h.header_bytes} + h.payload_bytes &&
              uint64_t{2} * h.header_bytes + h.payload_bytes + kFooterBytes <= h.commit_bytes && h.commit_bytes <= kMaxCommitBytes;
  if (!r.ok() || r.remaining() != 0 || !fits) return fail(Errc::corrupt, "commit header: records and sizes do not agree");
  return h;
}

bool payload_matches(const Record& record, ByteSpan payload) {
  return payload.size() == record.payload_bytes && crc32c(payload.first(record.prefix_bytes)) == record.prefix_crc &&
         crc32c(payload.subspan(record.prefix_bytes)) == record.body_crc;
}

}  // namespace sg::wal
