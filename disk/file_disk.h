// disk::Disk on the files below one directory. Reads, writes and syncs go through the poller (io_uring, or its helper thread); calls
// that change names run on its helper thread. Semantics: disk/disk.h; contract: tests/contract/disk_contract.h.
//
// A synced write is one request (RWF_DSYNC). The lock is flock() on the very open file description that the writes use, so it is
// held until the last write of a killed process has ended. Every error names the path, the offset and what the system said.
#pragma once

#include <memory>
#include <string>

#include "base/file_descriptor.h"
#include "base/poller.h"
#include "disk/disk.h"

namespace sg::disk {

class FileDisk final : public Disk {
 public:
  // Opens the directory `root`, made (with its parents) if it is not there. Blocks; for start-up. The poller outlives the disk.
  // Errc::invalid: it is not a directory, or cannot be made or written to, and why.
  // Paths handed to the calls below: no empty, "." or ".." part (Errc::invalid); remove() also takes an empty directory.
  static Result<std::unique_ptr<FileDisk>> open(Poller& poller, const std::string& root);

  Result<std::unique_ptr<File>> open(Task& task, std::string_view path, OpenMode mode, Caching caching = Caching::cached) override;
  Result<> remove(Task& task, std::string_view path) override;
  Result<> rename(Task& task, std::string_view from, std::string_view to) override;
  Result<> make_directory(Task& task, std::string_view path) override;
  Result<std::vector<std::string>> list(Task& task, std::string_view path) override;
  Result<FileInfo> info(Task& task, std::string_view path) override;
  Result<> sync_directory(Task& task, std::string_view path) override;

 private:
  FileDisk(Poller& poller, std::string root, FileDescriptor root_fd)
      : poller_(poller), root_(std::move(root)), root_fd_(std::move(root_fd)) {}
  std::string full(const std::string& name) const;
  std::unexpected<Error> failed(const char* call, const std::string& name, int64_t negative_errno) const;

  Poller& poller_;
  std::string root_;
  FileDescriptor root_fd_;
};

}  // namespace sg::disk
