// What is to be sent, as runs of bytes: what the encoder writes lies in one buffer, and record batches stand between its runs as
// shared slices of the block in which they were received or read. No record byte is copied.
#pragma once

#include <vector>

#include "base/bytes.h"

namespace sg::kafka {

class Gather {
 public:
  // The buffer at whose end the encoder writes.
  ByteVec& bytes() { return bytes_; }
  // `piece` follows everything written so far.
  void append(SharedBytes piece);
  // Everything, shared pieces included.
  size_t size() const { return bytes_.size() + shared_bytes_; }
  bool has_shared() const { return !shared_.empty(); }

  // Overwrites four bytes of the buffer, `at` bytes from its beginning: a length that is known only afterwards.
  void patch_be32(size_t at, int32_t value);

  // The runs in order, none of them empty. The written ones are slices of one block.
  std::vector<SharedBytes> finish() &&;
  // The same in one piece, by copying; for tests and small messages.
  ByteVec flatten() const;

 private:
  struct Shared {
    size_t at;  // bytes of the buffer that precede the piece
    SharedBytes piece;
  };
  ByteVec bytes_;
  std::vector<Shared> shared_;
  size_t shared_bytes_ = 0;
};

}  // namespace sg::kafka
