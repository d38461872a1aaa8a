// Frames between nodes: what was encoded comes back, and whatever is damaged, short or of another version is refused.
#include "broker/peer/frame.h"

#include <doctest/doctest.h>

#include "base/archive.h"
#include "base/crc32c.h"
#include "tests/base/nth_run.h"

using namespace sg;
using namespace sg::broker::peer;

namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kHeaderBytes = 12;  // of the body: checksum, kind, version, zero, metadata length

// The body as a frame reader would hand it out.
ByteVec body_of(FrameKind kind, std::string_view metadata, std::string_view payload) {
  ByteVec stream = encode_head(kind, as_bytes(metadata), payload.size());
  stream.insert(stream.end(), payload.begin(), payload.end());
  CHECK(load_be<int32_t>(stream.data()) == static_cast<int32_t>(stream.size() - kLengthBytes));
  return ByteVec(stream.begin() + kLengthBytes, stream.end());
}

Result<Frame> decoded(ByteSpan body) { return decode(SharedBytes::copy_of(body)); }

// Makes the checksum right again after a change that is meant.
void seal(ByteVec& body, size_t metadata_bytes) {
  store_le<uint32_t>(body.data(), crc32c(ByteSpan(body).subspan(4, kHeaderBytes - 4 + metadata_bytes)));
}

}  // namespace

TEST_CASE("given kind, metadata and payload of any size, when a frame is encoded and decoded, then they come back") {
  for (FrameKind kind : {FrameKind::hello, FrameKind::raft, FrameKind::ping, FrameKind::data, FrameKind::refused})
    for (std::string_view metadata : {"", "m", "some metadata"})
      for (std::string_view payload : {"", "p", "record batches"}) {
        Result<Frame> frame = decoded(body_of(kind, metadata, payload));
        REQUIRE(frame.has_value());
        CHECK(frame->kind == kind);
        CHECK(as_text(frame->metadata) == metadata);
        CHECK(as_text(frame->payload) == payload);
      }
}

TEST_CASE("given a frame, when it is decoded, then its parts share the body instead of copying it") {
  SharedBytes body = SharedBytes::copy_of(body_of(FrameKind::data, "meta", "payload"));
  Result<Frame> frame = decode(body);
  REQUIRE(frame.has_value());
  CHECK(frame->metadata.data() == body.data() + kHeaderBytes);
  CHECK(frame->payload.data() == body.data() + kHeaderBytes + 4);
}

TEST_CASE("given a hello, when it travels as metadata, then all its fields arrive") {
  Hello hello{.link = LinkKind::replication,
              .cluster_id = Uuid{1, 2},
              .lineage = 6,
              .from = NodeId(3),
              .to = NodeId(4),
              .run = sg::test::nth_run(5),
              .voter = VoterId(7),
              .host = "10.0.0.3",
              .port = 9192};
  ByteVec packed;
  pack(packed, hello);
  Result<Frame> frame = decoded(body_of(FrameKind::hello, as_text(packed), ""));
  REQUIRE(frame.has_value());
  Result<Hello> back = unpack<Hello>(frame->metadata);
  REQUIRE(back.has_value());
  CHECK(back->magic == kHelloMagic);
  CHECK(back->link == LinkKind::replication);
  CHECK(back->cluster_id == Uuid{1, 2});
  CHECK(back->from == NodeId(3));
  CHECK(back->to == NodeId(4));
  CHECK(back->run == sg::test::nth_run(5));
  CHECK(back->lineage == 6);
  CHECK(back->voter == VoterId(7));
  CHECK(back->host == "10.0.0.3");
  CHECK(back->port == 9192);
}

TEST_CASE("given one damaged bit in header or metadata, when the frame is decoded, then it is corrupt; the payload has its own checksums") {
  const std::string_view metadata = "metadata";
  const ByteVec good = body_of(FrameKind::data, metadata, "payload");
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    ByteVec damaged = good;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    Result<Frame> frame = decoded(damaged);
    if (bit / 8 < kHeaderBytes + metadata.size())
      CHECK(frame.is(Errc::corrupt));
    else
      CHECK(frame.has_value());
  }
}

TEST_CASE("given a frame that was cut short, when it is decoded, then it is corrupt") {
  const ByteVec good = body_of(FrameKind::raft, "metadata", "");
  for (size_t size = 0; size < good.size(); ++size) CHECK(decoded(ByteSpan(good).first(size)).is(Errc::corrupt));
}

TEST_CASE("given a metadata length beyond the frame, when it is decoded, then it is corrupt, whatever its checksum says") {
  for (uint32_t length : {uint32_t{9}, uint32_t{1000}, UINT32_MAX - 11, UINT32_MAX}) {
    ByteVec body = body_of(FrameKind::raft, "metadata", "");
    store_le<uint32_t>(body.data() + 8, length);
    seal(body, 8);
    CHECK(decoded(body).is(Errc::corrupt));
  }
}

TEST_CASE("given another protocol version, when the frame is decoded, then it is unsupported and both versions are named") {
  ByteVec body = body_of(FrameKind::hello, "metadata", "");
  body[5] = kPeerVersion + 1;
  seal(body, 8);
  Result<Frame> frame = decoded(body);
  REQUIRE(frame.is(Errc::unsupported));
  CHECK(frame.error().what == fmt::format("peer protocol version {}, this node speaks {}", kPeerVersion + 1, kPeerVersion));
}
