// A running journal misses its own files: gone, shorter or replaced, told within a few seconds and remembered.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr StreamId kA{16}, kB{17};

Options options() {
  Options o = small_options();
  o.first_segment_bytes = o.segment_bytes = 4 * 4096;
  o.tail_cache_bytes = 0;
  return o;
}

// Three segments or more: kA alone in the first, kB alone in the second.
void fill(Session& run) {
  auto append = [&](StreamId stream, int64_t at) { CHECK(run.durable({0, run.journal().append(make(stream, at, at + 1, 0, 9000))})); };
  append(kA, 0);
  append(kB, 0);
  append(kB, 1);
  CHECK(run.task.sleep_for(1s));
}

std::string file_of(MemoryDisk& disk, uint64_t generation) {
  for (const auto& [path, inode] : disk.names) {
    if (!path.ends_with(".seg") || inode->now.size() < kBlockBytes) continue;
    auto header = decode_segment_block(ByteSpan(inode->now).first(kBlockBytes));
    if (header && header->generation == generation) return path;
  }
  return {};
}

struct Harm {
  const char* name;
  std::function<void(MemoryDisk&, const std::string&)> apply;
};

const Harm kHarms[] = {
    {"unlinked", [](MemoryDisk& disk, const std::string& path) { disk.names.erase(path); }},
    {"truncated", [](MemoryDisk& disk, const std::string& path) { disk.at(path).now.resize(5000); }},
    {"replaced",
     [](MemoryDisk& disk, const std::string& path) {
       auto copy = std::make_shared<Inode>(disk.at(path));
       copy->number = ++disk.last_number;
       copy->locked = false;
       disk.names[path] = copy;
     }},
};

}  // namespace

TEST_CASE("given a running journal, when a sealed segment's file is harmed, then its streams are damaged within ten seconds, and stay so") {
  for (const Harm& harm : kHarms) {
    CAPTURE(harm.name);
    World world;
    MemoryDisk disk;
    world.run([&](Task& task) {
      Session run(task, *open(task, disk, options()));
      fill(run);
      harm.apply(disk, file_of(disk, 1));
      CHECK(task.sleep_for(10s));
      CHECK(run.listener.damaged == std::vector<StreamId>{kA});
      CHECK(run.listener.failures == 0);
      CHECK(run.journal().damaged(kA));
      CHECK_FALSE(run.journal().damaged(kB));
      CHECK(run.journal().read(task, kA, 0, 1, true).is(Errc::corrupt));
      CHECK(run.durable({0, run.journal().append(make(kB, 2, 3, 0, 100))}));  // the others go on
      run.abandon();
    });
    disk.kill();
    world.run([&](Task& task) {
      Session run(task, *open(task, disk, options()));
      CHECK(run.opened.unattributed);
      CHECK(run.journal().damaged(kA));
      run.abandon();
    });
  }
}

TEST_CASE("given a running journal, when the file that it writes to is harmed, or one with Raft's entries, then it promises nothing more") {
  for (const Harm& harm : kHarms) {
    for (bool raft : {false, true}) {
      CAPTURE(harm.name);
      World world;
      MemoryDisk disk;
      world.run([&](Task& task) {
        Session run(task, *open(task, disk, options()));
        if (raft) CHECK(run.durable({run.journal().append(make(kRaftLog, 1, 2, 1, 100)), 0}));
        fill(run);
        const uint64_t rolls = run.journal().stats().rolls;
        harm.apply(disk, file_of(disk, raft ? 1 : rolls + 1));
        CHECK(task.sleep_for(10s));
        CHECK(run.listener.failures == 1);
        CHECK(run.journal().failed());
        run.abandon();
      });
      disk.kill();
      world.run([&](Task& task) {
        Session run(task, *open(task, disk, options()));
        CHECK(run.opened.unattributed);
        CHECK(run.journal().damaged(kRaftLog));
        run.abandon();
      });
    }
  }
}

TEST_CASE("given a running journal that rolls and recycles, then the watch misses nothing") {
  World world;
  MemoryDisk disk;
  Options o = options();
  o.watch_every = 1ms;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, o));
    for (int64_t i = 0; i < 60; ++i) {
      CHECK(run.durable({0, run.journal().append(make(kA, i, i + 1, 0, 9000))}));
      if (i > 3) run.journal().advance_start(kA, i - 3);
      CHECK(task.sleep_for(3ms));
    }
    CHECK(run.journal().stats().recycled > 20);
    CHECK(run.listener.damaged.empty());
    CHECK(run.listener.failures == 0);
    CHECK(run.close());
  });
}
