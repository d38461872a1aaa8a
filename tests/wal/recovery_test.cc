// The recovery table of docs/formats/journal.md, row by row, and what surrounds it: segment headers, indexes, missing files.
#include <doctest/doctest.h>

#include <algorithm>

#include "broker/wal/verdict.h"
#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr StreamId kA{16};
constexpr size_t kPayload = 12'000;  // header and payload fill three blocks, the trailer has the fourth to itself
constexpr const char* kFirst = "journal/00000001.seg";

Options options() {
  Options o = small_options();
  o.first_segment_bytes = o.segment_bytes = 64 * 4096;
  return o;
}

// Three commits, each [i, i + 1) of kA, and none that vouches for the last; then the process is killed.
void three_commits(World& world, MemoryDisk& disk) {
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options()));
    for (int i = 0; i < 3; ++i) REQUIRE(run.durable({0, run.journal().append(make(kA, i, i + 1, 0, kPayload))}));
    REQUIRE(run.journal().stats().commits == 3);
    run.abandon();
  });
  disk.kill();
}

// Opens and goes away at once: begins a segment that names the end of the one before.
OpenResult reopen(World& world, MemoryDisk& disk) {
  OpenResult result;
  world.run([&](Task& task) {
    auto opened = open(task, disk, options());
    INFO((opened ? std::string() : opened.error().what));
    REQUIRE(opened);
    result = std::move(*opened);
    result.journal.reset();
  });
  disk.kill();
  return result;
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

void flip(MemoryDisk& disk, uint64_t at) { disk.at(kFirst).now[at] ^= 0x40; }

const StreamState* state(const OpenResult& result, StreamId id) {
  auto at = std::ranges::find(result.streams, id, &StreamState::stream);
  return at == result.streams.end() ? nullptr : &*at;
}

void check_verdict(const OpenResult& result, Verdict verdict, int64_t victim) {
  const StreamState* a = state(result, kA);
  REQUIRE(a);
  switch (verdict) {
    case Verdict::accept:
      CHECK(result.start == StartKind::clean_end);
      CHECK(a->end == 3);
      CHECK_FALSE(a->damaged);
      break;
    case Verdict::hole:
      CHECK(result.start == StartKind::damaged);
      CHECK(a->end == 3);
      CHECK(a->holes == std::vector<Hole>{{victim, victim + 1}});
      CHECK(state(result, kRaftLog) == nullptr);  // other streams are sound
      break;
    case Verdict::lost:
      CHECK(result.start == StartKind::damaged);
      CHECK(a->damaged);
      REQUIRE(state(result, kRaftLog));
      CHECK(state(result, kRaftLog)->damaged);
      break;
    case Verdict::cut:
      CHECK((result.start == StartKind::torn_tail || result.start == StartKind::clean_end));
      CHECK(a->end == victim);
      CHECK_FALSE(a->damaged);
      break;
  }
}

struct Row {
  bool header, payload, trailer;
  Verdict vouched, unvouched;
};
constexpr Row kTable[] = {
    {true, true, true, Verdict::accept, Verdict::accept},  {true, true, false, Verdict::accept, Verdict::accept},
    {false, true, true, Verdict::accept, Verdict::accept}, {true, false, true, Verdict::hole, Verdict::cut},
    {true, false, false, Verdict::hole, Verdict::cut},     {false, false, true, Verdict::hole, Verdict::cut},
    {false, true, false, Verdict::lost, Verdict::cut},     {false, false, false, Verdict::lost, Verdict::cut},
};

}  // namespace

TEST_CASE("given each row of the recovery table, then the verdict is the table's") {
  for (const Row& row : kTable) {
    CHECK(judge({row.header, row.payload, row.trailer, true}) == row.vouched);
    CHECK(judge({row.header, row.payload, row.trailer, false}) == row.unvouched);
  }
}

TEST_CASE("given each row of the recovery table on a disk, then recovery does what it says, and says the same a second time") {
  enum Place { vouched_by_commit, vouched_by_segment, unvouched };
  for (const Row& row : kTable) {
    for (Place place : {vouched_by_commit, vouched_by_segment, unvouched}) {
      CAPTURE(row.header);
      CAPTURE(row.payload);
      CAPTURE(row.trailer);
      CAPTURE(static_cast<int>(place));
      World world;
      MemoryDisk disk;
      three_commits(world, disk);
      if (place == vouched_by_segment) reopen(world, disk);
      int victim = place == vouched_by_commit ? 1 : 2;
      CommitHeader c = commit_at(disk, victim);
      if (!row.header) flip(disk, c.position + 40);
      if (!row.payload) flip(disk, c.position + c.records[0].payload_at + 5'000);
      if (!row.trailer) flip(disk, c.position + c.commit_bytes - 60);
      OpenResult first = reopen(world, disk);
      check_verdict(first, place == unvouched ? row.unvouched : row.vouched, victim);
      OpenResult second = reopen(world, disk);
      CHECK(first.streams == second.streams);
      CHECK((first.start == StartKind::damaged) == (second.start == StartKind::damaged));
      CHECK(second.run.counter > first.run.counter);
    }
  }
}

TEST_CASE("given a block that the device cannot read, then it counts as bad bytes") {
  struct Case {
    uint64_t block;  // of the commit
    Verdict vouched, unvouched;
  };
  for (Case c : {Case{0, Verdict::hole, Verdict::cut}, Case{1, Verdict::hole, Verdict::cut}, Case{3, Verdict::accept, Verdict::accept}}) {
    for (int victim : {1, 2}) {
      CAPTURE(c.block);
      CAPTURE(victim);
      World world;
      MemoryDisk disk;
      three_commits(world, disk);
      disk.at(kFirst).unreadable.insert(commit_at(disk, victim).position / 4096 + c.block);
      check_verdict(reopen(world, disk), victim == 1 ? c.vouched : c.unvouched, victim);
    }
  }
}

TEST_CASE("given one bad sector in the segment header, then nothing is lost; given both copies, then the first commit names the segment") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  flip(disk, 20);
  check_verdict(reopen(world, disk), Verdict::accept, 0);
  flip(disk, 2048 + 20);
  check_verdict(reopen(world, disk), Verdict::accept, 0);
}

TEST_CASE("given a segment of the log is gone, then every stream counts as damaged, Raft's included") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  reopen(world, disk);
  disk.names.erase(kFirst);
  OpenResult result = reopen(world, disk);
  CHECK(result.start == StartKind::damaged);
  REQUIRE(state(result, kRaftLog));
  CHECK(state(result, kRaftLog)->damaged);
}

TEST_CASE("given a segment of which the device cannot read the beginning, then nobody takes its file for one that is free") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  reopen(world, disk);
  for (uint64_t block : {0, 1}) disk.at(kFirst).unreadable.insert(block);
  const ByteVec before = disk.at(kFirst).now;
  CHECK(reopen(world, disk).start == StartKind::damaged);
  CHECK(reopen(world, disk).start == StartKind::damaged);
  CHECK(disk.at(kFirst).now == before);
}

TEST_CASE("given a sealed segment, then its index is read instead of its commits; a damaged index is rebuilt by scanning") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options()));
    REQUIRE(task.sleep_for(1s));  // the index is written in the background
    run.abandon();
  });
  disk.kill();
  CommitHeader last = commit_at(disk, 2);
  uint64_t index = last.position + last.commit_bytes;
  REQUIRE(decode_index(ByteSpan(disk.at(kFirst).now).subspan(index)));

  // With the index, a lost commit header is not even noticed; its payload is found through the index.
  auto broken = disk.clone();
  broken->at(kFirst).now[last.position + 40] ^= 1;
  broken->at(kFirst).now[last.position + last.commit_bytes - 60] ^= 1;
  world.run([&](Task& task) {
    Session run(task, *open(task, *broken, options()));
    CHECK(run.opened.start == StartKind::clean_end);
    auto batches = run.journal().read(task, kA, 2, 1, true);
    REQUIRE(batches);
    CHECK(equal(batches->front().payload, content(kA, 2, 0, kPayload)));
    run.abandon();
  });

  flip(disk, index + 100);
  OpenResult scanned = reopen(world, disk);
  CHECK(scanned.start == StartKind::clean_end);
  CHECK(state(scanned, kA)->end == 3);
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options()));
    REQUIRE(task.sleep_for(1s));
    run.abandon();
  });
  CHECK(decode_index(ByteSpan(disk.at(kFirst).now).subspan(index)));
}

TEST_CASE("given a damaged stream, when its hole is truncated away, then later starts are clean again") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  CommitHeader c = commit_at(disk, 1);
  flip(disk, c.position + c.records[0].payload_at + 7);
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options()));
    CHECK(run.journal().damaged(kA));
    CHECK(run.journal().read(task, kA, 1, 100, true).is(Errc::corrupt));
    CHECK(run.journal().read(task, kA, 2, 100, true)->size() == 1);  // intact records behind the hole are kept
    REQUIRE(run.durable({0, run.journal().truncate(kA, 1, 1)}));
    REQUIRE(run.durable({0, run.journal().append(make(kA, 1, 2, 1, 10))}));
    CHECK_FALSE(run.journal().damaged(kA));
    REQUIRE(run.close());
  });
  OpenResult after = reopen(world, disk);
  CHECK(after.start == StartKind::orderly);
  CHECK(state(after, kA)->end == 2);
}

TEST_CASE("given a run that follows a torn tail, then its commits continue the chain in a new segment and the torn bytes never come back") {
  World world;
  MemoryDisk disk;
  three_commits(world, disk);
  CommitHeader torn = commit_at(disk, 2);
  ByteVec whole(disk.at(kFirst).now);
  flip(disk, torn.position + torn.records[0].payload_at + 7);
  world.run([&](Task& task) {
    Session run(task, *open(task, disk, options()));
    CHECK(run.opened.start == StartKind::torn_tail);
    REQUIRE(run.durable({0, run.journal().append(make(kA, 2, 3, 5, 10))}));
    run.abandon();
  });
  disk.kill();
  // Even if the cut commit were whole again, it is not part of the log any more.
  auto& now = disk.at(kFirst).now;
  std::copy_n(whole.begin() + static_cast<long>(torn.position), torn.commit_bytes, now.begin() + static_cast<long>(torn.position));
  OpenResult after = reopen(world, disk);
  CHECK(after.start == StartKind::clean_end);
  CHECK(state(after, kA)->end == 3);
  CHECK(state(after, kA)->last_epoch == 5);
}
