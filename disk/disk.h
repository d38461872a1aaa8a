// The disk, one of the four interfaces behind which the world may differ: files below one directory, the node's data directory.
// Contract tests: tests/contract/disk_contract.h, on every implementation (disk/ in production, sim/disk.h in the simulator).
//
// What survives: a kill of the process loses nothing that a call has returned for. A power cut keeps only what was synced: data of a
// file by sync() or a Durability::synced write that has returned; the existence of a name by sync_directory() of its directory after
// create / rename / remove. What was not synced is kept, lost or torn sector by sector, in any order.
//
// A failed write or sync means that nobody knows what is on the disk: the caller promises nothing more and the node halts; it is
// never retried. An I/O operation is not interrupted by a stop of the task: it returns when it is done (the simulator's disk of a
// dead node refuses at once with Errc::stopped).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/task.h"

namespace sg::disk {

enum class Durability : uint8_t { buffered, synced };             // synced: data is durable when the call returns (RWF_DSYNC)
enum class OpenMode : uint8_t { read_only, read_write, create };  // create: read_write, made if it is not there
enum class Caching : uint8_t { cached, direct };                  // direct: O_DIRECT where the file allows it; see File::direct()

// What tells a file from its copy. Both stay as they are for as long as the file is there, under whatever name.
struct FileInfo {
  uint64_t size = 0;
  uint64_t inode = 0;    // no other file of the same file system has it at the same time
  int64_t birth_ns = 0;  // when it was made, in ns since 1970; 0: this file system does not say
  bool operator==(const FileInfo&) const = default;
};

class File {
 public:
  // Closes. Does not suspend, so it should not be the last to let go of a large file whose name is gone.
  virtual ~File() = default;

  // Reads up to into.size() bytes; fewer only at the end of the file.  Errc::io (a read error; other ranges may be fine).
  virtual Result<size_t> read(Task& task, uint64_t offset, MutableByteSpan into) = 0;

  // Writes all pieces contiguously from `offset`, as one write. Errc::no_space (an unknown part was written), Errc::io.
  virtual Result<> write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, Durability durability) = 0;
  Result<> write(Task& task, uint64_t offset, ByteSpan bytes, Durability durability) {
    return write(task, offset, {&bytes, 1}, durability);
  }

  // Makes data and size durable (fdatasync).  Errc::io.
  virtual Result<> sync(Task& task) = 0;

  virtual Result<uint64_t> size(Task& task) = 0;
  virtual Result<FileInfo> info(Task& task) = 0;
  virtual Result<> truncate(Task& task, uint64_t size) = 0;

  // True if offsets, lengths and buffers of read and write must be multiples of alignment(). Asked for with Caching::direct and
  // granted per file; a file that refuses it is opened cached.
  virtual bool direct() const = 0;
  virtual size_t alignment() const = 0;  // 1 when not direct

  // Takes the exclusive advisory lock of this open file, without waiting; it is held until the file is closed and every write in
  // flight on it has ended, also when the process was killed.  Errc::busy.
  virtual Result<> lock() = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Paths are relative to the data directory, with '/' between parts. Errc::not_found, Errc::io, Errc::no_space.
  virtual Result<std::unique_ptr<File>> open(Task& task, std::string_view path, OpenMode mode, Caching caching = Caching::cached) = 0;
  virtual Result<> remove(Task& task, std::string_view path) = 0;
  virtual Result<> rename(Task& task, std::string_view from, std::string_view to) = 0;
  virtual Result<> make_directory(Task& task, std::string_view path) = 0;  // ok if it is there
  // Names in a directory ("" = the data directory), sorted. Errc::not_found.
  virtual Result<std::vector<std::string>> list(Task& task, std::string_view path) = 0;
  // The file that has this name now.  Errc::not_found.
  virtual Result<FileInfo> info(Task& task, std::string_view path) = 0;
  // Makes the names in a directory durable.
  virtual Result<> sync_directory(Task& task, std::string_view path) = 0;
};

}  // namespace sg::disk
