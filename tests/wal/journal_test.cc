// The journal's everyday life: group commit, reading back, truncation, recycling, starts and stops.
#include <doctest/doctest.h>

#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {
constexpr StreamId kA{16}, kB{17};

void must(const Result<>& r) {
  INFO((r ? std::string() : r.error().what));
  REQUIRE(r);
}

void check_content(StreamId stream, const std::vector<ReadBatch>& batches, size_t size) {
  for (const ReadBatch& b : batches) CHECK(equal(b.payload, content(stream, b.first, b.epoch, size)));
}
}  // namespace

TEST_CASE("given an empty directory, when opened, then the start is fresh and what is appended becomes durable") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    auto opened = open(task, disk);
    REQUIRE(opened);
    CHECK(opened->start == StartKind::fresh);
    CHECK(opened->streams.empty());
    CHECK_FALSE(opened->run.directory.is_zero());
    Session run(task, std::move(*opened));
    uint64_t m = run.journal().set_hard_state({Term{3}, NodeId{2}});
    uint64_t d = run.journal().append(make(kA, 0, 5, 1, 100));
    must(run.durable({m, d}));
    CHECK(run.listener.ends.at(kA) == 5);
    CHECK(run.listener.calls == 1);  // one commit carried both
    CHECK(run.journal().durable_end_of(kA) == 5);
    must(run.close());
  });
}

TEST_CASE("given an orderly stop, when opened again, then everything is back and the start is orderly") {
  World world;
  MemoryDisk disk;
  Uuid directory;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    directory = run.opened.run.directory;
    run.journal().set_hard_state({Term{9}, NodeId{3}});
    run.journal().append(make(kRaftLog, 1, 2, 9, 50));
    for (int i = 0; i < 10; ++i) run.journal().append(make(kA, i * 3, i * 3 + 3, i / 4, 700));
    run.journal().set_mark(kA, 21);
    must(run.close());
  });
  world.run([&](Task& task) {
    auto opened = open(task, disk);
    REQUIRE(opened);
    CHECK(opened->start == StartKind::orderly);
    CHECK(opened->run.directory == directory);
    CHECK(opened->run.counter == Incarnation{2});
    CHECK(opened->hard_state == HardState{Term{9}, NodeId{3}});
    Session run(task, std::move(*opened));
    CHECK(*run.state(kA) == StreamState{kA, 0, 30, 2, 21, false, {}, {{0, 0}, {1, 12}, {2, 24}}});
    CHECK(run.state(kRaftLog)->end == 2);
    CHECK(run.journal().entries(kA, 7).front().first == 6);
    CHECK(run.journal().entries(kA, 7).front().aux.span()[2] == 6);
    CHECK_FALSE(run.journal().read_cached(kA, 0, 1 << 20, true).has_value());
    auto batches = run.journal().read(task, kA, 4, 1 << 20, true);
    REQUIRE(batches);
    CHECK(batches->size() == 9);
    CHECK(batches->front().first == 3);
    check_content(kA, *batches, 700);
    CHECK(run.journal().read(task, kA, 31, 10, true).is(Errc::not_found));
    CHECK(run.journal().read(task, kA, 30, 10, true)->empty());
    must(run.close());
  });
}

TEST_CASE("given a commit in flight, when more is queued, then one later commit carries all of it and reads see it before it is durable") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    run.journal().append(make(kA, 0, 1, 0, 64));
    MemoryDisk::pause(task);  // the first commit has started by now
    uint64_t last = 0;
    for (int i = 0; i < 50; ++i) last = run.journal().append(make(kB, i, i + 1, 0, 64));
    auto cached = run.journal().read_cached(kB, 0, 1 << 20, true);
    REQUIRE(cached);
    CHECK(cached->size() == 50);
    check_content(kB, *cached, 64);
    must(run.durable({0, last}));
    CHECK(run.listener.calls <= 3);
    CHECK(run.journal().stats().buffers_allocated <= 3);
    must(run.close());
  });
}

TEST_CASE("given more than the largest commit, when queued, then metadata goes first and each commit stays below the limit") {
  World world;
  MemoryDisk disk;
  size_t largest = 0;
  Options options = small_options();
  options.segment_bytes = 4 << 20;
  options.max_commit_bytes = 64 << 10;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    uint64_t data = 0;
    for (int i = 0; i < 20; ++i) data = run.journal().append(make(kA, i, i + 1, 0, 10'000));
    uint64_t metadata = run.journal().append(make(kRaftLog, 1, 2, 1, 100));
    bool metadata_first = false;
    uint64_t written = 0;
    run.listener.after = [&] {
      metadata_first |= run.listener.durable.metadata == metadata && run.listener.durable.data < data;
      largest = std::max<size_t>(largest, run.journal().stats().commit_bytes - written);
      written = run.journal().stats().commit_bytes;
    };
    must(run.durable({metadata, data}));
    CHECK(metadata_first);
    CHECK(largest <= (64 << 10) + 4096);
    largest = 0;
    must(run.durable({0, run.journal().append(make(kA, 20, 21, 0, 300'000))}));  // larger than the limit: alone
    CHECK(largest >= 300'000);
    must(run.close());
  });
}

TEST_CASE("given an idle journal, when 10 ms pass, then one empty commit vouches for the last one, and only one") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    must(run.durable({0, run.journal().append(make(kA, 0, 1, 0, 10))}));
    must(task.sleep_for(9ms));
    CHECK(run.journal().stats().commits == 1);
    must(task.sleep_for(100ms));
    CHECK(run.journal().stats().commits == 2);
    CHECK(run.journal().stats().vouches == 1);
    must(run.close());
  });
}

TEST_CASE("given a small tail cache and many segments, when read from the start, then every batch comes back verified") {
  World world;
  MemoryDisk disk;
  Options options = small_options();
  options.tail_cache_bytes = 0;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    for (int i = 0; i < 60; ++i) must(run.durable({0, run.journal().append(make(i % 2 ? kA : kB, i / 2, i / 2 + 1, 0, 3000))}));
    CHECK(run.journal().stats().rolls > 5);
    CHECK(run.journal().stats().buffers_allocated <= 3);  // buffers are used again
    for (StreamId id : {kA, kB}) {
      int64_t at = 0;
      while (at < 30) {
        auto batches = run.journal().read(task, id, at, 7000, true);
        REQUIRE(batches);
        REQUIRE_FALSE(batches->empty());
        check_content(id, *batches, 3000);
        at = batches->back().next;
      }
      CHECK(at == 30);
    }
    must(run.close());
  });
}

TEST_CASE("given a truncation while the old tail is in flight, then the durable end never counts the old tail") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    must(run.durable({0, run.journal().append(make(kA, 0, 10, 1, 50))}));
    run.journal().append(make(kA, 10, 20, 1, 50));
    MemoryDisk::pause(task);
    CHECK(run.journal().boundary_below(kA, 15) == 10);
    run.journal().truncate(kA, 15, 2);
    uint64_t last = run.journal().append(make(kA, 10, 18, 2, 60));
    bool never_above = true;
    run.listener.after = [&] {
      if (run.listener.durable.data < last) never_above &= run.listener.ends.at(kA) <= 10;
    };
    must(run.durable({0, last}));
    CHECK(never_above);
    CHECK(run.listener.ends.at(kA) == 18);
    CHECK(run.journal().epoch_starts(kA) == std::vector<EpochStart>{{1, 0}, {2, 10}});
    run.abandon();
  });
  disk.kill();
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    CHECK(run.opened.start == StartKind::clean_end);
    CHECK(run.state(kA)->end == 18);
    auto batches = run.journal().read(task, kA, 10, 1000, true);
    REQUIRE(batches);
    CHECK(batches->front().epoch == 2);
    check_content(kA, *batches, 60);
    must(run.close());
  });
}

TEST_CASE("given dead segments, when commits go on, then the floor is durable before a file is written again, and the files stay few") {
  World world;
  MemoryDisk disk;
  Options options = small_options();
  options.segment_bytes = options.first_segment_bytes = 4096;  // every commit is a segment
  options.tail_cache_bytes = 0;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    must(run.durable({0, run.journal().append(make(kB, 0, 4, 7, 100))}));
    run.journal().advance_start(kB, 4);  // an empty stream that is known only by its start
    run.journal().set_mark(kB, 4);
    for (int i = 1; i <= 100; ++i) {
      uint64_t m = run.journal().append(make(kRaftLog, i, i + 1, 1, 100));
      if (i % 10 == 0) {
        run.journal().append(make(kRaftSnapshots, i, i + 1, 1, 500));
        run.journal().advance_start(kRaftSnapshots, i);
        m = run.journal().advance_start(kRaftLog, i + 1);
      }
      must(run.durable({m, 0}));
    }
    CHECK(run.journal().stats().recycled > 50);
    CHECK(disk.names.size() < 40);
    auto state = run.journal().entries(kRaftLog, 0);
    CHECK(state.empty());
    must(run.close());
  });
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    CHECK(run.opened.start == StartKind::orderly);
    CHECK(*run.state(kB) == StreamState{kB, 4, 4, 7, 4, false, {}, {}});
    CHECK(run.state(kRaftLog)->start == 101);
    CHECK(run.state(kRaftSnapshots)->start == 100);
    CHECK(run.journal().read(task, kRaftSnapshots, 100, 10, true)->front().payload.size() == 500);
    must(run.close());
  });
}

TEST_CASE("given a dropped stream that alone keeps the oldest segment, then it is named until it is dropped, and forgotten afterwards") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    run.journal().append(make(kB, 0, 1, 0, 3000));
    for (int i = 0; i < 20; ++i) {
      run.journal().append(make(kA, i, i + 1, 0, 3000));
      must(run.durable({0, run.journal().advance_start(kA, i + 1)}));
    }
    CHECK(run.journal().oldest_live_streams() == std::vector<StreamId>{kB});
    must(run.durable({0, run.journal().drop(kB)}));
    must(run.durable({0, run.journal().append(make(kA, 20, 21, 0, 10))}));
    CHECK(run.journal().stats().recycled > 0);
    CHECK(run.journal().read(task, kB, 0, 10, true).is(Errc::not_found));
    must(run.close());
  });
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    CHECK(run.state(kB) == nullptr);
    must(run.close());
  });
}

TEST_CASE("given the budget is used up, then full() refuses partitions while metadata goes on") {
  World world;
  MemoryDisk disk;
  Options options = small_options();
  options.budget_bytes = 6 * options.segment_bytes;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    int64_t i = 0;
    for (; i < 200 && !run.journal().full(); ++i) must(run.durable({0, run.journal().append(make(kA, i, i + 1, 0, 3000))}));
    CHECK(i > 10);
    CHECK(i < 60);
    must(run.durable({run.journal().append(make(kRaftLog, 1, 2, 1, 100)), 0}));
    must(run.durable({0, run.journal().drop(kA)}));
    must(run.durable({run.journal().append(make(kRaftLog, 2, 3, 1, 100)), 0}));
    CHECK_FALSE(run.journal().full());
    must(run.close());
  });
}

TEST_CASE("given the device is full, then full() says so, metadata still has the prepared segment, and space lets writes go on") {
  World world;
  MemoryDisk disk;
  disk.capacity = 40 * 4096;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    int64_t i = 0;
    for (; i < 200 && !run.journal().full(); ++i) must(run.durable({0, run.journal().append(make(kA, i, i + 1, 0, 3000))}));
    CHECK(i < 40);
    must(run.durable({run.journal().append(make(kRaftLog, 1, 2, 1, 100)), 0}));
    CHECK(run.journal().read(task, kA, 0, 10, true)->size() == 1);
    disk.capacity = UINT64_MAX;
    must(task.sleep_for(3s));
    CHECK_FALSE(run.journal().full());
    must(run.close());
  });
}

TEST_CASE("given a failed write, then the listener hears it once and nothing is promised any more") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    must(run.durable({0, run.journal().append(make(kA, 0, 1, 0, 10))}));
    disk.fail_writes = true;
    disk.fail_next_write = Errc::io;
    uint64_t lost = run.journal().append(make(kA, 1, 2, 0, 10));
    CHECK_FALSE(run.durable({0, lost}));
    disk.fail_writes = false;
    run.journal().append(make(kA, 2, 3, 0, 10));
    must(task.sleep_for(1s));
    CHECK(run.listener.failures == 1);
    CHECK(run.journal().failed());
    CHECK(run.listener.ends.at(kA) == 1);
    CHECK_FALSE(run.close());
  });
}

TEST_CASE("given the first commit of a segment and the note of its number, when either fails, then nobody waits for the other") {
  for (std::string_view bad : {".seg", "identity"}) {
    World world;
    MemoryDisk disk;
    world.run([&](Task& task) {
      Session run(task, *open(task, disk));
      disk.fail_next_write = Errc::io;
      disk.on_write = [&](const std::string& path, uint64_t, size_t) { disk.fail_writes = path.find(bad) != std::string::npos; };
      const Time begun = task.now();
      CHECK_FALSE(run.durable({0, run.journal().append(make(kA, 0, 1, 0, 10))}));
      CHECK(run.listener.failures == 1);
      CHECK(task.now() - begun < 20us);  // what a write takes on this disk
      disk.on_write = nullptr;
      disk.fail_writes = false;
      must(task.sleep_for(1s));
      CHECK(run.listener.failures == 1);
      CHECK(run.listener.ends.empty());
      CHECK_FALSE(run.close());
    });
  }
}

TEST_CASE("given a directory in use, of another node or of another cluster, then it is refused with a clear message") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Options options = small_options();
    options.cluster_id = Uuid{1, 2};
    {
      Session run(task, *open(task, disk, options));
      auto second = open(task, disk, options);
      CHECK(second.is(Errc::busy));
      CHECK(second.error().what.find("in use by another process") != std::string::npos);
      must(run.close());
    }
    options.cluster_id = Uuid{1, 3};
    CHECK(open(task, disk, options).is(Errc::invalid));
    options.cluster_id = {};
    options.node_id = NodeId{5};
    auto other = open(task, disk, options);
    CHECK(other.is(Errc::invalid));
    CHECK(other.error().what == "the data directory belongs to node 1, this process is node 5");
    options.node_id = NodeId{1};
    for (const char* file : {"journal/00000001.seg", "journal/identity"}) {
      disk.at(file).locked = true;  // the last write of a killed process has not ended
      Time before = task.now();
      CHECK(open(task, disk, options).is(Errc::busy));
      CHECK(task.now() - before >= options.lock_wait);
      disk.at(file).locked = false;
    }
    for (size_t slot : {0, 1}) disk.at("journal/identity").now[slot * kIdentitySlotBytes + 20] ^= 1;
    CHECK(open(task, disk, options).is(Errc::corrupt));
    disk.names.erase("journal/identity");
    CHECK(open(task, disk, options).is(Errc::corrupt));
  });
}

TEST_CASE("given damage on the disk, when read, then Errc::corrupt, and the stream is out of service until it is truncated away") {
  World world;
  MemoryDisk disk;
  Options options = small_options();
  options.tail_cache_bytes = 0;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options));
    for (int i = 0; i < 3; ++i) must(run.durable({0, run.journal().append(make(kA, i, i + 1, 0, 500))}));
    const Entry& e = run.journal().entries(kA, 1).front();
    disk.at("journal/00000001.seg").now[e.at + 300] ^= 0x10;
    CHECK(run.journal().read(task, kA, 0, 10'000, true)->size() == 1);
    CHECK(run.journal().damaged(kA));
    CHECK(run.journal().read(task, kA, 1, 10'000, true).is(Errc::corrupt));
    CHECK(run.journal().read(task, kA, 2, 10'000, true)->size() == 1);
    CHECK_FALSE(run.journal().damaged(kB));
    run.journal().truncate(kA, 1, 1);
    CHECK_FALSE(run.journal().damaged(kA));
    must(run.close());
  });
}
