#include "broker/kafka/describe.h"

#include <fmt/format.h>

namespace sg::kafka {

namespace {
constexpr size_t kMaxText = INT16_MAX;  // Kafka's limit for strings in every encoding
}

std::optional<size_t> Decoder::length(Wide wide, bool nullable) {
  int64_t n;
  if (flexible_)
    n = static_cast<int64_t>(reader_.uvarint32()) - 1;
  else if (wide == Wide::yes)
    n = reader_.be<int32_t>();
  else
    n = reader_.be<int16_t>();
  if (!reader_.ok()) return std::nullopt;
  if (n >= 0) return static_cast<size_t>(n);
  if (n < -1 || !nullable) reader_.fail();
  return std::nullopt;
}

bool Decoder::reserve_memory(size_t bytes) {
  if (bytes > memory_left_) return false;
  memory_left_ -= bytes;
  return true;
}

void Decoder::read_text(std::string& text, size_t size) {
  if (size > kMaxText) return reader_.fail();
  text = as_text(reader_.bytes(size));
}

SharedBytes Decoder::read_slice(size_t size) {
  ByteSpan bytes = reader_.bytes(size);
  return bytes.empty() ? SharedBytes() : body_.slice(static_cast<size_t>(bytes.data() - body_.data()), bytes.size());
}

Result<> Decoder::finish() const {
  if (!reader_.ok()) return fail(Errc::invalid, fmt::format("{} bytes, malformed after byte {}", body_.size(), field_begin_));
  if (reader_.remaining() > 0)
    return fail(Errc::invalid, fmt::format("{} bytes, of which the last {} mean nothing", body_.size(), reader_.remaining()));
  return {};
}

void Encoder::length(size_t n, Wide wide) {
  ENSURE(n < INT32_MAX, "{} bytes or elements", n);
  if (flexible_)
    writer_.uvarint(n + 1);
  else if (wide == Wide::yes)
    writer_.be(static_cast<int32_t>(n));
  else
    writer_.be(static_cast<int16_t>(n));
}

void Encoder::null(Wide wide, bool nullable) {
  if (!nullable) return length(0, wide);
  if (flexible_)
    writer_.uvarint(0);
  else if (wide == Wide::yes)
    writer_.be(int32_t{-1});
  else
    writer_.be(int16_t{-1});
}

void Encoder::write_text(const std::string& text) {
  // No string that came over the wire is longer; a message for a person that quotes one may be.
  ByteSpan bytes = as_bytes(text).first(std::min(text.size(), kMaxText));
  length(bytes.size(), Wide::no);
  writer_.bytes(bytes);
}

Error undecodable(const Api& api, int16_t version, Error error) {
  error.what = fmt::format("{} v{}: {}", api.name, version, error.what);
  return error;
}

}  // namespace sg::kafka
