// disk: what one synced write costs on this machine, along each way to the disk that a journal could take; the floor below every
// acknowledgement. usage: disk [--dir DIR] [--commits N] [--rounds R] [--json]
// Each way writes to a file of its own, one write at a time, each durable before the next. The ways take turns within each round, so
// that they see the same minute of a noisy disk.
#include <fcntl.h>
#include <fmt/format.h>
#include <liburing.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "base/scheduler.h"
#include "base/system_clock.h"
#include "bench/measure.h"
#include "disk/file_disk.h"
#include "net/event_loop.h"
#include "net/poller.h"

namespace {

using namespace sg;
using namespace sg::bench;

constexpr uint64_t kFileBytes = 64 << 20;  // a segment
constexpr size_t kSmall = 4 << 10;         // the least that a journal writes
constexpr size_t kLarge = 512 << 10;
constexpr int kLargeWrites = 40;  // per round

// One way. `writes` writes of `bytes` bytes go to ever new places of the file, from its beginning again when its end is reached.
class Way {
 public:
  virtual ~Way() = default;
  virtual void write(int writes, size_t bytes, Samples& samples) = 0;
};

// Blocking calls on one descriptor.
class Blocking final : public Way {
 public:
  using Commit = void (*)(int fd, const uint8_t* bytes, size_t size, uint64_t offset);
  // append: the file grows by every write, up to the size of a segment, and is then begun anew.
  Blocking(int fd, bool append, Commit commit) : fd_(fd), append_(append), commit_(commit), bytes_(aligned_bytes(kLarge)) {}

  void write(int writes, size_t bytes, Samples& samples) override {
    for (int i = 0; i < writes; ++i) {
      if (at_ + bytes > kFileBytes) {
        at_ = 0;
        if (append_ && (::ftruncate(fd_, 0) != 0 || ::fsync(fd_) != 0)) die("cannot begin the file anew");
      }
      const int64_t cpu = cpu_ns();
      const int64_t begin = now_ns();
      commit_(fd_, bytes_, bytes, at_);
      samples.add(now_ns() - begin);
      samples.add_time(now_ns() - begin, cpu_ns() - cpu);
      at_ += bytes;
    }
  }

 private:
  int fd_;
  bool append_;
  Commit commit_;
  uint8_t* bytes_;
  uint64_t at_ = 0;
};

void write_then_fdatasync(int fd, const uint8_t* bytes, size_t size, uint64_t offset) {
  if (::pwrite(fd, bytes, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) die("write failed");
  if (::fdatasync(fd) != 0) die("fdatasync failed");
}

// One request for the write and its sync, through a ring of its own.
class Ring final : public Way {
 public:
  explicit Ring(int fd) : fd_(fd), bytes_(aligned_bytes(kLarge)) {}
  ~Ring() override { ::io_uring_queue_exit(&ring_); }

  // False where this machine refuses io_uring.
  bool open() { return ::io_uring_queue_init(8, &ring_, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0; }

  void write(int writes, size_t bytes, Samples& samples) override {
    const int64_t cpu = cpu_ns();
    const int64_t first = now_ns();
    for (int i = 0; i < writes; ++i) {
      if (at_ + bytes > kFileBytes) at_ = 0;
      const int64_t begin = now_ns();
      iovec piece{bytes_, bytes};
      io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
      ::io_uring_prep_writev2(entry, fd_, &piece, 1, at_, RWF_DSYNC);
      ::io_uring_submit_and_wait(&ring_, 1);
      io_uring_cqe* completion = nullptr;
      if (::io_uring_wait_cqe(&ring_, &completion) != 0 || completion->res != static_cast<int>(bytes)) die("io_uring write failed");
      ::io_uring_cqe_seen(&ring_, completion);
      samples.add(now_ns() - begin);
      at_ += bytes;
    }
    samples.add_time(now_ns() - first, cpu_ns() - cpu);
  }

 private:
  int fd_;
  uint8_t* bytes_;
  io_uring ring_{};
  uint64_t at_ = 0;
};

// The broker's own: disk/ below a fiber, as the journal calls it.
class OurDisk final : public Way {
 public:
  OurDisk(std::unique_ptr<Poller> poller, const std::string& directory, const std::string& name)
      : poller_(std::move(poller)), bytes_(aligned_bytes(kLarge)), name_(name) {
    auto disk = disk::FileDisk::open(*poller_, directory);
    if (!disk) die(disk.error().what);
    disk_ = std::move(*disk);
    run([this](Task& task) {
      auto file = disk_->open(task, name_, disk::OpenMode::read_write, disk::Caching::direct);
      if (!file) die(file.error().what);
      file_ = std::move(*file);
    });
  }

  void write(int writes, size_t bytes, Samples& samples) override {
    const int64_t cpu = cpu_ns();
    const int64_t first = now_ns();
    run([&](Task& task) {
      for (int i = 0; i < writes; ++i) {
        if (at_ + bytes > kFileBytes) at_ = 0;
        const int64_t begin = now_ns();
        if (auto written = file_->write(task, at_, ByteSpan(bytes_, bytes), disk::Durability::synced); !written) die(written.error().what);
        samples.add(now_ns() - begin);
        at_ += bytes;
      }
    });
    samples.add_time(now_ns() - first, cpu_ns() - cpu);
  }

 private:
  void run(const std::function<void(Task&)>& body) {
    bool ended = false;
    scheduler_.spawn("writer", [&](Task& task) {
      body(task);
      ended = true;
    });
    net::run_event_loop(scheduler_, *poller_, clock_, [&] { return ended; });
  }

  SystemClock clock_;
  StackPool stacks_;
  Scheduler scheduler_{clock_, stacks_};
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<disk::FileDisk> disk_;
  std::unique_ptr<disk::File> file_;
  uint8_t* bytes_;
  std::string name_;
  uint64_t at_ = 0;
};

struct Measured {
  std::string name;
  std::unique_ptr<Way> way;
  Samples small;
  Samples large;
};

std::vector<Measured> all_ways(const ScratchDirectory& directory) {
  std::vector<Measured> ways;
  auto add = [&](const char* name, std::unique_ptr<Way> way) { ways.push_back({name, std::move(way), {}, {}}); };
  auto written = [&](const char* name, bool direct) { return open_written(directory.file(name), kFileBytes, direct); };
  auto blocking = [](int fd, bool append, Blocking::Commit commit) { return std::make_unique<Blocking>(fd, append, commit); };
  add("append, fdatasync", blocking(open_written(directory.file("append"), 0, false), true, write_then_fdatasync));
  add("overwrite, fdatasync", blocking(written("overwrite", false), false, write_then_fdatasync));
  add("overwrite, O_DIRECT, fdatasync", blocking(written("direct", true), false, write_then_fdatasync));
  add("overwrite, O_DIRECT, RWF_DSYNC", blocking(written("dsync", true), false, write_synced));
  if (auto ring = std::make_unique<Ring>(written("uring", true)); ring->open())
    add("the same by io_uring", std::move(ring));
  else
    fmt::print(stderr, "note: this machine refuses io_uring\n");
  auto ours = [&](const char* name, const char* file, Result<std::unique_ptr<Poller>> poller) {
    if (!poller) return;
    ::close(written(file, true));
    add(name, std::make_unique<OurDisk>(std::move(*poller), directory.file(""), file));
  };
  ours("the journal's (disk/, io_uring)", "ours-uring", net::make_uring_poller());
  ours("the journal's (disk/, helper thread)", "ours-thread", net::make_epoll_poller());
  return ways;
}

int64_t mb_per_s(const Samples& s) { return s.wall_ns() == 0 ? 0 : static_cast<int64_t>(s.count() * kLarge) * 1000 / s.wall_ns(); }

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Synced writes along each way to the disk: the floor below every acknowledgement"};
  std::string parent = ".";
  int commits = 200;
  int rounds = 5;
  bool json = false;
  app.add_option("--dir", parent, "on the disk to measure; files are made in a temporary directory below it");
  app.add_option("--commits", commits, "4 KiB writes of each way in each round")->check(CLI::Range(1, 1'000'000));
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1'000));
  app.add_flag("--json", json, "one line of JSON per way");
  CLI11_PARSE(app, argc, argv);

  ScratchDirectory directory(parent);
  std::vector<Measured> ways = all_ways(directory);
  for (int round = 0; round < rounds; ++round)
    for (Measured& m : ways) m.way->write(commits, kSmall, m.small);
  for (int round = 0; round < rounds; ++round)
    for (Measured& m : ways) m.way->write(kLargeWrites, kLarge, m.large);

  if (!json)
    fmt::print("{:<38} {:>10} {:>10} {:>13} {:>16}\n", "one synced write", "4 KiB p50", "p99", "CPU per write", "512 KiB at a time");
  for (Measured& m : ways) {
    const int64_t p50 = m.small.percentile(500) / 1000;
    const int64_t p99 = m.small.percentile(990) / 1000;
    const int64_t cpu = m.small.cpu_per_sample_ns() / 1000;
    if (json)
      fmt::print(R"({{"way":"{}","p50_us":{},"p99_us":{},"cpu_us":{},"mb_per_s":{}}})"
                 "\n",
                 m.name, p50, p99, cpu, mb_per_s(m.large));
    else
      fmt::print("{:<38} {:>7} µs {:>7} µs {:>10} µs {:>12} MB/s\n", m.name, p50, p99, cpu, mb_per_s(m.large));
  }
  ways.clear();
  return 0;
}
