#include "base/archive.h"

namespace sg {

size_t UnpackArchive::count(size_t min_bytes) {
  size_t n = reader_.le<uint32_t>();
  if (n <= reader_.remaining() / min_bytes) return n;
  reader_.fail();
  return 0;
}

SharedBytes UnpackArchive::shared() {
  ByteSpan bytes = counted();
  if (!frame_ || bytes.empty()) return SharedBytes::copy_of(bytes);
  return frame_->slice(static_cast<size_t>(bytes.data() - frame_->data()), bytes.size());
}

Result<> UnpackArchive::finish() const {
  if (!reader_.ok()) return fail(Errc::corrupt, "packed value: a length exceeds the bytes that remain, or a byte has no meaning");
  if (reader_.remaining() > 0) return fail(Errc::corrupt, fmt::format("packed value: {} bytes too many", reader_.remaining()));
  return {};
}

}  // namespace sg
