#include "bench/measure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

namespace sg::bench {
namespace {

constexpr size_t kAlignment = 4096;
constexpr size_t kFillBytes = 1 << 20;

int64_t cpu_of(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  auto ns = [](const timeval& t) { return t.tv_sec * int64_t{1'000'000'000} + t.tv_usec * int64_t{1'000}; };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

}  // namespace

int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

int64_t cpu_ns() { return cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN); }

int64_t Samples::percentile(uint64_t per_mille) {
  if (ns_.empty()) return 0;
  if (!sorted_) std::sort(ns_.begin(), ns_.end());
  sorted_ = true;
  const size_t rank = (ns_.size() * per_mille + 999) / 1000;
  return ns_[std::min(ns_.size() - 1, rank == 0 ? 0 : rank - 1)];
}

ScratchDirectory::ScratchDirectory(const std::string& parent) : path_(parent + "/stormglass-bench-XXXXXX"), owner_(::getpid()) {
  if (!::mkdtemp(path_.data())) die("cannot make a directory in " + parent);
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  if (::getpid() == owner_) std::filesystem::remove_all(path_, ignored);
}

std::string ScratchDirectory::file(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

uint8_t* aligned_bytes(size_t size) {
  auto* bytes = static_cast<uint8_t*>(std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment));
  if (!bytes) die("out of memory");
  uint64_t state = 1;
  for (size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    bytes[i] = static_cast<uint8_t>(state >> 56);
  }
  return bytes;
}

int open_written(const std::string& path, uint64_t bytes, bool direct) {
  const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
  int fd = ::open(path.c_str(), flags | (direct ? O_DIRECT : 0), 0644);
  if (fd < 0 && direct && errno == EINVAL) {
    fmt::print(stderr, "note: {} refuses O_DIRECT; what is measured as direct goes through the page cache\n", path);
    fd = ::open(path.c_str(), flags, 0644);
  }
  if (fd < 0) die("cannot open " + path);
  if (bytes > 0) {
    uint8_t* filling = aligned_bytes(kFillBytes);
    for (uint64_t at = 0; at < bytes; at += kFillBytes)
      if (::pwrite(fd, filling, kFillBytes, static_cast<off_t>(at)) != static_cast<ssize_t>(kFillBytes)) die("cannot fill " + path);
    std::free(filling);
  }
  if (::fsync(fd) != 0) die("cannot sync " + path);
  return fd;
}

void write_synced(int fd, const uint8_t* bytes, size_t size, uint64_t offset) {
  iovec piece{const_cast<uint8_t*>(bytes), size};
  ssize_t n = 0;
  do n = ::pwritev2(fd, &piece, 1, static_cast<off_t>(offset), RWF_DSYNC);
  while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(size)) die("a synced write failed");
}

void die(std::string_view what) {
  fmt::print(stderr, "bench: {}: {}\n", what, std::strerror(errno));
  std::exit(3);
}

}  // namespace sg::bench
