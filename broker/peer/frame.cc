#include "broker/peer/frame.h"

#include <fmt/format.h>

#include "base/crc32c.h"

namespace sg::broker::peer {
namespace {

constexpr size_t kFixedBytes = 12;  // checksum, kind, version, zero, metadata length

}  // namespace

ByteVec encode_head(FrameKind kind, ByteSpan metadata, size_t payload_bytes) {
  size_t length = kFixedBytes + metadata.size() + payload_bytes;
  ENSURE(length <= kMaxFrameBytes, "peer frame of {} bytes", length);
  ByteVec out;
  out.reserve(4 + kFixedBytes + metadata.size());
  ByteWriter w(out);
  w.be<int32_t>(static_cast<int32_t>(length));
  w.le<uint32_t>(0);
  w.le<uint8_t>(static_cast<uint8_t>(kind));
  w.le<uint8_t>(kPeerVersion);
  w.le<uint16_t>(0);
  w.le<uint32_t>(static_cast<uint32_t>(metadata.size()));
  w.bytes(metadata);
  store_le<uint32_t>(out.data() + 4, crc32c(ByteSpan(out).subspan(8)));
  return out;
}

Result<Frame> decode(const SharedBytes& body) {
  if (body.size() < kFixedBytes) return fail(Errc::corrupt, fmt::format("peer frame of {} bytes is shorter than its header", body.size()));
  const uint8_t* p = body.data();
  uint32_t checksum = load_le<uint32_t>(p);
  uint32_t metadata_length = load_le<uint32_t>(p + 8);
  if (metadata_length > body.size() - kFixedBytes)
    return fail(Errc::corrupt, fmt::format("peer frame: metadata of {} bytes in a frame of {}", metadata_length, body.size()));
  uint32_t actual = crc32c(body.span().subspan(4, kFixedBytes - 4 + metadata_length));
  if (actual != checksum) return fail(Errc::corrupt, fmt::format("peer frame: checksum {:08x}, expected {:08x}", actual, checksum));
  if (p[5] != kPeerVersion)
    return fail(Errc::unsupported, fmt::format("peer protocol version {}, this node speaks {}", p[5], kPeerVersion));
  return Frame{static_cast<FrameKind>(p[4]), body.slice(kFixedBytes, metadata_length), body.slice(kFixedBytes + metadata_length)};
}

}  // namespace sg::broker::peer
