#include "broker/kafka/header.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::kafka {

namespace {

constexpr size_t kLengthBytes = 4;

// Headers have no tagged fields of their own; whatever stands there is skipped.
void skip_tags(ByteReader& reader) {
  for (uint32_t left = reader.uvarint32(); left > 0 && reader.ok(); --left) {
    reader.uvarint32();
    uint32_t size = reader.uvarint32();
    reader.bytes(size);
  }
}

SharedBytes rest_of(const SharedBytes& frame, const ByteReader& reader) { return frame.slice(frame.size() - reader.remaining()); }

}  // namespace

Result<RequestFrame> decode_request_header(const SharedBytes& frame) {
  ByteReader reader(frame.span());
  RequestFrame request;
  RequestHeader& header = request.header;
  header.api_key = static_cast<ApiKey>(reader.be<int16_t>());
  header.api_version = reader.be<int16_t>();
  header.correlation_id = reader.be<int32_t>();
  int16_t version = request_header_version(header.api_key, header.api_version);
  if (version >= 1) {
    int16_t size = reader.be<int16_t>();
    if (size < -1) reader.fail();
    if (size >= 0) header.client_id.emplace(as_text(reader.bytes(static_cast<size_t>(size))));
  }
  if (version >= 2) skip_tags(reader);
  if (!reader.ok()) {
    return fail(Errc::invalid, fmt::format("{} bytes with a malformed request header v{} ({} v{})", frame.size(), version,
                                           to_string(header.api_key), header.api_version));
  }
  request.body = rest_of(frame, reader);
  return request;
}

Result<ResponseFrame> decode_response_header(ApiKey key, int16_t version, const SharedBytes& frame) {
  ByteReader reader(frame.span());
  ResponseFrame response;
  response.correlation_id = reader.be<int32_t>();
  if (response_header_version(key, version) >= 1) skip_tags(reader);
  if (!reader.ok())
    return fail(Errc::invalid, fmt::format("{} bytes with a malformed response header ({} v{})", frame.size(), to_string(key), version));
  response.body = rest_of(frame, reader);
  return response;
}

Result<int32_t> peek_correlation_id(ByteSpan frame) {
  if (frame.size() < 4) return fail(Errc::invalid, fmt::format("a response of {} bytes", frame.size()));
  return load_be<int32_t>(frame.data());
}

void begin_request(Gather& out, ApiKey key, int16_t version, int32_t correlation_id, std::optional<std::string_view> client_id) {
  ENSURE(out.size() == 0, "a frame begins an empty Gather");
  ByteWriter writer(out.bytes());
  writer.zeros(kLengthBytes);
  writer.be(static_cast<int16_t>(key));
  writer.be(version);
  writer.be(correlation_id);
  int16_t header_version = request_header_version(key, version);
  if (header_version >= 1) {
    writer.be(static_cast<int16_t>(client_id ? std::min<size_t>(client_id->size(), INT16_MAX) : -1));
    if (client_id) writer.bytes(as_bytes(client_id->substr(0, INT16_MAX)));
  }
  if (header_version >= 2) writer.uvarint(0);
}

void begin_response(Gather& out, ApiKey key, int16_t version, int32_t correlation_id) {
  ENSURE(out.size() == 0, "a frame begins an empty Gather");
  ByteWriter writer(out.bytes());
  writer.zeros(kLengthBytes);
  writer.be(correlation_id);
  if (response_header_version(key, version) >= 1) writer.uvarint(0);
}

std::vector<SharedBytes> end_frame(Gather out) {
  ENSURE(out.size() >= kLengthBytes && out.size() - kLengthBytes <= INT32_MAX, "a frame of {} bytes", out.size());
  out.patch_be32(0, static_cast<int32_t>(out.size() - kLengthBytes));
  return std::move(out).finish();
}

}  // namespace sg::kafka
