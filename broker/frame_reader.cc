#include "broker/frame_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::broker {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kMaxBlockBytes = 64 * 1024;
constexpr size_t kMaxTrustedBytes = 1024 * 1024;  // of memory for a length that nothing else vouches for

}  // namespace

// Room behind end_ for the frame, or for the next part of a large one.
Result<> FrameReader::make_room(Task& task, size_t needed) {
  const size_t read = end_ - begin_;
  const size_t room = block_.size() - begin_;
  if (room >= needed || (room >= kMaxTrustedBytes && room > read)) return {};
  const size_t wanted = std::min(needed, std::max(kMaxTrustedBytes, 2 * read));
  // The rest of the block is too short. Slices of it may still be in use, so what has been read of this frame moves to a new one,
  // unless nobody else holds the block and it is long enough.
  if (block_.use_count() == 1 && block_.size() >= wanted) {
    std::memmove(block_.writable().data(), block_.data() + begin_, read);
  } else {
    if (room_ && wanted > kMaxBlockBytes) TRY_DO(room_->reserve(task, wanted));
    SharedBytes fresh = SharedBytes::allocate(std::max(wanted, next_block_bytes_));
    if (read > 0) std::memcpy(fresh.writable().data(), block_.data() + begin_, read);
    block_ = std::move(fresh);
  }
  begin_ = 0;
  end_ = read;
  return {};
}

Result<> FrameReader::fill(Task& task, size_t needed, Time deadline) {
  while (end_ - begin_ < needed) {
    TRY_DO(make_room(task, needed));
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
  if (begin_ == end_ && block_.size() > kMaxBlockBytes) {  // made for a large frame: not kept while nothing comes
    block_ = SharedBytes();
    begin_ = end_ = 0;
  }
  if (room_) room_->release();
  return body;
}

}  // namespace sg::broker
