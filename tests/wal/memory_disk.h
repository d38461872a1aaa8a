// A disk in memory for the journal's tests: operations take a moment, unsynced sectors are kept, lost or torn at a power cut, and the
// process can be killed at any chosen operation.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/rng.h"
#include "base/sync.h"
#include "disk/disk.h"

namespace sg::wal::test {

constexpr size_t kSector = 512;

struct Inode {
  ByteVec now;             // what a read sees
  ByteVec durable;         // what a power cut leaves for certain
  std::set<size_t> dirty;  // sectors where the two may differ
  bool locked = false;
  uint64_t number = 0;
  std::set<uint64_t> unreadable;  // blocks of 4 KiB
};

class MemoryDisk : public disk::Disk {
 public:
  // From the operation with this number on (counted from 1 over writes, syncs and names) everything is refused; the operation itself
  // has been started, nobody knows how far it came. 0 = never.
  uint64_t crash_at = 0;
  uint64_t operations = 0;
  bool dead = false;
  Errc fail_next_write{};  // set with fail_writes
  bool fail_writes = false;
  uint64_t capacity = UINT64_MAX;
  uint64_t bytes_read = 0;
  std::function<void(const std::string& path, uint64_t offset, size_t bytes)> on_write;

  static constexpr int64_t kBirth = 1'700'000'000'000'000'000;
  bool births = true;  // the file system tells when a file was made
  std::map<std::string, std::shared_ptr<Inode>> names;
  uint64_t last_number = 0;

  Inode& at(const std::string& path) { return *names.at(path); }

  Result<std::unique_ptr<disk::File>> open(Task& task, std::string_view path, disk::OpenMode mode, disk::Caching caching) override;
  Result<> remove(Task& task, std::string_view path) override {
    TRY_DO(step(task));
    if (names.erase(std::string(path)) == 0) return fail(Errc::not_found);
    return {};
  }
  Result<> rename(Task& task, std::string_view from, std::string_view to) override {
    TRY_DO(step(task));
    auto at = names.find(from.data());
    if (at == names.end()) return fail(Errc::not_found);
    names[std::string(to)] = at->second;
    names.erase(at);
    return {};
  }
  Result<> make_directory(Task&, std::string_view) override { return dead ? fail(Errc::stopped) : Result<>(); }
  Result<std::vector<std::string>> list(Task&, std::string_view path) override {
    if (dead) return fail(Errc::stopped);
    std::vector<std::string> out;
    std::string prefix = std::string(path) + "/";
    for (const auto& [name, inode] : names)
      if (name.starts_with(prefix)) out.push_back(name.substr(prefix.size()));
    return out;
  }
  Result<disk::FileInfo> info(Task&, std::string_view path) override {
    if (dead) return fail(Errc::stopped);
    auto at = names.find(std::string(path));
    if (at == names.end()) return fail(Errc::not_found, std::string(path));
    return info_of(*at->second);
  }
  disk::FileInfo info_of(const Inode& inode) const { return {inode.now.size(), inode.number, births ? kBirth : 0}; }
  Result<> sync_directory(Task& task, std::string_view) override {
    TRY_DO(step(task));
    durable_names_ = names;
    return {};
  }

  // The power goes: names fall back to the last directory sync or stay, sectors are kept, lost or torn.
  void power_cut(Rng& rng) {
    if (rng.chance(1, 2)) names = durable_names_;
    for (auto& [path, inode] : names) {
      inode->locked = false;
      uint64_t fate = rng.below(4);  // 0: all lost, 1: all kept, else each on its own
      inode->now.resize(std::max(inode->now.size(), inode->durable.size()));
      inode->durable.resize(inode->now.size());
      for (size_t sector : inode->dirty) {
        uint64_t one = fate == 0 ? 0 : fate == 1 ? 1 : rng.below(3);
        size_t from = sector * kSector;
        size_t size = std::min(kSector, inode->now.size() - std::min(from, inode->now.size()));
        if (one == 1) size = 0;
        if (one == 2 && size > 0) size = static_cast<size_t>(rng.below(size));
        std::copy_n(inode->durable.begin() + static_cast<std::ptrdiff_t>(from), size,
                    inode->now.begin() + static_cast<std::ptrdiff_t>(from));
      }
      inode->dirty.clear();
      inode->durable = inode->now;
    }
    durable_names_ = names;
    revive();
  }
  // The process dies; the page cache stays.
  void kill() {
    for (auto& [path, inode] : names) inode->locked = false;
    revive();
  }
  void revive() {
    dead = fail_writes = false;
    crash_at = operations = 0;
  }
  // Another disk in the same state, as after a power cut: for the question what would have been. An operator's copy is renumber()ed.
  std::unique_ptr<MemoryDisk> clone() const {
    auto copy = std::make_unique<MemoryDisk>();
    for (const auto& [path, inode] : names) copy->names[path] = std::make_shared<Inode>(*inode);
    for (auto& [path, inode] : copy->names) inode->locked = false;
    copy->durable_names_ = copy->names;
    copy->last_number = last_number;
    return copy;
  }

  void renumber() {
    for (auto& [path, inode] : names) inode->number += 1000;
  }

  uint64_t used() const {
    uint64_t sum = 0;
    for (const auto& [path, inode] : names) sum += inode->now.size();
    return sum;
  }
  // One operation that changes the disk. The fatal one has been started, and is not known to be done.
  Result<> step(Task& task) {
    if (dead) return fail(Errc::stopped);
    uint64_t mine = ++operations;
    pause(task);
    if (crash_at != 0 && mine >= crash_at) dead = true;
    return dead ? fail(Errc::stopped) : Result<>();
  }
  static void pause(Task& task) { (void)task.park("disk", task.now() + 20us, Interruptible::no); }

 private:
  std::map<std::string, std::shared_ptr<Inode>> durable_names_;
};

class MemoryFile : public disk::File {
 public:
  MemoryFile(MemoryDisk& disk, std::string path, std::shared_ptr<Inode> inode, bool direct)
      : disk_(disk), path_(std::move(path)), inode_(std::move(inode)), direct_(direct) {}
  ~MemoryFile() override {
    if (owner_) inode_->locked = false;
  }

  Result<size_t> read(Task& task, uint64_t offset, MutableByteSpan into) override {
    if (disk_.dead) return fail(Errc::stopped);
    check(offset, into.size(), into.data());
    MemoryDisk::pause(task);
    for (uint64_t block : inode_->unreadable)
      if (offset < (block + 1) * 4096 && block * 4096 < offset + into.size()) return fail(Errc::io, "unreadable");
    if (offset >= inode_->now.size()) return size_t{0};
    size_t size = std::min<size_t>(into.size(), inode_->now.size() - offset);
    std::copy_n(inode_->now.begin() + static_cast<std::ptrdiff_t>(offset), size, into.begin());
    disk_.bytes_read += size;
    return size;
  }
  Result<> write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, disk::Durability durability) override {
    if (disk_.dead) return fail(Errc::stopped);
    ByteVec all;
    for (ByteSpan p : pieces) {
      check(offset, p.size(), p.data());
      all.insert(all.end(), p.begin(), p.end());
    }
    if (disk_.on_write) disk_.on_write(path_, offset, all.size());
    if (disk_.fail_writes) return fail(disk_.fail_next_write, "injected");
    if (offset + all.size() > inode_->now.size() && disk_.used() + offset + all.size() - inode_->now.size() > disk_.capacity)
      return fail(Errc::no_space, "full");
    inode_->now.resize(std::max<size_t>(inode_->now.size(), offset + all.size()));
    std::ranges::copy(all, inode_->now.begin() + static_cast<std::ptrdiff_t>(offset));
    std::set<size_t> mine;
    for (size_t s = offset / kSector; s * kSector < offset + all.size(); ++s) mine.insert(s);
    inode_->dirty.insert(mine.begin(), mine.end());
    TRY_DO(disk_.step(task));
    if (durability == disk::Durability::synced) settle(mine);
    return {};
  }
  Result<> sync(Task& task) override {
    auto covered = inode_->dirty;
    TRY_DO(disk_.step(task));
    settle(covered);
    return {};
  }
  Result<uint64_t> size(Task&) override { return inode_->now.size(); }
  Result<disk::FileInfo> info(Task&) override {
    if (disk_.dead) return fail(Errc::stopped);
    return disk_.info_of(*inode_);
  }
  Result<> truncate(Task& task, uint64_t size) override {
    TRY_DO(disk_.step(task));
    inode_->now.resize(size);
    return {};
  }
  bool direct() const override { return direct_; }
  size_t alignment() const override { return direct_ ? 4096 : 1; }
  Result<> lock() override {
    if (inode_->locked) return fail(Errc::busy);
    owner_ = inode_->locked = true;
    return {};
  }

 private:
  void check(uint64_t offset, size_t size, const void* data) const {
    if (direct_) ENSURE(offset % 4096 == 0 && size % 4096 == 0 && reinterpret_cast<uintptr_t>(data) % 4096 == 0, "unaligned direct I/O");
  }
  void settle(const std::set<size_t>& sectors) {
    inode_->durable.resize(std::max(inode_->durable.size(), inode_->now.size()));
    for (size_t s : sectors) {
      size_t from = s * kSector;
      if (from >= inode_->now.size()) continue;
      std::copy_n(inode_->now.begin() + static_cast<std::ptrdiff_t>(from), std::min(kSector, inode_->now.size() - from),
                  inode_->durable.begin() + static_cast<std::ptrdiff_t>(from));
      inode_->dirty.erase(s);
    }
  }
  MemoryDisk& disk_;
  std::string path_;
  std::shared_ptr<Inode> inode_;
  bool direct_;
  bool owner_ = false;
};

inline Result<std::unique_ptr<disk::File>> MemoryDisk::open(Task& task, std::string_view path, disk::OpenMode mode, disk::Caching caching) {
  if (dead) return fail(Errc::stopped);
  auto at = names.find(std::string(path));
  if (at == names.end()) {
    if (mode != disk::OpenMode::create) return fail(Errc::not_found, std::string(path));
    TRY_DO(step(task));
    at = names.emplace(std::string(path), std::make_shared<Inode>()).first;
    at->second->number = ++last_number;
  }
  return std::make_unique<MemoryFile>(*this, at->first, at->second, caching == disk::Caching::direct);
}

}  // namespace sg::wal::test
