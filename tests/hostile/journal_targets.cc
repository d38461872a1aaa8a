// What recovery reads from a disk: segment blocks, commits, indexes, and the identity file.
#include <algorithm>

#include "base/crc32c.h"
#include "broker/wal/format.h"
#include "broker/wal/identity.h"
#include "tests/hostile/target.h"

namespace sg::hostile {
namespace {

using namespace wal;

constexpr size_t kHeaderCrcAt = 12;
constexpr size_t kSegmentCrcAt = 12;
constexpr size_t kIndexCrcAt = 16;

uint32_t crc_around(ByteSpan bytes, size_t at) { return crc32c(bytes.subspan(at + 4), crc32c(bytes.first(at))); }
void seal_at(MutableByteSpan bytes, size_t at) { store_le<uint32_t>(bytes.data() + at, crc_around(bytes, at)); }

// A decoded record takes less than three times its bytes, a commit less than twice; four times that, since a vector that grows asks for
// twice its size and for all sizes before. And an error's text.
size_t journal_allowance(size_t bytes) { return 12 * bytes + 1024; }

// --- Commits ----------------------------------------------------------------------------------------------------------------------

wal::Record append(int64_t first, ByteSpan payload) {
  wal::Record r{.kind = RecordKind::append, .stream = StreamId{16}, .first = first, .next = first + 2, .epoch = 3};
  r.payload_bytes = static_cast<uint32_t>(payload.size());
  r.prefix_bytes = static_cast<uint32_t>(std::min<size_t>(21, payload.size()));
  r.prefix_crc = crc32c(payload.first(r.prefix_bytes));
  r.body_crc = crc32c(payload.subspan(r.prefix_bytes));
  r.aux = Aux(as_bytes("aux"));
  return r;
}

struct SampleCommit {
  ByteVec header;
  ByteVec whole;  // a small block, so that mutations hit something
};

SampleCommit sample_commit(uint64_t sequence, const std::vector<wal::Record>& records, std::string_view payloads,
                           uint16_t version = kFormatVersion) {
  SampleCommit commit;
  begin_header(commit.header);
  for (const wal::Record& r : records) append_record(commit.header, r);
  CommitHeader h{.version = version,
                 .flags = kOrderlyStop,
                 .cluster_id = Uuid{1, 2},
                 .directory_id = Uuid{3, 4},
                 .sequence = sequence,
                 .generation = 5,
                 .position = 4096 * sequence,
                 .incarnation = Incarnation{6},
                 .previous_crc = 0xdeadbeef,
                 .floor = 2,
                 .hard_state = HardState{Term{11}, NodeId{3}, VoterId{7}},
                 .records = {}};
  h.payload_bytes = static_cast<uint32_t>(payloads.size());
  h.commit_bytes = static_cast<uint32_t>(commit_bytes_for(finished_bytes(commit.header, version), payloads.size(), 64));
  finish_header(commit.header, h, static_cast<uint32_t>(records.size()));
  commit.whole.resize(h.commit_bytes);
  std::ranges::copy(commit.header, commit.whole.begin());
  std::ranges::copy(payloads, commit.whole.begin() + static_cast<ptrdiff_t>(commit.header.size()));
  write_trailer(commit.whole, commit.header);
  return commit;
}

std::vector<SampleCommit> sample_commits() {
  std::string one(70, 'a');
  std::string two = "bb";
  return {sample_commit(1, {}, ""), sample_commit(2, {append(4, as_bytes(one)), append(6, as_bytes(two))}, one + two),
          sample_commit(3,
                        {{.kind = RecordKind::truncate, .stream = StreamId{17}, .first = 9, .epoch = 2},
                         {.kind = RecordKind::advance_start, .stream = StreamId{0}, .first = 10, .epoch = 5},
                         append(6, as_bytes(two)),
                         {.kind = RecordKind::mark, .stream = StreamId{16}, .first = 6},
                         {.kind = RecordKind::drop, .stream = StreamId{18}},
                         {.kind = RecordKind::base, .stream = StreamId{19}, .first = 1, .next = 2, .epoch = 3, .mark = 4},
                         {.kind = RecordKind::healed, .stream = StreamId{17}}},
                        two),
          sample_commit(4, {append(4, as_bytes(one))}, one, kOldestVersion)};
}

void check_header(const CommitHeader& h, ByteSpan encoded, Verdict& verdict) {
  ByteVec again;
  begin_header(again);
  for (const wal::Record& r : h.records) append_record(again, r);
  uint32_t crc = finish_header(again, h, static_cast<uint32_t>(h.records.size()));
  if (crc != h.crc || !equal(again, encoded)) verdict.complain("one header, two encodings; the other: " + to_hex(again));
  uint64_t end = h.header_bytes;
  for (const wal::Record& r : h.records) {
    if (r.kind == RecordKind::append && r.payload_at != end)
      verdict.complain(fmt::format("a payload at {}, expected at {}", r.payload_at, end));
    end += r.payload_bytes;
  }
  if (end + h.header_bytes + kFooterBytes > h.commit_bytes) verdict.complain("its payloads reach into its trailer");
}

Verdict decode_commit_header(const SharedBytes& bytes) {
  Verdict verdict;
  auto header = within(journal_allowance(bytes.size()), verdict, [&] { return decode_header(bytes); });
  if (!header) {
    if (!header.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(header.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (header->header_bytes > bytes.size()) verdict.complain("is longer than its bytes");
  if (verdict.complaint.empty()) check_header(*header, bytes.span().first(header->header_bytes), verdict);
  return verdict;
}

// From the front, or else from behind, as recovery does.
Verdict decode_commit(const SharedBytes& bytes) {
  Verdict verdict = decode_commit_header(bytes);
  if (auto size = peek_footer(bytes)) {
    if (*size + kFooterBytes <= bytes.size()) {
      Verdict copy = decode_commit_header(SharedBytes::copy_of(bytes.span().subspan(bytes.size() - kFooterBytes - *size, *size)));
      verdict.decoded = verdict.decoded || copy.decoded;
      verdict.complain(copy.complaint);
    }
  }
  if (auto header = decode_header(bytes); header && header->commit_bytes <= bytes.size())
    for (const wal::Record& r : header->records)
      if (r.kind == RecordKind::append) (void)payload_matches(r, bytes.span().subspan(static_cast<size_t>(r.payload_at), r.payload_bytes));
  return verdict;
}

// The length stays if it can be one, so that lies about it are tried out too.
void seal_header(MutableByteSpan bytes) {
  if (bytes.size() < kOldCommitFixedBytes) return;
  auto size = peek_header_bytes(bytes);
  if (!size || *size > bytes.size()) store_le<uint32_t>(bytes.data() + 4, static_cast<uint32_t>(bytes.size()));
  seal_at(bytes.first(load_le<uint32_t>(bytes.data() + 4)), kHeaderCrcAt);
}

void seal_commit(MutableByteSpan bytes) {
  seal_header(bytes);
  if (bytes.size() < kFooterBytes) return;
  uint8_t* footer = bytes.data() + bytes.size() - kFooterBytes;
  store_le<uint32_t>(footer + 12, crc32c({footer, 12}));
  size_t size = load_le<uint32_t>(footer + 4);
  if (size >= kOldCommitFixedBytes && size + kFooterBytes <= bytes.size())
    seal_at(bytes.subspan(bytes.size() - kFooterBytes - size, size), kHeaderCrcAt);
}

// --- Segment blocks and indexes ---------------------------------------------------------------------------------------------------

constexpr size_t kSmallBlock = 256;

Verdict decode_segment(const SharedBytes& block) {
  Verdict verdict;
  auto header = within(1024, verdict, [&] { return decode_segment_block(block); });
  if (!header) {
    if (!header.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(header.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (header->block_bytes != block.size()) return verdict;  // recovery refuses it
  auto again = decode_segment_block(encode_segment_block(*header));
  if (!again || !(*again == *header)) verdict.complain("comes back as another segment header");
  return verdict;
}

void seal_segment(MutableByteSpan block) {
  for (size_t from : {size_t{0}, block.size() / 2})
    if (block.size() - from >= kSegmentHeaderBytes) seal_at(block.subspan(from, kSegmentHeaderBytes), kSegmentCrcAt);
}

Verdict decode_segment_index(const SharedBytes& bytes) {
  Verdict verdict;
  auto index = within(journal_allowance(bytes.size()), verdict, [&] { return decode_index(bytes); });
  if (!index) {
    if (!index.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(index.code())));
    return verdict;
  }
  verdict.decoded = true;
  ByteVec headers;
  for (const CommitHeader& h : index->commits) {
    ByteVec header;
    begin_header(header);
    for (const wal::Record& r : h.records) append_record(header, r);
    finish_header(header, h, static_cast<uint32_t>(h.records.size()));
    headers.insert(headers.end(), header.begin(), header.end());
  }
  ByteVec again = encode_index(index->directory_id, index->generation, index->last_sequence, headers, 1);
  if (again.size() > bytes.size() || !equal(again, bytes.span().first(again.size())))
    verdict.complain("one index, two encodings; the other: " + to_hex(again));
  return verdict;
}

void seal_index(MutableByteSpan bytes) {
  if (bytes.size() < kIndexFixedBytes) return;
  auto size = peek_index_bytes(bytes);
  if (!size || *size > bytes.size()) store_le<uint64_t>(bytes.data() + 8, bytes.size());
  bytes = bytes.first(static_cast<size_t>(load_le<uint64_t>(bytes.data() + 8)));
  for (MutableByteSpan rest = bytes.subspan(kIndexFixedBytes); rest.size() >= kOldCommitFixedBytes;) {
    seal_header(rest);
    rest = rest.subspan(load_le<uint32_t>(rest.data() + 4));
  }
  seal_at(bytes, kIndexCrcAt);
}

ByteVec sample_index() {
  ByteVec headers;
  for (const SampleCommit& commit : sample_commits()) headers.insert(headers.end(), commit.header.begin(), commit.header.end());
  return encode_index(Uuid{3, 4}, 5, 3, headers, 64);
}

// --- The identity file ------------------------------------------------------------------------------------------------------------

// What stands in one slot, or all of a file of the older format.
Verdict decode_slot(const SharedBytes& bytes) {
  Verdict verdict;
  auto slot = within(journal_allowance(bytes.size()), verdict, [&] { return decode_identity_slot(bytes); });
  if (!slot) {
    if (!slot.is(Errc::corrupt) && !slot.is(Errc::invalid)) verdict.complain(fmt::format("refused as {}", to_string(slot.code())));
    return verdict;
  }
  verdict.decoded = true;
  auto again = decode_identity_slot(encode_identity_slot(*slot));
  if (!again || again->sequence != slot->sequence || !(again->identity == slot->identity))
    verdict.complain("comes back as another identity");
  return verdict;
}

Verdict decode_old_file(const SharedBytes& bytes) {
  Verdict verdict;
  auto identity = within(1024, verdict, [&] { return decode_old_identity(bytes); });
  if (!identity) {
    if (!identity.is(Errc::corrupt) && !identity.is(Errc::invalid))
      verdict.complain(fmt::format("refused as {}", to_string(identity.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (bytes.size() != kOldIdentityBytes) verdict.complain("is longer than its bytes");
  return verdict;
}

void seal_slot(MutableByteSpan bytes) {
  if (bytes.size() >= kSegmentCrcAt + 4) seal_at(bytes, kSegmentCrcAt);
}

void seal_old_file(MutableByteSpan bytes) {
  if (bytes.size() >= 4) store_le<uint32_t>(bytes.data() + bytes.size() - 4, crc32c(ByteSpan(bytes).first(bytes.size() - 4)));
}

ByteVec sample_slot() {
  Identity identity{.node_id = NodeId{3}, .directory_id = Uuid{3, 4}, .cluster_id = Uuid{1, 2}};
  identity.former = {Uuid{7, 7}};
  identity.damage.note({StreamId{16}, 3, 5, 9});
  identity.damage.answer({kEveryStream, 4});
  return encode_identity_slot({6, identity});
}

ByteVec sample_old_file() {
  ByteVec bytes;
  ByteWriter w(bytes);
  w.le(uint32_t{0x44494353});
  w.le(uint32_t{1});
  w.le(int32_t{3});
  for (uint64_t v : {3, 4, 1, 2}) w.le(v);
  w.le(crc32c(bytes));
  return bytes;
}

}  // namespace

std::vector<Target> journal_targets() {
  Target headers{.name = "commit header", .corpus = {}, .decode = &decode_commit_header, .seal = &seal_header};
  Target commits{.name = "commit", .corpus = {}, .decode = &decode_commit, .seal = &seal_commit};
  for (SampleCommit& commit : sample_commits()) {
    headers.corpus.push_back(std::move(commit.header));
    commits.corpus.push_back(std::move(commit.whole));
  }
  SegmentHeader segment{
      Uuid{1, 2}, Uuid{3, 4}, 9, Incarnation{8}, 7, kSmallBlock, ChainEnd{8, 4096, 100, 55}, HardState{Term{5}, NodeId{1}, VoterId{2}},
      VoterId{3}};
  return {std::move(headers),
          std::move(commits),
          {.name = "segment block", .corpus = {encode_segment_block(segment)}, .decode = &decode_segment, .seal = &seal_segment},
          {.name = "segment index", .corpus = {sample_index()}, .decode = &decode_segment_index, .seal = &seal_index},
          {.name = "identity slot", .corpus = {sample_slot()}, .decode = &decode_slot, .seal = &seal_slot},
          {.name = "old identity", .corpus = {sample_old_file()}, .decode = &decode_old_file, .seal = &seal_old_file}};
}

}  // namespace sg::hostile
