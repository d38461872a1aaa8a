// One open file as disk::File. Invariant: a call returns only when the kernel is done with its buffers; when a call fails, or the
// file goes away, nothing of it is in flight.
#pragma once

#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "base/poller.h"
#include "disk/disk.h"

namespace sg::disk {

// `path` is for messages.  ENOENT, ENOTDIR: not_found; ENOSPC, EDQUOT: no_space; EEXIST: exists; else io.
std::unexpected<Error> system_error(const char* call, const std::string& path, int error);

// statx() of `path` below `at_fd`, or of `at_fd` itself where `path` is empty. 0, or a negative errno.
int file_info(int at_fd, const std::string& path, FileInfo& out);

class PosixFile final : public File {
 public:
  // What direct files ask for: the block of every disk that is common today, and the page. The kernel often takes less.
  static constexpr size_t kDirectAlignment = 4096;

  PosixFile(Poller& poller, FileDescriptor fd, std::string path, bool direct)
      : poller_(poller), fd_(std::move(fd)), path_(std::move(path)), direct_(direct) {}
  ~PosixFile() override;

  Result<size_t> read(Task& task, uint64_t offset, MutableByteSpan into) override;
  Result<> write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, Durability durability) override;
  Result<> sync(Task& task) override;
  Result<uint64_t> size(Task& task) override;
  Result<FileInfo> info(Task& task) override;
  Result<> truncate(Task& task, uint64_t size) override;
  bool direct() const override { return direct_; }
  size_t alignment() const override { return direct_ ? kDirectAlignment : 1; }
  Result<> lock() override;

 private:
  void check_aligned(uint64_t offset, ByteSpan piece) const;
  // After EINVAL on a direct file: some file systems grant O_DIRECT and refuse it at the first transfer. False if it was not direct.
  bool go_on_cached();
  Result<> write_all(Task& task, uint64_t offset, std::vector<iovec> vector, bool synced);
  std::unexpected<Error> failed(const char* call, uint64_t offset, int error) const;

  Poller& poller_;
  FileDescriptor fd_;
  std::string path_;
  bool direct_;
  int in_flight_ = 0;
};

}  // namespace sg::disk
