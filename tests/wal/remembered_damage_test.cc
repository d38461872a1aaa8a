// What is damaged stays known: over restarts, also where the next start would not find it again; and it counts for whom it has to.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr StreamId kA{16}, kB{17}, kC{18};
constexpr const char* kFirst = "journal/00000001.seg";

Options options() {
  Options o = small_options();
  o.first_segment_bytes = o.segment_bytes = 64 * 4096;
  return o;
}

using Body = std::function<void(Session&)>;

// One run, ended by a kill.
void with(World& world, MemoryDisk& disk, const Body& body, Options o = options()) {
  world.run([&](Task& task) {
    auto opened = open(task, disk, o);
    INFO((opened ? std::string() : opened.error().what));
    REQUIRE(opened);
    Session run(task, std::move(*opened));
    body(run);
    run.abandon();
  });
  disk.kill();
}

void append(Session& run, StreamId stream, int64_t at, size_t size = 3000) {
  Append a = make(stream, at, at + 1, 0, size);
  Tickets wanted;
  (is_metadata(stream) ? wanted.metadata : wanted.data) = run.journal().append(std::move(a));
  CHECK(run.durable(wanted));
}

// The file of the segment that was begun last.
std::string newest_file(MemoryDisk& disk) {
  std::string out;
  uint64_t newest = 0;
  for (const auto& [path, inode] : disk.names) {
    if (!path.ends_with(".seg") || inode->now.size() < kBlockBytes) continue;
    auto header = decode_segment_block(ByteSpan(inode->now).first(kBlockBytes));
    if (!header || header->generation < newest) continue;
    newest = header->generation;
    out = path;
  }
  return out;
}

bool damaged(Session& run, StreamId stream) {
  const StreamState* s = run.state(stream);
  return s && s->damaged;
}

CommitHeader commit_at(MemoryDisk& disk, int number) {
  uint64_t at = kBlockBytes;
  for (;; --number) {
    auto header = decode_header(ByteSpan(disk.at(kFirst).now).subspan(at));
    REQUIRE(header);
    if (number == 0) return *header;
    at += header->commit_bytes;
  }
}

}  // namespace

TEST_CASE(
    "given rot that a reader found in a segment whose index is whole, when started again, then it is known until it is truncated away") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) {
    for (int i = 0; i < 3; ++i) append(run, kA, i, 12'000);
    append(run, kB, 0);
  });
  with(world, disk, [](Session& run) { CHECK(run.task.sleep_for(1s)); });  // the index is written
  CommitHeader c = commit_at(disk, 1);
  disk.at(kFirst).now[c.position + c.records[0].payload_at + 5000] ^= 1;
  with(world, disk, [](Session& run) {
    CHECK(run.opened.start == StartKind::clean_end);  // nobody has looked
    CHECK(run.journal().read(run.task, kA, 1, 1, true).is(Errc::corrupt));
    CHECK(run.journal().damage_of(kA) == std::vector<Damage>{{kA, 1, 1, 2}});
  });
  for (int i = 0; i < 3; ++i) {
    with(world, disk, [](Session& run) {
      CHECK(run.opened.start == StartKind::damaged);
      CHECK_FALSE(run.opened.unattributed);
      CHECK(run.state(kA)->holes == std::vector<Hole>{{1, 2}});
      CHECK_FALSE(damaged(run, kB));
      CHECK(run.journal().damage_of(kA) == std::vector<Damage>{{kA, 1, 1, 2}});
      CHECK(run.journal().damage_of(kB).empty());
    });
  }
  with(world, disk, [](Session& run) {
    CHECK(run.durable({0, run.journal().truncate(kA, 1, 0)}));
    append(run, kA, 1);
  });
  with(world, disk, [](Session& run) {
    CHECK(run.opened.start == StartKind::clean_end);
    CHECK(run.journal().damage_of(kA).empty());
  });
}

TEST_CASE("given rot that a reader found, when its stream is healed, then no later start counts it") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) {
    for (int i = 0; i < 3; ++i) append(run, kA, i, 12'000);
  });
  CommitHeader c = commit_at(disk, 1);
  disk.at(kFirst).now[c.position + c.records[0].payload_at + 5000] ^= 1;
  with(world, disk, [](Session& run) { CHECK(damaged(run, kA)); });
  with(world, disk, [](Session& run) { CHECK(run.durable({0, run.journal().heal(kA)})); });
  with(world, disk, [](Session& run) { CHECK_FALSE(damaged(run, kA)); });
}

TEST_CASE("given the newest segment is deleted, then it is missed, for ever, and its number is not used again") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) { append(run, kA, 0); });
  with(world, disk, [](Session& run) {
    append(run, kA, 1);
    append(run, kB, 0);
  });
  disk.names.erase(newest_file(disk));
  for (int i = 0; i < 3; ++i) {
    with(world, disk, [](Session& run) {
      CHECK(run.opened.start == StartKind::damaged);
      CHECK(run.opened.unattributed);
      CHECK(damaged(run, kA));
      CHECK(damaged(run, kRaftLog));
      CHECK(run.state(kB) == nullptr);  // nobody knows that it was there: unattributed says so
      CHECK(run.journal().damage_of(kRaftLog) == std::vector<Damage>{{kEveryStream, 2}});
    });
  }
}

TEST_CASE("given all segments are deleted, then they are missed, also at the second start") {
  World world;
  MemoryDisk disk;
  for (int i = 0; i < 4; ++i) with(world, disk, [&](Session& run) { append(run, kA, i); });
  std::erase_if(disk.names, [](const auto& n) { return n.first.ends_with(".seg"); });
  for (int i = 0; i < 3; ++i) {
    with(world, disk, [&](Session& run) {
      CHECK(run.opened.unattributed);
      CHECK(run.opened.start == StartKind::damaged);
      CHECK(damaged(run, kRaftLog));
      append(run, kC, i);
    });
  }
}

TEST_CASE("given a segment that was begun and held no commit, when it is deleted, then nothing was promised and nothing is missed") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) { append(run, kA, 0); });
  with(world, disk, [](Session&) {});
  disk.names.erase(newest_file(disk));
  with(world, disk, [](Session& run) { CHECK(run.opened.start == StartKind::clean_end); });
}

TEST_CASE("given unattributed damage, then streams that begin behind it are whole, and those that may begin in it are not") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) { append(run, kA, 0); });
  with(world, disk, [](Session& run) { append(run, kA, 1); });
  disk.names.erase(newest_file(disk));
  with(world, disk, [](Session& run) {
    append(run, kB, 0);
    CHECK(run.durable({0, run.journal().advance_start(kC, 40)}));
    append(run, kC, 40);
  });
  with(world, disk, [](Session& run) {
    CHECK(run.opened.unattributed);  // for the cluster all of them count, those included that nobody met
    CHECK(damaged(run, kA));
    CHECK_FALSE(damaged(run, kB));
    CHECK(damaged(run, kC));
  });
}

TEST_CASE("given unattributed damage and a voter id drawn for it, when Raft's streams begin anew, then they are whole at later starts") {
  World world;
  MemoryDisk disk;
  with(world, disk, [](Session& run) { append(run, kRaftLog, 1); });
  with(world, disk, [](Session& run) { append(run, kRaftLog, 2); });
  disk.names.erase(newest_file(disk));
  VoterId drawn{0};
  auto recover = [&](Task& task, OpenResult& opened) {
    Journal& j = *opened.journal;
    std::vector<Damage> all = j.damage_of(kRaftLog);
    for (const Damage& d : all) drawn = *j.draw_voter_id(task, d);
    if (all.empty()) return false;
    j.drop(kRaftLog);
    j.drop(kRaftSnapshots);
    CHECK(j.settle(task));
    return true;
  };
  auto start = [&](bool expected, bool goes_on) {
    world.run([&](Task& task) {
      auto opened = open(task, disk, options());
      REQUIRE(opened);
      CHECK(opened->unattributed);
      const VoterId before = opened->voter;
      CHECK(recover(task, *opened) == expected);
      CHECK((drawn == before) == !expected);
      if (!goes_on) return;
      Session run(task, std::move(*opened));
      append(run, kRaftLog, run.journal().end_of(kRaftLog) == 0 ? 1 : run.journal().end_of(kRaftLog));
      run.abandon();
    });
    disk.kill();
  };
  start(true, true);
  for (int i = 0; i < 3; ++i) start(false, true);
}

TEST_CASE("given a crash at any operation of a roll, then no segment is missed; when the newest is deleted afterwards, it is") {
  int rolled = 0;
  for (uint64_t at = 1; at <= 40; ++at) {
    Rng rng(at);
    World world;
    MemoryDisk disk;
    Options o = options();
    o.segment_bytes = o.first_segment_bytes = 4 * 4096;
    int64_t durable = 0;
    world.run([&](Task& task) {
      Session run(task, *open(task, disk, o));
      disk.crash_at = disk.operations + at;
      for (int64_t i = 0; i < 8; ++i) {
        if (!run.durable({0, run.journal().append(make(kA, i, i + 1, 0, 3000))})) break;
        durable = i + 1;
      }
      rolled += run.journal().stats().rolls > 0;
      run.abandon();
    });
    disk.power_cut(rng);
    auto hurt = disk.clone();
    with(
        world, disk,
        [&](Session& run) {
          CHECK(run.opened.start != StartKind::damaged);
          CHECK(run.journal().end_of(kA) >= durable);
        },
        o);
    if (durable == 0) continue;
    // Whatever holds the youngest commit that was reported.
    std::string victim;
    uint64_t victims = 0;
    for (const auto& [path, inode] : hurt->names) {
      if (!path.ends_with(".seg") || inode->now.size() < 2 * kBlockBytes) continue;
      auto header = decode_segment_block(ByteSpan(inode->now).first(kBlockBytes));
      auto commit = decode_header(ByteSpan(inode->now).subspan(kBlockBytes));
      if (!header || !commit || commit->generation != header->generation || commit->records.empty()) continue;
      if (commit->records[0].first < durable && header->generation > victims) {
        victim = path;
        victims = header->generation;
      }
    }
    REQUIRE_FALSE(victim.empty());
    hurt->names.erase(victim);
    with(
        world, *hurt, [&](Session& run) { CHECK(run.opened.unattributed); }, o);
  }
  CHECK(rolled > 10);
}
