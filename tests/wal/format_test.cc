// The format: what is encoded comes back, and no damaged byte goes unnoticed.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/crc32c.h"
#include "broker/wal/format.h"
#include "broker/wal/identity.h"

using namespace sg;
using namespace sg::wal;

namespace {

Record sample_append(int64_t first, ByteSpan payload) {
  Record r{.kind = RecordKind::append, .stream = StreamId{16}, .first = first, .next = first + 2, .epoch = 3};
  r.payload_bytes = static_cast<uint32_t>(payload.size());
  r.prefix_bytes = static_cast<uint32_t>(std::min<size_t>(21, payload.size()));
  r.prefix_crc = crc32c(payload.first(r.prefix_bytes));
  r.body_crc = crc32c(payload.subspan(r.prefix_bytes));
  uint8_t aux[] = {7, 8, 9};
  r.aux = Aux(aux);
  return r;
}

// A whole commit of two payloads and one record of each other kind.
ByteVec sample_commit(CommitHeader& h, ByteVec& header) {
  ByteVec one(100, 0xaa), two(7, 0xbb);
  h.records = {sample_append(4, one),
               {.kind = RecordKind::truncate, .stream = StreamId{17}, .first = 9, .epoch = 2},
               sample_append(6, two),
               {.kind = RecordKind::advance_start, .stream = StreamId{0}, .first = 10, .epoch = 5},
               {.kind = RecordKind::mark, .stream = StreamId{16}, .first = 6},
               {.kind = RecordKind::drop, .stream = StreamId{18}},
               {.kind = RecordKind::base, .stream = StreamId{19}, .first = 1, .next = 2, .epoch = 3, .mark = 4}};
  begin_header(header);
  for (const Record& r : h.records) append_record(header, r);
  h.header_bytes = static_cast<uint32_t>(finished_bytes(header));
  h.payload_bytes = 107;
  h.commit_bytes = static_cast<uint32_t>(commit_bytes_for(h.header_bytes, 107, kBlockBytes));
  h.records[0].payload_at = h.header_bytes;
  h.records[2].payload_at = h.header_bytes + 100;
  h.crc = finish_header(header, h, static_cast<uint32_t>(h.records.size()));
  ByteVec commit(h.commit_bytes);
  std::ranges::copy(header, commit.begin());
  std::ranges::copy(one, commit.begin() + static_cast<long>(header.size()));
  std::ranges::copy(two, commit.begin() + static_cast<long>(header.size() + 100));
  write_trailer(commit, header);
  return commit;
}

CommitHeader sample_header() {
  CommitHeader h;
  h.flags = kOrderlyStop;
  h.cluster_id = Uuid{1, 2};
  h.directory_id = Uuid{3, 4};
  h.sequence = 77;
  h.generation = 5;
  h.position = 8192;
  h.incarnation = Incarnation{6};
  h.previous_crc = 0xdeadbeef;
  h.floor = 2;
  h.hard_state = HardState{Term{11}, NodeId{3}, VoterId{12}};
  return h;
}

}  // namespace

TEST_CASE("given a commit of every kind of record, when decoded from header or trailer, then it is the same") {
  CommitHeader h = sample_header();
  ByteVec header;
  ByteVec commit = sample_commit(h, header);
  auto decoded = decode_header(commit);
  REQUIRE(decoded);
  CHECK(*decoded == h);
  CHECK(decoded->end() == ChainEnd{5, 8192 + h.commit_bytes, 77, h.crc});
  auto size = peek_footer(ByteSpan(commit).last(kBlockBytes));
  REQUIRE(size == header.size());
  auto copy = decode_header(ByteSpan(commit).subspan(commit.size() - kFooterBytes - *size));
  REQUIRE(copy);
  CHECK(*copy == h);
}

TEST_CASE("given any damaged byte of header, payload or trailer, then it is detected") {
  CommitHeader h = sample_header();
  ByteVec header;
  ByteVec commit = sample_commit(h, header);
  for (size_t at = 0; at < commit.size(); ++at) {
    for (int bit : {0, 3, 7}) {
      ByteVec bad = commit;
      bad[at] = static_cast<uint8_t>(bad[at] ^ (1 << bit));
      size_t payload_end = header.size() + h.payload_bytes;
      size_t trailer = commit.size() - kFooterBytes - header.size();
      if (at < header.size()) {
        CHECK_FALSE(decode_header(bad));
      } else if (at < payload_end) {
        auto ok = [&](const Record& r) { return payload_matches(r, ByteSpan(bad).subspan(r.payload_at, r.payload_bytes)); };
        CHECK_FALSE((ok(h.records[0]) && ok(h.records[2])));
      } else if (at >= trailer) {
        auto size = peek_footer(ByteSpan(bad).last(kBlockBytes));
        bool found = size && decode_header(ByteSpan(bad).subspan(bad.size() - kFooterBytes - *size));
        CHECK_FALSE(found);
      }
    }
  }
}

TEST_CASE("given a segment block, then either copy is enough, and both damaged is detected") {
  SegmentHeader h{
      Uuid{1, 2}, Uuid{3, 4}, 9, Incarnation{8}, 7, kBlockBytes, ChainEnd{8, 4096, 100, 55}, HardState{Term{5}, NodeId{1}, VoterId{6}},
      VoterId{4}};
  ByteVec block = encode_segment_block(h);
  REQUIRE(decode_segment_block(block));
  CHECK(*decode_segment_block(block) == h);
  for (size_t at = 0; at < kSegmentHeaderBytes; ++at) {
    ByteVec bad = block;
    bad[at] ^= 0x20;
    REQUIRE(decode_segment_block(bad));
    CHECK(*decode_segment_block(bad) == h);
    bad[at + kBlockBytes / 2] ^= 0x20;
    CHECK_FALSE(decode_segment_block(bad));
  }
}

TEST_CASE("given a segment header that claims a block too small for two headers, then it is refused") {
  SegmentHeader h{Uuid{1, 2}, Uuid{3, 4}, 9, Incarnation{8}, 7, 2 * kSegmentHeaderBytes, {}, {}, {}};
  ByteVec block = encode_segment_block(h);
  REQUIRE(decode_segment_block(block));
  for (size_t from : {size_t{0}, block.size() / 2}) {
    MutableByteSpan copy = MutableByteSpan(block).subspan(from, kSegmentHeaderBytes);
    store_le<uint32_t>(copy.data() + 8, 2 * kSegmentHeaderBytes - 1);
    store_le<uint32_t>(copy.data() + 12, crc32c(copy.subspan(16), crc32c(copy.first(12))));  // the header's checksum, around itself
  }
  CHECK(decode_segment_block(block).is(Errc::corrupt));
}

TEST_CASE("given an index, when decoded, then it holds the commits; any damaged byte is detected") {
  CommitHeader h = sample_header();
  ByteVec header;
  sample_commit(h, header);
  ByteVec headers = header;
  headers.insert(headers.end(), header.begin(), header.end());
  ByteVec index = encode_index(h.directory_id, 5, 78, headers, kBlockBytes);
  CHECK(index.size() % kBlockBytes == 0);
  auto decoded = decode_index(index);
  REQUIRE(decoded);
  CHECK(decoded->commits.size() == 2);
  CHECK(decoded->commits[1] == h);
  CHECK(decoded->last_sequence == 78);
  for (size_t at = 0; at < kIndexFixedBytes + headers.size(); ++at) {
    ByteVec bad = index;
    bad[at] ^= 1;
    CHECK_FALSE(decode_index(bad));
  }
}

namespace {

// As a program before voter ids wrote them: nothing behind a commit's records, 112 bytes of a segment's header.
ByteVec of_version_1(const CommitHeader& h) {
  ByteVec header;
  begin_header(header);
  for (const Record& r : h.records) append_record(header, r);
  CommitHeader old = h;
  old.version = kOldestVersion;
  finish_header(header, old, static_cast<uint32_t>(h.records.size()));
  return header;
}

Identity sample_identity() {
  Identity identity{.node_id = NodeId{3}, .directory_id = Uuid{1, 2}, .cluster_id = Uuid{5, 6}};
  identity.voter_id = VoterId{77};
  identity.voter_since = Incarnation{4};
  identity.counter = Incarnation{9};
  identity.nonce = 0xabcdef;
  identity.newest_segment = 12;
  identity.lock_inode = 1234;
  identity.lock_birth_ns = 1'700'000'000'000'000'001;
  identity.former = {Uuid{8, 8}, Uuid{9, 9}};
  identity.damage.note({StreamId{16}, 3, 100, 200});
  identity.damage.answer({kEveryStream, 5, 70, 71});
  return identity;
}

}  // namespace

TEST_CASE("given a commit of version 1, when decoded, then its vote names no voter, and it is encoded again as it was") {
  CommitHeader h = sample_header();
  h.records.push_back({.kind = RecordKind::truncate, .stream = StreamId{16}, .first = 4, .epoch = 1});
  h.hard_state.vote_id = VoterId{9};
  h.commit_bytes = kBlockBytes;
  ByteVec old = of_version_1(h);
  CHECK(old.size() == 120 + 48);
  auto decoded = decode_header(old);
  REQUIRE(decoded);
  CHECK(decoded->version == 1);
  CHECK(decoded->hard_state == HardState{Term{11}, NodeId{3}, VoterId{0}});
  CHECK(decoded->records == h.records);
  CHECK(equal(of_version_1(*decoded), old));
}

TEST_CASE("given a segment header of version 1, when decoded, then its voter is 0") {
  SegmentHeader h{Uuid{1, 2}, Uuid{3, 4}, 9, Incarnation{8}, 7, kBlockBytes, ChainEnd{8, 4096, 100, 55}, HardState{Term{5}, NodeId{1}}, {}};
  ByteVec block = encode_segment_block(h);
  for (size_t from : {size_t{0}, block.size() / 2}) {
    MutableByteSpan copy = MutableByteSpan(block).subspan(from, 112);
    store_le<uint32_t>(copy.data() + 4, 1);
    store_le<uint32_t>(copy.data() + 12, crc32c(copy.subspan(16), crc32c(copy.first(12))));
  }
  REQUIRE(decode_segment_block(block));
  CHECK(*decode_segment_block(block) == h);
  store_le<uint32_t>(block.data() + 4, 3);
  store_le<uint32_t>(block.data() + block.size() / 2 + 4, 3);
  CHECK(decode_segment_block(block).is(Errc::corrupt));
}

TEST_CASE("given a slot of the identity, when decoded, then it is the same; any damaged byte or other length is detected") {
  ByteVec bytes = encode_identity_slot({41, sample_identity()});
  CHECK(bytes.size() == kIdentitySlotBytes);
  auto decoded = decode_identity_slot(bytes);
  REQUIRE(decoded);
  CHECK(decoded->sequence == 41);
  CHECK(decoded->identity == sample_identity());
  for (size_t at = 0; at < bytes.size(); ++at) {
    ByteVec bad = bytes;
    bad[at] ^= 4;
    CHECK_FALSE(decode_identity_slot(bad));
  }
  CHECK(decode_identity_slot(ByteSpan(bytes).first(kIdentitySlotBytes - 1)).is(Errc::corrupt));
}

TEST_CASE("given a slot of the identity with all that it may hold, then it fits") {
  Identity identity = sample_identity();
  identity.former.assign(Identity::kMaxFormer, Uuid{1, 1});
  for (int64_t i = 0; i < 1000; ++i) identity.damage.note({StreamId{16 + i}, static_cast<uint64_t>(i + 1), i, i + 1});
  auto decoded = decode_identity_slot(encode_identity_slot({1, identity}));
  REQUIRE(decoded);
  CHECK(decoded->identity == identity);
}

TEST_CASE("given an identity of the older format, when decoded, then it has no voter id; any damaged byte or other length is detected") {
  ByteVec bytes(48);
  ByteVec words;
  ByteWriter w(words);
  w.le(uint32_t{0x44494353});
  w.le(uint32_t{1});
  w.le(int32_t{3});
  for (uint64_t v : {1, 2, 5, 6}) w.le(v);
  std::ranges::copy(words, bytes.begin());
  store_le(bytes.data() + 44, crc32c(ByteSpan(bytes).first(44)));
  REQUIRE(decode_old_identity(bytes));
  CHECK(*decode_old_identity(bytes) == Identity{.node_id = NodeId{3}, .directory_id = Uuid{1, 2}, .cluster_id = Uuid{5, 6}});
  for (size_t at = 0; at < bytes.size(); ++at) {
    ByteVec bad = bytes;
    bad[at] ^= 4;
    CHECK_FALSE(decode_old_identity(bad));
  }
  CHECK(decode_old_identity(ByteSpan(bytes).first(47)).is(Errc::corrupt));
}

TEST_CASE("given any bytes, when decoded, then no decoder reads beyond them or accepts them") {
  CHECK(rc::check([](const std::vector<uint8_t>& noise, bool magic) {
    ByteVec bytes = noise;
    bytes.resize(std::max<size_t>(bytes.size(), 32));
    if (magic) store_le(bytes.data(), uint32_t{0x314d4353});
    RC_ASSERT(!decode_header(bytes));
    RC_ASSERT(!decode_index(bytes));
    RC_ASSERT(!decode_segment_block(bytes));
    RC_ASSERT(!decode_identity_slot(bytes));
    RC_ASSERT(!decode_old_identity(bytes));
    (void)peek_footer(bytes);
  }));
}
