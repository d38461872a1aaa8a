// Raft's part of a journal in memory, for tests: starts that go on from it, and single bits that flip.
#pragma once

#include <algorithm>

#include "broker/raft_recovery.h"
#include "tests/wal/world.h"

namespace sg::broker::test {

inline Result<raft::Recovered> recover_raft(Task& task, const wal::OpenResult& opened, bool listed_alone) {
  TRY(KeptRaft kept, read_raft(task, *opened.journal, opened));
  return settle_raft(task, *opened.journal, std::move(kept), listed_alone);
}

// Flips a bit in each place of the disk where these bytes stand.
inline void spoil(wal::test::MemoryDisk& disk, ByteSpan bytes) {
  for (auto& [path, inode] : disk.names) {
    auto at = std::search(inode->now.begin(), inode->now.end(), bytes.begin(), bytes.end());
    if (at != inode->now.end()) *at = static_cast<uint8_t>(*at ^ 1);
  }
}

}  // namespace sg::broker::test
