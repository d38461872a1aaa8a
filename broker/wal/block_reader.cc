#include "broker/wal/block_reader.h"

#include <algorithm>

#include "broker/wal/format.h"

namespace sg::wal {
namespace {
// A reader that looks at one header reads little; one that goes on reads in large pieces.
constexpr size_t kFirstWindowBytes = 8 << 10;
constexpr size_t kWindowGrowth = 8;
constexpr size_t kLastWindowBytes = 1 << 20;
}  // namespace

Result<> BlockReader::fill(Task& task) {
  MutableByteSpan into = window_.writable().first(size_);
  auto got = file_.read(task, from_, into);
  if (got) {
    std::ranges::fill(into.subspan(*got), uint8_t{0});
    return {};
  }
  if (!got.is(Errc::io)) return std::unexpected(got.error());
  for (size_t at = 0; at < size_; at += block_) {
    MutableByteSpan block = into.subspan(at, block_);
    auto one = file_.read(task, from_ + at, block);
    if (!one && !one.is(Errc::io)) return std::unexpected(one.error());
    if (!one) ++unreadable_;
    std::ranges::fill(block.subspan(one.value_or(0)), uint8_t{0});
  }
  return {};
}

Result<ByteSpan> BlockReader::range(Task& task, uint64_t offset, size_t length) {
  if (offset < from_ || offset + length > from_ + size_) {
    from_ = offset / block_ * block_;
    window_bytes_ = window_bytes_ == 0 ? kFirstWindowBytes : std::min(window_bytes_ * kWindowGrowth, kLastWindowBytes);
    const uint64_t there = file_bytes_ > from_ ? file_bytes_ - from_ : 0;
    size_ = static_cast<size_t>(round_up(std::max<uint64_t>(offset + length - from_, std::min<uint64_t>(window_bytes_, there)), block_));
    if (window_.size() < size_) window_ = SharedBytes::allocate(size_, std::max<size_t>(block_, kBlockBytes));
    if (auto filled = fill(task); !filled) {
      size_ = 0;
      return std::unexpected(filled.error());
    }
  }
  return window_.span().subspan(static_cast<size_t>(offset - from_), length);
}

}  // namespace sg::wal
