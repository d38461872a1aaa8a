#include "disk/posix_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/ensure.h"
#include "base/probe.h"

namespace sg::disk {

namespace {

class InFlight {
 public:
  explicit InFlight(int& count) : count_(count) { ++count_; }
  ~InFlight() { --count_; }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

 private:
  int& count_;
};

bool interrupted(int64_t result) { return result == -EINTR || result == -EAGAIN; }

Errc code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: return Errc::not_found;
    case ENOSPC:
    case EDQUOT: return Errc::no_space;
    case EEXIST: return Errc::exists;
    default: return Errc::io;
  }
}

}  // namespace

std::unexpected<Error> system_error(const char* call, const std::string& path, int error) {
  return fail(code_of(error), fmt::format("{} {}: {}", call, path, std::strerror(error)));
}

int file_info(int at_fd, const std::string& path, FileInfo& out) {
  struct statx s {};
  if (::statx(at_fd, path.c_str(), path.empty() ? AT_EMPTY_PATH : 0, STATX_INO | STATX_SIZE | STATX_BTIME, &s) != 0) return -errno;
  out = {s.stx_size, s.stx_ino, 0};
  if (s.stx_mask & STATX_BTIME) out.birth_ns = s.stx_btime.tv_sec * 1'000'000'000 + s.stx_btime.tv_nsec;
  return 0;
}

PosixFile::~PosixFile() { ENSURE(in_flight_ == 0, "{} is closed under {} operations", path_, in_flight_); }

std::unexpected<Error> PosixFile::failed(const char* call, uint64_t offset, int error) const {
  return fail(code_of(error), fmt::format("{} {} at {}: {}", call, path_, offset, std::strerror(error)));
}

void PosixFile::check_aligned(uint64_t offset, ByteSpan piece) const {
  bool aligned = offset % kDirectAlignment == 0 && piece.size() % kDirectAlignment == 0 &&
                 reinterpret_cast<uintptr_t>(piece.data()) % kDirectAlignment == 0;
  ENSURE(!direct_ || aligned, "unaligned direct access to {}: {} bytes at {}", path_, piece.size(), offset);
}

bool PosixFile::go_on_cached() {
  if (!direct_) return false;
  int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) != 0) return false;
  REACHED("disk: direct access refused at the first transfer");
  direct_ = false;
  return true;
}

Result<size_t> PosixFile::read(Task& task, uint64_t offset, MutableByteSpan into) {
  InFlight guard(in_flight_);
  check_aligned(offset, into);
  size_t done = 0;
  while (done < into.size()) {
    iovec piece{into.data() + done, into.size() - done};
    int64_t n = poller_.read(task, fd_.get(), offset + done, {&piece, 1});
    if (interrupted(n)) continue;
    if (n == -EINVAL && go_on_cached()) continue;
    if (n < 0) return failed("read", offset + done, static_cast<int>(-n));
    if (n == 0) break;
    done += static_cast<size_t>(n);
    // A direct transfer that ends inside of a block has met the end of the file; a next one could not be aligned.
    if (direct_ && done % kDirectAlignment != 0) break;
  }
  return done;
}

Result<> PosixFile::write(Task& task, uint64_t offset, std::span<const ByteSpan> pieces, Durability durability) {
  InFlight guard(in_flight_);
  check_aligned(offset, {});
  std::vector<iovec> vector;
  vector.reserve(pieces.size());
  for (ByteSpan piece : pieces) {
    check_aligned(0, piece);
    if (!piece.empty()) vector.push_back({const_cast<uint8_t*>(piece.data()), piece.size()});
  }
  return write_all(task, offset, std::move(vector), durability == Durability::synced);
}

Result<> PosixFile::write_all(Task& task, uint64_t offset, std::vector<iovec> vector, bool synced) {
  std::span<iovec> left(vector);
  while (!left.empty()) {
    int64_t n = poller_.write(task, fd_.get(), offset, left.first(std::min<size_t>(left.size(), IOV_MAX)), synced);
    if (interrupted(n)) continue;
    if (n == -EINVAL && go_on_cached()) continue;
    if (n < 0) return failed("write", offset, static_cast<int>(-n));
    if (n == 0) return failed("write", offset, ENOSPC);
    offset += static_cast<uint64_t>(n);
    for (auto sent = static_cast<size_t>(n); sent > 0;) {
      iovec& first = left.front();
      size_t step = std::min(sent, first.iov_len);
      first.iov_base = static_cast<uint8_t*>(first.iov_base) + step;
      first.iov_len -= step;
      sent -= step;
      if (first.iov_len == 0) left = left.subspan(1);
    }
    // Direct and stopped inside of a block: the rest cannot be aligned any more. It happens when the disk is nearly full.
    if (!left.empty() && direct_ && offset % kDirectAlignment != 0) return failed("write", offset, ENOSPC);
  }
  return {};
}

Result<> PosixFile::sync(Task& task) {
  InFlight guard(in_flight_);
  int64_t rc = 0;
  do rc = poller_.sync(task, fd_.get());
  while (rc == -EINTR);  // never started; every other failure is final
  if (rc < 0) return system_error("fdatasync", path_, static_cast<int>(-rc));
  return {};
}

Result<uint64_t> PosixFile::size(Task& task) {
  InFlight guard(in_flight_);
  struct stat s {};
  int64_t rc = poller_.call(task, [this, &s] { return ::fstat(fd_.get(), &s) == 0 ? 0 : -errno; });
  if (rc < 0) return system_error("fstat", path_, static_cast<int>(-rc));
  return static_cast<uint64_t>(s.st_size);
}

Result<FileInfo> PosixFile::info(Task& task) {
  InFlight guard(in_flight_);
  FileInfo out;
  int64_t rc = poller_.call(task, [this, &out] { return file_info(fd_.get(), "", out); });
  if (rc < 0) return system_error("statx", path_, static_cast<int>(-rc));
  return out;
}

Result<> PosixFile::truncate(Task& task, uint64_t size) {
  InFlight guard(in_flight_);
  int64_t rc = 0;
  do rc = poller_.call(task, [this, size] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)) == 0 ? 0 : -errno; });
  while (rc == -EINTR);
  if (rc < 0) return failed("ftruncate", size, static_cast<int>(-rc));
  return {};
}

Result<> PosixFile::lock() {
  int rc = 0;
  do rc = ::flock(fd_.get(), LOCK_EX | LOCK_NB);
  while (rc != 0 && errno == EINTR);
  if (rc == 0) return {};
  if (errno == EWOULDBLOCK) return fail(Errc::busy, fmt::format("{} is locked by another process", path_));
  return system_error("flock", path_, errno);
}

}  // namespace sg::disk
