// The segment files: which are in use, in order of generation, and which are free to be written again.
//
// Invariant: generations in use are contiguous, the last is the active one; a file becomes free only after a durable commit has
// raised the floor above it, and only while nothing is being written to it. Every file stays open and locked.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/wal/format.h"
#include "broker/wal/types.h"
#include "disk/disk.h"

namespace sg::wal {

struct Segment {
  std::string path;
  std::shared_ptr<disk::File> file;  // null: the file of this generation is lost
  uint64_t inode = 0;
  bool missed = false;      // the watch found that the file is not there any more as it was
  uint64_t file_bytes = 0;  // as far as it was written, with zeros or with an older generation
  SegmentHeader header;
  uint64_t capacity = 0;  // the active one: how far commits go before the next segment is begun
  uint64_t position = 0;  // where the next commit goes; of a sealed segment: where its index is
  uint64_t commits = 0;
  uint64_t last_sequence = 0;
  uint64_t live = 0;  // entries that are in the log
  ByteVec headers;    // its commits' headers, until the index is written
  bool index_wanted = false;
  int pins = 0;                    // writes outside the commit path
  std::optional<Tickets> barrier;  // once it is dead: what must be durable before the floor may pass it
  uint64_t generation() const { return header.generation; }
};
using SegmentPtr = std::shared_ptr<Segment>;

class Segments {
 public:
  Segments(disk::Disk& disk, std::string directory, size_t block_bytes, bool direct)
      : disk_(disk), directory_(std::move(directory)), block_bytes_(block_bytes), direct_(direct) {}

  // Opens and locks every segment file; waits for the last write of a killed process until `give_up`.
  // Errc::busy: somebody still holds one.
  Result<std::vector<SegmentPtr>> open_all(Task& task, Time give_up);
  // A new, empty, locked file; its name is durable.
  Result<SegmentPtr> create(Task& task);
  Result<> remove(Task& task, SegmentPtr segment);
  // Writes and syncs the header block; the segment then is the active one.
  Result<> activate(Task& task, SegmentPtr segment, const SegmentHeader& header, uint64_t capacity);

  // For recovery: puts a segment behind those in use.
  void adopt(SegmentPtr segment);
  void add_free(SegmentPtr segment) { free_.push_back(std::move(segment)); }

  bool has_free() const { return !free_.empty(); }
  SegmentPtr take_free();
  size_t free_count() const { return free_.size(); }
  const std::deque<SegmentPtr>& used() const { return used_; }
  SegmentPtr find(uint64_t generation) const;  // null: not in use
  Segment& active() const { return *used_.back(); }
  SegmentPtr active_ptr() const { return used_.back(); }
  void hold(uint64_t generation);     // one more live entry
  void release(uint64_t generation);  // one less
  // Below `floor`, which is durable: out of use. Returns how many.
  size_t retire_below(uint64_t floor);
  // Retired files that nothing writes to any more become free.
  void free_retired();

  uint64_t used_bytes() const;  // of the files in use
  size_t block_bytes() const { return block_bytes_; }

 private:
  Result<SegmentPtr> open_one(Task& task, const std::string& name, disk::OpenMode mode, Time give_up = {});

  disk::Disk& disk_;
  std::string directory_;
  size_t block_bytes_;
  bool direct_;
  uint64_t next_slot_ = 1;
  std::deque<SegmentPtr> used_;
  std::vector<SegmentPtr> retired_;
  std::vector<SegmentPtr> free_;
};

}  // namespace sg::wal
