#include "disk/file_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/ensure.h"
#include "base/probe.h"
#include "disk/posix_file.h"

namespace sg::disk {

namespace {

// A path stays below the data directory: relative, without empty, "." or ".." parts. "" is the data directory itself.
Result<std::string> checked(std::string_view path) {
  std::string_view rest = path;
  while (!rest.empty()) {
    size_t slash = rest.find('/');
    std::string_view part = rest.substr(0, slash);
    bool last = slash == std::string_view::npos;
    rest = last ? std::string_view() : rest.substr(slash + 1);
    if (part.empty() || part == "." || part == ".." || (!last && rest.empty()))
      return fail(Errc::invalid, fmt::format("'{}' is not a path below the data directory", path));
  }
  return std::string(path.empty() ? "." : path);
}

int sync_names(int directory_fd) {
  int rc = 0;
  do rc = ::fsync(directory_fd);
  while (rc != 0 && errno == EINTR);
  return rc == 0 ? 0 : -errno;
}

int sync_names_of(int at_fd, const std::string& path) {
  FileDescriptor fd(::openat(at_fd, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd ? sync_names(fd.get()) : -errno;
}

int list_names(int at_fd, const std::string& path, std::vector<std::string>& names) {
  FileDescriptor fd(::openat(at_fd, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return -errno;
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) return -errno;
  (void)fd.release();  // the stream has taken it over
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (!entry) return -errno;
    std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

}  // namespace

Result<std::unique_ptr<FileDisk>> FileDisk::open(Poller& poller, const std::string& root) {
  auto refused = [&](const std::string& why) {
    return fail(Errc::invalid, fmt::format("cannot use the data directory {}: {}", root, why));
  };
  namespace fs = std::filesystem;
  std::error_code error;
  // From the missing part that is nearest to the top: every directory that is made here must itself survive a power cut.
  std::vector<fs::path> made;
  for (fs::path p = fs::absolute(root, error).lexically_normal(); !error && !p.empty() && !fs::exists(p, error); p = p.parent_path())
    made.push_back(p);
  if (error) return refused(error.message());
  for (auto p = made.rbegin(); p != made.rend(); ++p) {
    if (::mkdir(p->c_str(), 0755) != 0 && errno != EEXIST) return refused(std::strerror(errno));
    if (int rc = sync_names_of(AT_FDCWD, p->parent_path()); rc < 0) return refused(std::strerror(-rc));
  }
  FileDescriptor fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return refused(std::strerror(errno));
  if (::faccessat(fd.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) return refused(std::strerror(errno));
  return std::unique_ptr<FileDisk>(new FileDisk(poller, root, std::move(fd)));
}

Result<std::unique_ptr<File>> FileDisk::open(Task& task, std::string_view path, OpenMode mode, Caching caching) {
  TRY(std::string name, checked(path));
  int flags = O_CLOEXEC | (mode == OpenMode::read_only ? O_RDONLY : O_RDWR) | (mode == OpenMode::create ? O_CREAT : 0);
  bool direct = caching == Caching::direct;
  int64_t fd = poller_.call(task, [&]() -> int64_t {
    for (;;) {
      int opened = ::openat(root_fd_.get(), name.c_str(), flags | (direct ? O_DIRECT : 0), 0644);
      if (opened >= 0) return opened;
      if (direct && errno == EINVAL)
        direct = false;  // the file system knows no direct access
      else if (errno != EINTR)
        return -errno;
    }
  });
  if (fd < 0) return failed("open", name, fd);
  if (!direct && caching == Caching::direct) REACHED("disk: direct access refused at open");
  return std::make_unique<PosixFile>(poller_, FileDescriptor(static_cast<int>(fd)), full(name), direct);
}

Result<> FileDisk::remove(Task& task, std::string_view path) {
  TRY(std::string name, checked(path));
  int64_t rc = poller_.call(task, [&]() -> int64_t {
    if (::unlinkat(root_fd_.get(), name.c_str(), 0) == 0) return 0;
    if (errno == EISDIR && ::unlinkat(root_fd_.get(), name.c_str(), AT_REMOVEDIR) == 0) return 0;
    return -errno;
  });
  if (rc < 0) return failed("remove", name, rc);
  return {};
}

Result<> FileDisk::rename(Task& task, std::string_view from, std::string_view to) {
  TRY(std::string source, checked(from));
  TRY(std::string target, checked(to));
  int64_t rc = poller_.call(
      task, [&]() -> int64_t { return ::renameat(root_fd_.get(), source.c_str(), root_fd_.get(), target.c_str()) == 0 ? 0 : -errno; });
  if (rc < 0) return failed("rename", fmt::format("{} to {}", source, target), rc);
  return {};
}

Result<> FileDisk::make_directory(Task& task, std::string_view path) {
  TRY(std::string name, checked(path));
  int64_t rc = poller_.call(task, [&]() -> int64_t {
    if (::mkdirat(root_fd_.get(), name.c_str(), 0755) == 0) return 0;
    int error = errno;
    struct stat s {};
    bool there = error == EEXIST && ::fstatat(root_fd_.get(), name.c_str(), &s, 0) == 0 && S_ISDIR(s.st_mode);
    return there ? 0 : -error;
  });
  if (rc < 0) return failed("mkdir", name, rc);
  return {};
}

Result<std::vector<std::string>> FileDisk::list(Task& task, std::string_view path) {
  TRY(std::string name, checked(path));
  std::vector<std::string> names;
  int64_t rc = poller_.call(task, [&]() -> int64_t { return list_names(root_fd_.get(), name, names); });
  if (rc < 0) return failed("list", name, rc);
  std::sort(names.begin(), names.end());
  return names;
}

Result<FileInfo> FileDisk::info(Task& task, std::string_view path) {
  TRY(std::string name, checked(path));
  FileInfo out;
  int64_t rc = poller_.call(task, [&]() -> int64_t { return file_info(root_fd_.get(), name, out); });
  if (rc < 0) return failed("statx", name, rc);
  return out;
}

Result<> FileDisk::sync_directory(Task& task, std::string_view path) {
  TRY(std::string name, checked(path));
  int64_t rc = poller_.call(task, [&]() -> int64_t { return sync_names_of(root_fd_.get(), name); });
  if (rc < 0) return failed("fsync of the directory", name, rc);
  return {};
}

std::string FileDisk::full(const std::string& name) const { return fmt::format("{}/{}", root_, name); }

std::unexpected<Error> FileDisk::failed(const char* call, const std::string& name, int64_t negative_errno) const {
  return system_error(call, full(name), static_cast<int>(-negative_errno));
}

}  // namespace sg::disk
