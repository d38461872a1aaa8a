// The lock of a file that a process writes to. A killed process's last writes may still be under way when the next one starts, and land
// in the middle of what that one has written; so every file of the journal is written only by who holds its lock, which outlives them.
#pragma once

#include <string>

#include "base/task.h"
#include "disk/disk.h"

namespace sg::wal {

inline constexpr Duration kLockWait = 10s;

// Waits until `give_up` for the last write of a killed process.  Errc::busy: somebody still holds the lock.
Result<> lock_file(Task& task, disk::File& file, const std::string& path, Time give_up);

}  // namespace sg::wal
