// Reads a segment for recovery, in aligned pieces that grow as it goes on. A block that the device refuses reads as zeros, which no
// checksum accepts as a header and which a payload's checksum finds out; beyond the end of the file there are zeros as well.
#pragma once

#include "base/bytes.h"
#include "disk/disk.h"

namespace sg::wal {

class BlockReader {
 public:
  // `file_bytes`: how large the file is, so that nothing is read ahead beyond it.
  BlockReader(disk::File& file, size_t block_bytes, uint64_t file_bytes) : file_(file), block_(block_bytes), file_bytes_(file_bytes) {}

  // Borrowed until the next call.  Only Errc::stopped and the like; read errors of the device are counted instead.
  Result<ByteSpan> range(Task& task, uint64_t offset, size_t length);
  uint64_t unreadable_blocks() const { return unreadable_; }

 private:
  Result<> fill(Task& task);

  disk::File& file_;
  size_t block_;
  uint64_t file_bytes_;
  SharedBytes window_;
  uint64_t from_ = 0;
  size_t size_ = 0;
  size_t window_bytes_ = 0;  // of the last read
  uint64_t unreadable_ = 0;
};

}  // namespace sg::wal
