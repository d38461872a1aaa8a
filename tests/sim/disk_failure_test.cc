// What the simulated disk does when it fails: reads, writes, and the end of its space.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <utility>

#include "sim/fault_executor.h"
#include "tests/sim/fixture.h"

namespace sg::sim {
namespace {

using disk::Durability;
using disk::OpenMode;

constexpr size_t kFileBytes = 3 * kPageBytes;

// A node with one file of three pages of ones, synced, and its name durable.
struct Filed {
  explicit Filed(uint64_t seed = 1) : stage(seed), node(stage.node("n")) {
    with_file(OpenMode::create,
              [&](Task& task, disk::File& file) { CHECK(file.write(task, 0, ByteVec(kFileBytes, 1), Durability::synced)); });
    stage.perform(node, [&](Task& task, NodeEnv& env) { CHECK(env.disk.sync_directory(task, "")); });
  }
  void with_file(OpenMode mode, const std::function<void(Task&, disk::File&)>& act) {
    stage.perform(node, [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, "f", mode);
      REQUIRE(file);
      act(task, **file);
    });
  }
  void with_file(const std::function<void(Task&, disk::File&)>& act) { with_file(OpenMode::read_write, act); }
  // Which of the file's sectors can be read, one character each.
  std::string readable() {
    std::string out;
    with_file([&](Task& task, disk::File& file) {
      uint8_t sector[kSectorBytes];
      for (uint64_t at = 0; at < kFileBytes; at += kSectorBytes) {
        auto n = file.read(task, at, sector);
        CHECK((n || n.is(Errc::io)));
        out += n ? '.' : 'x';
      }
    });
    return out;
  }

  Stage stage;
  Node& node;
};

TEST_CASE("given a sector that cannot be read, then reads that touch it fail, others do not, and a restart changes nothing") {
  Filed f;
  f.node.disk().spoil_sector("f", 2 * kSectorBytes + 7);
  CHECK(f.readable() == "..x.....................");
  f.with_file([&](Task& task, disk::File& file) {
    ByteVec bytes(kFileBytes);
    CHECK(file.read(task, 0, bytes).is(Errc::io));
    CHECK(file.read(task, 3 * kSectorBytes - 1, MutableByteSpan(bytes).first(1)).is(Errc::io));
    CHECK(file.read(task, 3 * kSectorBytes, bytes));
  });
  CHECK(f.node.disk().spoils() == 1);
  CHECK(f.node.disk().failures() == 3);
  for (Death death : {Death::kill, Death::power_cut}) {
    f.node.die(death);
    f.stage.start(f.node);
    CHECK(f.readable() == "..x.....................");
  }
  f.node.disk().heal();
  CHECK(f.readable() == "..x.....................");
  f.node.die(Death::wipe);
  f.stage.start(f.node);
  f.with_file(OpenMode::create,
              [&](Task& task, disk::File& file) { CHECK(file.write(task, 0, ByteVec(kFileBytes, 2), Durability::buffered)); });
  CHECK(f.readable() == "........................");
}

TEST_CASE("given an unreadable sector, when it is written again and that is synced, then it can be read for good") {
  for (bool synced : {false, true}) {
    Filed f;
    f.node.disk().spoil_sector("f", 0);
    f.node.disk().spoil_sector("f", kPageBytes);
    f.with_file([&](Task& task, disk::File& file) {
      CHECK(file.write(task, 0, ByteVec(kSectorBytes, 2), synced ? Durability::synced : Durability::buffered));
      uint8_t byte = 0;
      CHECK(file.read(task, 5, {&byte, 1}));
      CHECK(byte == 2);
      if (!synced) CHECK(file.sync(task));
    });
    f.node.die(Death::power_cut);
    f.stage.start(f.node);
    CHECK(f.readable() == "........x...............");
  }
}

TEST_CASE("given an unreadable sector whose new bytes a power cut loses, then it is unreadable again; else it is not") {
  int again = 0, readable = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Filed f(seed);
    f.node.disk().spoil_sector("f", 0);
    f.with_file([&](Task& task, disk::File& file) { CHECK(file.write(task, 0, ByteVec(kSectorBytes, 2), Durability::buffered)); });
    f.node.die(Death::power_cut);
    const bool lost = std::ranges::count(f.node.disk().contents("f"), 2) == 0;
    f.stage.start(f.node);
    const bool spoiled = f.readable().front() == 'x';
    CHECK(spoiled == lost);
    ++(spoiled ? again : readable);
  }
  CHECK(again > 0);
  CHECK(readable > 0);
}

TEST_CASE("given an unreadable sector beyond the end of a file that was cut, when the file grows again, then it is readable") {
  Filed f;
  f.node.disk().spoil_sector("f", 2 * kPageBytes);
  f.with_file([&](Task& task, disk::File& file) {
    CHECK(file.truncate(task, kPageBytes));
    CHECK(file.truncate(task, kFileBytes));
  });
  CHECK(f.readable() == "........................");
}

TEST_CASE(
    "given a failing plain write, then a prefix of its sectors is there or nothing; nothing is retried, and a synced one is not touched") {
  bool nothing = false, something = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Filed f(seed);
    f.node.disk().fail_writes("f", 1);
    f.with_file([&](Task& task, disk::File& file) {
      CHECK(file.write(task, kPageBytes, ByteVec(100, 1), Durability::synced));
      CHECK(file.write(task, 100, ByteVec(kPageBytes, 2), Durability::buffered).is(Errc::io));
      ByteVec bytes(kFileBytes);
      CHECK(file.read(task, 0, bytes));
      const auto written = static_cast<size_t>(std::ranges::count(bytes, 2));
      CHECK(std::ranges::count(ByteSpan(bytes).subspan(100, written), 2) == static_cast<std::ptrdiff_t>(written));
      CHECK((written == 0 || written == kPageBytes || (100 + written) % kSectorBytes == 0));
      nothing |= written == 0;
      something |= written > 0 && written < kPageBytes;
      CHECK(file.write(task, 100, ByteVec(kPageBytes, 3), Durability::buffered));
    });
    CHECK(f.node.disk().failures() == 1);
  }
  CHECK(nothing);
  CHECK(something);
}

TEST_CASE("given a failing write behind the end of a file, then the file does not grow by more than what was written") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Filed f(seed);
    f.node.disk().fail_writes("", 1);
    f.with_file([&](Task& task, disk::File& file) {
      CHECK(file.write(task, 2 * kFileBytes, ByteVec(kPageBytes, 2), Durability::buffered).is(Errc::io));
      const uint64_t size = *file.size(task);
      CHECK((size == kFileBytes || (size > 2 * kFileBytes && size <= 2 * kFileBytes + kPageBytes)));
    });
  }
}

FaultPlan plan_of(const char* text) {
  auto plan = parse_fault_plan(text);
  REQUIRE(plan);
  return *plan;
}

TEST_CASE("disk_full in the middle of a write: the sectors for which there is room are written, no more, and there is room afterwards") {
  Filed f;
  FaultExecutor executor(f.stage.world, plan_of("1.0 disk_full target=n value=3000 duration=1.0\n"), {&f.node});
  executor.start();
  f.stage.world.run_until(Time{0} + 1100ms);
  f.with_file([&](Task& task, disk::File& file) {
    CHECK(file.write(task, kFileBytes, ByteVec(2 * kPageBytes, 2), Durability::buffered).is(Errc::no_space));
    CHECK(file.size(task) == kFileBytes + 5 * kSectorBytes);
    CHECK(file.write(task, kFileBytes + 5 * kSectorBytes, ByteVec(400, 2), Durability::synced));  // that fits
    CHECK(file.write(task, 2 * kFileBytes, ByteVec(1, 2), Durability::buffered).is(Errc::no_space));
    CHECK(file.size(task) == kFileBytes + 5 * kSectorBytes + 400);
    CHECK(file.write(task, 0, ByteVec(kFileBytes, 3), Durability::buffered));  // in place
  });
  f.stage.world.run_until(Time{0} + 2100ms);
  f.with_file([&](Task& task, disk::File& file) { CHECK(file.write(task, kFileBytes, ByteVec(2 * kPageBytes, 2), Durability::buffered)); });
}

TEST_CASE("read_error and write_failure strike files under a path only") {
  Filed f;
  FaultExecutor executor(
      f.stage.world,
      plan_of("1.0 read_error target=n path=g draw=3\n1.0 write_failure target=n path=g value=9\n2.0 read_error target=n "
              "path=f draw=4\n2.0 write_failure target=n path=f\n"),
      {&f.node});
  executor.start();
  auto write = [&] {
    bool ok = false;
    f.with_file([&](Task& task, disk::File& file) { ok = file.write(task, kFileBytes, ByteVec(1, 2), Durability::buffered).has_value(); });
    return ok;
  };
  f.stage.world.run_until(Time{0} + 1100ms);
  CHECK(f.readable().find('x') == std::string::npos);
  CHECK(write());
  f.stage.world.run_until(Time{0} + 2100ms);
  CHECK(std::ranges::count(f.readable(), 'x') == 1);
  CHECK_FALSE(write());
  CHECK(write());
  f.stage.world.heal_all();
  CHECK(std::ranges::count(f.readable(), 'x') == 1);
}

// What of a run an observer hears.
struct Recorder : DiskObserver {
  std::vector<std::string> seen;
  void on_flip(uint32_t, const FileRef& f, uint64_t offset) override { seen.push_back(fmt::format("damage {}@{}", f.path, offset)); }
  void on_written(uint32_t, uint64_t, const FileRef& f, uint64_t, uint64_t, Durability, std::optional<Errc> e) override {
    seen.push_back(fmt::format("written {} {}", f.path, e ? "error" : "ok"));
  }
  void on_failure(uint32_t, uint64_t, const FileRef& f, Errc) override { seen.push_back(fmt::format("told {}", f.path)); }
};

TEST_CASE("an observer that knows flipped bits only hears of an unreadable sector as of one; of a failed write it hears the failure") {
  Filed f;
  Recorder recorder;
  f.node.disk().add_observer(&recorder);
  f.node.disk().spoil_sector("f", 600);
  f.node.disk().fail_writes("", 1);
  f.with_file([&](Task& task, disk::File& file) { CHECK(file.write(task, 0, ByteVec(1, 2), Durability::buffered).is(Errc::io)); });
  CHECK(recorder.seen == std::vector<std::string>{"damage f@600", "written f error", "told f"});
}

TEST_CASE("of a write that fails when its process is dead nobody is told") {
  Filed f;
  Recorder recorder;
  f.node.disk().add_observer(&recorder);
  f.node.disk().fail_syncs("", 1);
  f.node.arm({CrashPoint::during_write, Death::kill});
  f.stage.begin(f.node, [](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", OpenMode::read_write);
    REQUIRE(file);
    CHECK((*file)->write(task, 0, ByteVec(1, 2), Durability::synced).is(Errc::stopped));
  });
  f.stage.run_for(1s);
  CHECK(recorder.seen == std::vector<std::string>{"written f error"});
}

TEST_CASE(
    "whatever is written, synced, cut and spoiled, a sector cannot be read exactly while what spoiled it is the last that reached it") {
  CHECK(rc::check("unreadable sectors", [](uint64_t seed) {
    Rng rng(seed);
    PagePool pool;
    Inode inode(pool, 1);
    constexpr size_t kSectors = 24;
    const ByteVec zeros(kSectors * kSectorBytes);
    const ByteSpan all[] = {zeros};
    inode.write(WriteImage::copy_of(pool, 0, all), true, rng);
    std::vector<bool> spoiled(kSectors);  // on the medium
    std::vector<char> dirty(kSectors);    // the cache has something newer
    std::vector<bool> masked(kSectors);   // that was written since the sector was spoiled
    auto reach_medium = [&] {
      for (size_t i = 0; i < kSectors; ++i)
        if (std::exchange(dirty[i], 0)) spoiled[i] = masked[i] = false;
    };
    for (uint64_t step = 0; step < 60; ++step) {
      const uint64_t sector = rng.below(kSectors);
      const uint64_t count = 1 + rng.below(std::min<uint64_t>(10, kSectors - sector));
      const uint64_t what = rng.below(8);
      if (what == 0) {
        inode.spoil_sector(sector * kSectorBytes + rng.below(kSectorBytes));
        spoiled[sector] = true;
        masked[sector] = false;
      } else if (what < 5) {
        const bool through = what == 4;
        const ByteVec bytes(count * kSectorBytes, static_cast<uint8_t>(step + 1));
        const ByteSpan pieces[] = {bytes};
        // A dirty sector that is overwritten may have been written back before: here none is dirty.
        inode.end_flush(inode.begin_flush());
        reach_medium();
        inode.write(WriteImage::copy_of(pool, sector * kSectorBytes, pieces), through, rng);
        for (uint64_t i = sector; i < sector + count; ++i) {
          if (through) spoiled[i] = false;
          dirty[i] = !through;
          masked[i] = !through;
        }
      } else if (what == 5) {
        inode.end_flush(inode.begin_flush());
        reach_medium();
      } else {
        CutCount ignored;
        const bool kept = what == 6;
        inode.cut(kept ? CutOdds{1, 0, 0} : CutOdds{0, 1, 0}, rng, ignored);
        if (kept) reach_medium();
        dirty.assign(kSectors, 0);
        masked.assign(kSectors, false);
      }
      for (size_t i = 0; i < kSectors; ++i) RC_ASSERT(inode.readable(i * kSectorBytes, kSectorBytes) == (!spoiled[i] || masked[i]));
    }
  }));
}

}  // namespace
}  // namespace sg::sim
