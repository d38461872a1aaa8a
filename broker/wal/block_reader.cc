#include "broker/wal/block_reader.h"

#include <algorithm>

#include "broker/wal/format.h"

namespace sg::wal {

void BlockReader::turn_to(disk::File& file, uint64_t file_bytes) {
  file_ = &file;
  file_bytes_ = file_bytes;
  from_ = 0;
  size_ = 0;
  unreadable_ = 0;
}

size_t BlockReader::move_window(uint64_t from, size_t size) {
  size_t kept = from >= from_ && from < from_ + size_ ? std::min(size, static_cast<size_t>(from_ + size_ - from)) : 0;
  const uint8_t* old = window_.data() + static_cast<size_t>(kept > 0 ? from - from_ : 0);
  if (window_.size() < size) {
    SharedBytes larger = SharedBytes::allocate(size, std::max<size_t>(block_, kBlockBytes));
    if (kept > 0) std::memcpy(larger.writable().data(), old, kept);
    window_ = std::move(larger);
  } else if (kept > 0) {
    std::memmove(window_.writable().data(), old, kept);
  }
  from_ = from;
  size_ = size;
  return kept;
}

Result<> BlockReader::fill(Task& task, size_t kept) {
  MutableByteSpan into = window_.writable().subspan(kept, size_ - kept);
  uint64_t from = from_ + kept;
  auto got = file_->read(task, from, into);
  if (got) {
    std::ranges::fill(into.subspan(*got), uint8_t{0});
    return {};
  }
  if (!got.is(Errc::io)) return std::unexpected(got.error());
  for (size_t at = 0; at < into.size(); at += block_) {
    MutableByteSpan block = into.subspan(at, block_);
    auto one = file_->read(task, from + at, block);
    if (!one && !one.is(Errc::io)) return std::unexpected(one.error());
    if (!one) ++unreadable_;
    std::ranges::fill(block.subspan(one.value_or(0)), uint8_t{0});
  }
  return {};
}

Result<ByteSpan> BlockReader::range(Task& task, uint64_t offset, size_t length) {
  ENSURE(file_, "a reader without a file");
  if (offset < from_ || offset + length > from_ + size_) {
    uint64_t from = offset / block_ * block_;
    uint64_t window = std::min<uint64_t>(window_bytes_, file_bytes_ > from ? file_bytes_ - from : 0);
    size_t size = static_cast<size_t>(round_up(std::max<uint64_t>(offset + length - from, window), block_));
    size_t kept = move_window(from, size);
    if (auto filled = fill(task, kept); !filled) {
      size_ = 0;
      return std::unexpected(filled.error());
    }
  }
  return window_.span().subspan(static_cast<size_t>(offset - from_), length);
}

}  // namespace sg::wal
