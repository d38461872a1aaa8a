// The commit buffers of the recent past: they serve followers and tailing consumers, and are written again when the last reader has
// let go. Bounded by bytes of whole buffers, since a slice keeps all of its buffer alive.
//
// Invariant: a buffer is handed out for writing only while nobody else holds a slice of it.
#pragma once

#include <deque>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace sg::wal {

class TailCache {
 public:
  TailCache(uint64_t limit_bytes, size_t alignment) : limit_(limit_bytes), alignment_(alignment) {}

  // A buffer of at least `bytes`, reused or new, with arbitrary content.
  SharedBytes take(size_t bytes);

  // Keeps the buffer of a commit that is durable, whose payloads belong to these streams.
  struct Kept {
    uint64_t commit = 0;
    SharedBytes buffer;
    std::vector<StreamId> streams;
  };
  void keep(Kept kept);

  bool over_limit() const { return !kept_.empty() && bytes_ > limit_; }
  // The oldest commit leaves: the caller drops its slices, then gives the buffer back.
  Kept take_oldest();
  void give_back(SharedBytes buffer);

  uint64_t bytes() const { return bytes_; }
  uint64_t allocated() const { return allocated_; }

 private:
  static constexpr size_t kMaxSpare = 16;

  uint64_t limit_;
  size_t alignment_;
  uint64_t bytes_ = 0;
  uint64_t allocated_ = 0;
  std::deque<Kept> kept_;
  std::vector<SharedBytes> spare_;
};

}  // namespace sg::wal
