#include "broker/frame_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::broker {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kMaxBlockBytes = 64 * 1024;

}  // namespace

Result<> FrameReader::fill(Task& task, size_t needed, Time deadline) {
  while (end_ - begin_ < needed) {
    if (block_.size() - begin_ < needed) {
      // The rest of the block is too short. Slices of it may still be in use, so what has been read of this frame moves to a new one,
      // unless nobody else holds the block and it is long enough.
      if (block_.use_count() == 1 && block_.size() >= needed) {
        std::memmove(block_.writable().data(), block_.data() + begin_, end_ - begin_);
      } else {
        SharedBytes fresh = SharedBytes::allocate(std::max(needed, next_block_bytes_));
        if (end_ > begin_) std::memcpy(fresh.writable().data(), block_.data() + begin_, end_ - begin_);
        block_ = std::move(fresh);
      }
      end_ -= begin_;
      begin_ = 0;
    }
    TRY(size_t n, connection_.read(task, block_.writable().subspan(end_), deadline));
    if (n == 0) return end_ == begin_ ? fail(Errc::closed) : fail(Errc::reset, "the peer finished in the middle of a frame");
    if (end_ + n == block_.size()) next_block_bytes_ = std::min(kMaxBlockBytes, next_block_bytes_ * 2);
    end_ += n;
  }
  return {};
}

Result<SharedBytes> FrameReader::next(Task& task, Time deadline) {
  if (begin_ == end_ && block_.use_count() == 1) begin_ = end_ = 0;
  TRY_DO(fill(task, kLengthBytes, deadline));
  int32_t length = load_be<int32_t>(block_.data() + begin_);
  if (length < 0 || static_cast<size_t>(length) > max_frame_bytes_)
    return fail(Errc::too_large, fmt::format("a frame of {} bytes; the limit is {}", length, max_frame_bytes_));
  size_t bytes = static_cast<size_t>(length);
  TRY_DO(fill(task, kLengthBytes + bytes, deadline));
  SharedBytes body = block_.slice(begin_ + kLengthBytes, bytes);
  begin_ += kLengthBytes + bytes;
  return body;
}

}  // namespace sg::broker
