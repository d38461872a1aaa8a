#include "sim/disk_file.h"

#include <fmt/format.h>

namespace sg::sim {
namespace {

template <class T>
Result<> without_value(Result<T> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return {};
}

}  // namespace

// --- SimFile -------------------------------------------------------------------------------------------------------------------

Result<> SimFile::check_aligned(uint64_t offset, const void* data, size_t length) const {
  if (!file_->direct) return {};
  size_t unit = alignment();
  bool aligned = offset % unit == 0 && length % unit == 0 && reinterpret_cast<uintptr_t>(data) % unit == 0;
  if (aligned) return {};
  return fail(Errc::invalid, fmt::format("direct access to '{}' at {} + {} is not aligned to {}", file_->path, offset, length, unit));
}

Result<size_t> SimFile::read(Task& task, uint64_t offset, MutableByteSpan into) {
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(check_aligned(offset, into.data(), into.size()));
  auto result = disk_.read(task, life_, file_, offset, into);
  if (life_.dead()) return life_.refuse(task);
  return result;
}

Result<> SimFile::write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, disk::Durability durability) {
  if (life_.dead()) return life_.refuse(task);
  if (!file_->writable) return fail(Errc::invalid, fmt::format("'{}' is open for reading only", file_->path));
  for (ByteSpan piece : pieces) TRY_DO(check_aligned(offset, piece.data(), piece.size()));
  auto result = disk_.write(task, life_, file_, offset, pieces, durability);
  if (life_.dead()) return life_.refuse(task);
  return without_value(std::move(result));
}

Result<> SimFile::sync(Task& task) {
  if (life_.dead()) return life_.refuse(task);
  auto result = disk_.sync(task, life_, file_);
  if (life_.dead()) return life_.refuse(task);
  return without_value(std::move(result));
}

Result<uint64_t> SimFile::size(Task& task) {
  if (life_.dead()) return life_.refuse(task);
  return file_->inode->size();
}

Result<disk::FileInfo> SimFile::info(Task& task) {
  if (life_.dead()) return life_.refuse(task);
  return SimDisk::info_of(*file_->inode);
}

Result<> SimFile::truncate(Task& task, uint64_t size) {
  if (life_.dead()) return life_.refuse(task);
  if (!file_->writable) return fail(Errc::invalid, fmt::format("'{}' is open for reading only", file_->path));
  auto waited = disk_.pass_time(task, life_, file_->path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  Inode& inode = *file_->inode;
  if (size > inode.size() && disk_.room_for(inode, inode.size(), size - inode.size()) < size - inode.size())
    return fail(Errc::no_space, fmt::format("no space to grow '{}' to {}", file_->path, size));
  inode.truncate(size);
  life_.trace(TraceKind::disk_truncate, inode.id(), size);
  disk_.observe([&](DiskObserver& o) { o.on_truncate(disk_.node_, disk_.ref_of(*file_), size); });
  if (life_.pass(CrashPoint::after_truncate)) return life_.refuse(task);
  return {};
}

Result<> SimFile::lock() {
  if (life_.dead()) return life_.refuse();
  return disk_.lock(*file_);
}

// --- HostDisk ------------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<disk::File>> HostDisk::open(Task& task, std::string_view path, disk::OpenMode mode, disk::Caching caching) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  auto file = disk_.open(life_, path, mode, caching);
  if (life_.dead()) return life_.refuse(task);
  if (!file) return std::unexpected(std::move(file).error());
  return std::make_unique<SimFile>(disk_, life_, std::move(*file));
}

Result<> HostDisk::remove(Task& task, std::string_view path) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  TRY(InodeRef inode, disk_.names_.remove(path));
  disk_.name_changed(life_, NameChange::remove, path, {}, inode->id());
  if (life_.dead()) return life_.refuse(task);
  return {};
}

Result<> HostDisk::rename(Task& task, std::string_view from, std::string_view to) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, from);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  TRY(InodeRef inode, disk_.names_.rename(from, to));
  for (SimDisk::OpenFile* open : disk_.open_)
    if (open->inode == inode) open->path = to;
  disk_.name_changed(life_, NameChange::rename, from, to, inode->id());
  if (life_.dead()) return life_.refuse(task);
  return {};
}

Result<> HostDisk::make_directory(Task& task, std::string_view path) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  if (disk_.names_.is_directory(path)) return {};
  TRY_DO(disk_.names_.make_directory(path));
  disk_.name_changed(life_, NameChange::make_directory, path, {}, 0);
  if (life_.dead()) return life_.refuse(task);
  return {};
}

Result<std::vector<std::string>> HostDisk::list(Task& task, std::string_view path) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  return disk_.names_.list(path);
}

Result<disk::FileInfo> HostDisk::info(Task& task, std::string_view path) {
  if (life_.dead()) return life_.refuse(task);
  auto waited = disk_.pass_time(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  TRY_DO(std::move(waited));
  TRY(InodeRef inode, disk_.names_.find(path));
  return SimDisk::info_of(*inode);
}

Result<> HostDisk::sync_directory(Task& task, std::string_view path) {
  if (life_.dead()) return life_.refuse(task);
  auto result = disk_.sync_directory(task, life_, path);
  if (life_.dead()) return life_.refuse(task);
  return without_value(std::move(result));
}

}  // namespace sg::sim
