// Walks the commits of one segment and judges each. Only a chain is followed: a commit counts when it names this directory, this
// generation, this position, and continues the one before; behind damage, scanning resumes at the next commit of this segment.
#pragma once

#include <optional>
#include <vector>

#include "broker/wal/block_reader.h"
#include "broker/wal/format.h"

namespace sg::wal {

struct ScanRequest {
  Uuid directory_id;  // that the segment was written in
  uint64_t generation = 0;
  uint64_t begin = 0;  // of the first commit
  uint64_t file_bytes = 0;
  ChainEnd previous;  // what the first commit continues
  // A sealed segment: where its commits end, as a later segment's header says. position 0: only sequence and crc are known.
  std::optional<ChainEnd> sealed;
};

struct ScannedCommit {
  CommitHeader header;
  std::vector<size_t> unreadable;  // records whose payload is lost
};

struct Scan {
  std::vector<ScannedCommit> commits;
  ChainEnd end;
  std::vector<Damage> lost;  // stretches about which nothing is known, by the sequences of their commits
  uint64_t mended = 0;       // commits that could be read in full from one of their two headers
  bool torn = false;         // something was cut behind the end
  uint64_t unreadable_blocks = 0;
};

Result<Scan> scan_segment(Task& task, disk::File& file, size_t block_bytes, const ScanRequest& request);

}  // namespace sg::wal
