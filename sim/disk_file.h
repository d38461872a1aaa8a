// What a program holds of the simulated disk: its endpoint and its files. Thin handles; the state is in SimDisk.
//
// Invariant: a handle of a dead node refuses and changes nothing. Spec: disk/disk.h, sim/life.h.
#pragma once

#include "sim/disk.h"

namespace sg::sim {

class SimFile final : public disk::File {
 public:
  SimFile(SimDisk& disk, Life& life, std::shared_ptr<SimDisk::OpenFile> file) : disk_(disk), life_(life), file_(std::move(file)) {}

  using disk::File::write;
  Result<size_t> read(Task& task, uint64_t offset, MutableByteSpan into) override;
  Result<> write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, disk::Durability durability) override;
  Result<> sync(Task& task) override;
  Result<uint64_t> size(Task& task) override;
  Result<disk::FileInfo> info(Task& task) override;
  Result<> truncate(Task& task, uint64_t size) override;
  bool direct() const override { return file_->direct; }
  size_t alignment() const override { return file_->direct ? disk_.options_.direct_alignment : 1; }
  Result<> lock() override;

 private:
  Result<> check_aligned(uint64_t offset, const void* data, size_t length) const;

  SimDisk& disk_;
  Life& life_;
  std::shared_ptr<SimDisk::OpenFile> file_;
};

class HostDisk final : public disk::Disk {
 public:
  HostDisk(SimDisk& disk, Life& life) : disk_(disk), life_(life) {}

  Result<std::unique_ptr<disk::File>> open(Task& task, std::string_view path, disk::OpenMode mode, disk::Caching caching) override;
  Result<> remove(Task& task, std::string_view path) override;
  Result<> rename(Task& task, std::string_view from, std::string_view to) override;
  Result<> make_directory(Task& task, std::string_view path) override;
  Result<std::vector<std::string>> list(Task& task, std::string_view path) override;
  Result<disk::FileInfo> info(Task& task, std::string_view path) override;
  Result<> sync_directory(Task& task, std::string_view path) override;

 private:
  SimDisk& disk_;
  Life& life_;
};

}  // namespace sg::sim
