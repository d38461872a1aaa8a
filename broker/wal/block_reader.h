// Reads segments for recovery, in aligned pieces, each byte once as long as offsets do not go back. A block that the device refuses
// reads as zeros, which no checksum accepts as a header and which a payload's checksum finds out; beyond the end of the file there are
// zeros as well.
#pragma once

#include "base/bytes.h"
#include "disk/disk.h"

namespace sg::wal {

class BlockReader {
 public:
  // Reads at least `window_bytes` at a time (but not beyond the file's end), for those who will go on from there; 0: no more than the
  // blocks that are asked for.
  BlockReader(size_t block_bytes, size_t window_bytes) : block_(block_bytes), window_bytes_(window_bytes) {}

  // Reads `file`, of `file_bytes` bytes, from now on, with the same memory. The file outlives that.
  void turn_to(disk::File& file, uint64_t file_bytes);

  // Borrowed until the next call.  Only Errc::stopped and the like; read errors of the device are counted instead.
  Result<ByteSpan> range(Task& task, uint64_t offset, size_t length);
  uint64_t unreadable_blocks() const { return unreadable_; }

 private:
  // Moves the window to `from`; what it held of its new place stays. Returns how many bytes that are.
  size_t move_window(uint64_t from, size_t size);
  Result<> fill(Task& task, size_t kept);

  size_t block_;
  size_t window_bytes_;
  disk::File* file_ = nullptr;
  uint64_t file_bytes_ = 0;
  SharedBytes window_;
  uint64_t from_ = 0;
  size_t size_ = 0;
  uint64_t unreadable_ = 0;
};

}  // namespace sg::wal
