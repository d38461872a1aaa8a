// Files under both pollers: the contract, and what only real files can show.
#include "disk/file_disk.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/contract/disk_contract.h"
#include "tests/net/loop_fixture.h"

namespace sg {

namespace {

using test::Loop;
using test::PollerKind;

class Files final : public contract::DiskFixture {
 public:
  explicit Files(PollerKind kind) : loop(kind) {
    if (loop.have()) disk_ = open((directory.path / "data").string());
  }
  Scheduler& scheduler() override { return loop.scheduler; }
  disk::Disk& disk() override { return *disk_; }
  bool run_until(const std::function<bool()>& done) override { return loop.run_until(done); }

  std::unique_ptr<disk::FileDisk> open(const std::string& path) {
    auto opened = disk::FileDisk::open(*loop.poller, path);
    REQUIRE_MESSAGE(opened.has_value(), (opened ? "" : opened.error().what));
    return std::move(*opened);
  }

  test::TemporaryDirectory directory;
  Loop loop;

 private:
  std::unique_ptr<disk::FileDisk> disk_;
};

}  // namespace

TEST_CASE("files over io_uring keep the disk contract") {
  Files files(PollerKind::uring);
  if (files.loop.have()) contract::disk_contract(files);
}

TEST_CASE("files over the helper thread keep the disk contract") {
  Files files(PollerKind::epoll);
  contract::disk_contract(files);
}

TEST_CASE("a data directory is made with its parents, or refused in one clear line") {
  Files files(PollerKind::epoll);
  const std::filesystem::path root = files.directory.path;
  CHECK(files.open((root / "x/y/z").string()));
  CHECK(files.open((root / "x/y/z").string()));
  CHECK(files.open((root / "v/w/").string()));
  CHECK(std::filesystem::is_directory(root / "x/y/z"));
  CHECK(std::filesystem::is_directory(root / "v/w"));
  files.loop.run([&](Task& task) { CHECK(files.disk().open(task, "file", disk::OpenMode::create)); });
  auto refused = disk::FileDisk::open(*files.loop.poller, (root / "data/file/below").string());
  CHECK(refused.is(Errc::invalid));
  CHECK(refused.error().what.find("data/file/below") != std::string::npos);
  CHECK(disk::FileDisk::open(*files.loop.poller, (root / "data/file").string()).is(Errc::invalid));
}

TEST_CASE("an error names the path, the offset and what the system said") {
  Files files(PollerKind::epoll);
  files.loop.run([&](Task& task) {
    auto missing = files.disk().open(task, "no/such", disk::OpenMode::read_only);
    REQUIRE(missing.is(Errc::not_found));
    CHECK(missing.error().what.find("data/no/such: No such file or directory") != std::string::npos);
    CHECK(files.disk().open(task, "file", disk::OpenMode::create));
    auto file = files.disk().open(task, "file", disk::OpenMode::read_only);
    REQUIRE(file);
    auto written = (*file)->write(task, 8192, as_bytes("x"), disk::Durability::buffered);
    REQUIRE(written.is(Errc::io));
    CHECK(written.error().what.find("data/file at 8192: Bad file descriptor") != std::string::npos);
  });
}

// A limit on the size of files stands for a full disk: the kernel writes what fits, then refuses.
static void short_writes(PollerKind kind) {
  Files files(kind);
  if (!files.loop.have()) return;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 10'000;
  files.loop.run([&](Task& task) {
    auto file = files.disk().open(task, "file", disk::OpenMode::create);
    REQUIRE(file);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    ByteVec bytes(8'000, 7);
    CHECK((*file)->write(task, 0, bytes, disk::Durability::synced));
    auto full = (*file)->write(task, 8'000, bytes, disk::Durability::synced);
    CHECK_FALSE(full);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK((*file)->size(task) == 10'000u);  // it went on after the short write, and said so when nothing more fitted
  });
  std::signal(SIGXFSZ, handler);
}

TEST_CASE("a short write goes on until the system refuses") {
  SUBCASE("io_uring") { short_writes(PollerKind::uring); }
  SUBCASE("helper thread") { short_writes(PollerKind::epoll); }
}

TEST_CASE("the lock of a killed process is free for the next one") {
  Files files(PollerKind::epoll);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  pid_t child = ::fork();
  if (child == 0) {
    Loop loop(PollerKind::epoll);
    auto disk = disk::FileDisk::open(*loop.poller, (files.directory.path / "data").string());
    loop.run([&](Task& task) {
      auto file = (*disk)->open(task, "lock", disk::OpenMode::create);
      char answer = (*file)->lock() ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) == 1) ::pause();
    });
    ::_exit(1);
  }
  ::close(ready[1]);  // a child that dies early ends the read below
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  files.loop.run([&](Task& task) {
    auto file = files.disk().open(task, "lock", disk::OpenMode::create);
    REQUIRE(file);
    CHECK((*file)->lock().is(Errc::busy));
    CHECK(::kill(child, SIGKILL) == 0);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK((*file)->lock());
  });
  ::close(ready[0]);
}

}  // namespace sg
