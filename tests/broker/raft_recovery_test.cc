// What Raft gets back from a journal: everything, or where something is damaged what another voter can go on with.
#include <doctest/doctest.h>

#include "broker/raft_snapshot.h"
#include "tests/broker/raft_on_disk.h"

using namespace sg;
using namespace sg::broker;
using broker::test::recover_raft;
using broker::test::spoil;
using wal::test::MemoryDisk;
using wal::test::Session;
using wal::test::World;

namespace {

wal::Append entry(int64_t index) {
  uint8_t kind = static_cast<uint8_t>(raft::EntryKind::command);
  wal::Append a =
      wal::Append::whole_payload(wal::kRaftLog, index, index + 1, 3, SharedBytes::copy_of(ByteVec(40, static_cast<uint8_t>(index))));
  a.aux = wal::Aux({&kind, 1});
  return a;
}

wal::Append snapshot(int64_t index) {
  return wal::Append::whole_payload(wal::kRaftSnapshots, index, index + 1, 3, SharedBytes::copy_of(ByteVec(60, 0xaa)));
}

// A snapshot of index 2, and the entries 3 to 6; each in a commit of its own.
void write_log(World& world, MemoryDisk& disk) {
  world.run([&](Task& task) {
    Session run(task, *wal::test::open(task, disk));
    wal::Journal& j = run.journal();
    REQUIRE(run.durable({j.set_hard_state({Term(3), NodeId(1)}), 0}));
    REQUIRE(run.durable({j.append(snapshot(2)), 0}));
    REQUIRE(run.durable({j.advance_start(wal::kRaftLog, 3), 0}));
    for (int64_t i = 3; i <= 6; ++i) REQUIRE(run.durable({j.append(entry(i)), 0}));
    REQUIRE(run.close());
  });
}

struct Found {
  raft::Recovered raft;
  int64_t log_start = 0, log_end = 0, snapshots_end = 0;
  VoterId before, after;
  wal::HardState hard_state;  // as another start finds it, and under which voter id
  VoterId again;
};

Found recover(World& world, MemoryDisk& disk, bool only_voter = false) {
  Found found;
  world.run([&](Task& task) {
    auto opened = wal::test::open(task, disk);
    REQUIRE(opened);
    found.before = opened->voter;
    auto recovered = recover_raft(task, *opened, only_voter);
    REQUIRE(recovered);
    found.raft = std::move(*recovered);
    found.after = opened->journal->voter();
    found.log_start = opened->journal->start_of(wal::kRaftLog);
    found.log_end = opened->journal->end_of(wal::kRaftLog);
    found.snapshots_end = opened->journal->end_of(wal::kRaftSnapshots);
  });
  world.run([&](Task& task) {
    auto opened = wal::test::open(task, disk);
    REQUIRE(recover_raft(task, *opened, only_voter));
    found.hard_state = opened->hard_state;
    found.again = opened->journal->voter();
  });
  return found;
}

}  // namespace

TEST_CASE("given an undamaged journal, Raft gets its vote, snapshot and entries back") {
  World world;
  MemoryDisk disk;
  write_log(world, disk);
  Found f = recover(world, disk);
  CHECK(f.after == f.before);
  CHECK(f.raft.may_lead);
  CHECK(f.raft.vote.node == NodeId(1));
  CHECK(f.raft.snapshot->index == LogIndex(2));
  CHECK(f.raft.entries.size() == 4);
  CHECK(f.hard_state == wal::HardState{Term(3), NodeId(1)});
}

TEST_CASE("given damage in the log, Raft goes on before it as another voter, and the journal ends there") {
  World world;
  MemoryDisk disk;
  write_log(world, disk);
  spoil(disk, ByteVec(40, 5));
  Found f = recover(world, disk);
  CHECK(f.after != f.before);
  CHECK(f.again == f.after);  // the same damage draws no second id
  CHECK(f.raft.snapshot->index == LogIndex(2));
  CHECK(f.raft.entries.size() == 2);
  CHECK(f.log_end == 5);
  CHECK(f.hard_state == wal::HardState{Term(3), NodeId(1)});
  // The next leader's entries fit.
  world.run([&](Task& task) {
    Session run(task, *wal::test::open(task, disk));
    REQUIRE(run.durable({run.journal().append(entry(5)), 0}));
    REQUIRE(run.close());
  });
  CHECK(recover(world, disk).raft.entries.size() == 3);
}

// Else the two would be no voters any more at the same time, and three voters no majority, for ever.
TEST_CASE("given two voters that were hurt and filled again long ago, when the power goes in both, then both are who they were") {
  World world;
  MemoryDisk disks[2];
  Rng rng(1);
  VoterId since[2];
  for (int i = 0; i < 2; ++i) {
    write_log(world, disks[i]);
    spoil(disks[i], ByteVec(40, 5));
    since[i] = recover(world, disks[i]).after;
    for (int64_t index = 5; index <= 8; ++index)
      world.run([&](Task& task) {
        Session run(task, *wal::test::open(task, disks[i]));
        REQUIRE(run.durable({run.journal().append(entry(index)), 0}));
        REQUIRE(run.close());
      });
  }
  for (int i = 0; i < 2; ++i) {
    disks[i].power_cut(rng);
    Found f = recover(world, disks[i]);
    CHECK(f.before == since[i]);
    CHECK(f.after == since[i]);
    CHECK(f.again == since[i]);
    CHECK(f.log_end == 9);
  }
}

TEST_CASE("given a commit of the log that is lost with both its headers, Raft goes on before it") {
  World world;
  MemoryDisk disk;
  write_log(world, disk);
  const ByteVec lost(40, 4);
  for (auto& [path, inode] : disk.names) {
    auto at = std::search(inode->now.begin(), inode->now.end(), lost.begin(), lost.end());
    if (at == inode->now.end()) continue;
    const auto block = static_cast<size_t>(at - inode->now.begin()) / 4096 * 4096;
    inode->now[block + 40] ^= 1;
    inode->now[block + 4096 - 60] ^= 1;
  }
  Found f = recover(world, disk);
  CHECK(f.after != f.before);
  CHECK(f.again == f.after);  // the same damage draws no second id
  CHECK(f.raft.entries.size() == 1);
  CHECK(f.log_end == 4);
}

TEST_CASE("given a log whose snapshot is gone, or older than its beginning, Raft starts over") {
  for (bool older : {false, true}) {
    World world;
    MemoryDisk disk;
    world.run([&](Task& task) {
      Session run(task, *wal::test::open(task, disk));
      wal::Journal& j = run.journal();
      if (older) j.append(snapshot(2));
      j.append(entry(1));
      REQUIRE(run.durable({j.advance_start(wal::kRaftLog, 5), 0}));
      REQUIRE(run.durable({j.append(entry(5)), 0}));
      REQUIRE(run.close());
    });
    Found f = recover(world, disk);
    CHECK_FALSE(f.raft.snapshot);
    CHECK(f.raft.entries.empty());
    CHECK(f.log_end == 0);
    CHECK(f.snapshots_end == 0);
  }
}

TEST_CASE("given a damaged snapshot, Raft starts over as another voter, and its log may begin at 1 again") {
  World world;
  MemoryDisk disk;
  write_log(world, disk);
  spoil(disk, ByteVec(60, 0xaa));
  Found f = recover(world, disk);
  CHECK(f.after != f.before);
  CHECK(f.again == f.after);  // the same damage draws no second id
  CHECK_FALSE(f.raft.snapshot);
  CHECK(f.raft.entries.empty());
  CHECK(f.raft.term == Term(3));
  CHECK(f.log_end == 0);
  CHECK(f.snapshots_end == 0);
  CHECK(f.hard_state == wal::HardState{Term(3), NodeId(1)});
  world.run([&](Task& task) {
    Session run(task, *wal::test::open(task, disk));
    run.journal().advance_start(wal::kRaftLog, 1);
    REQUIRE(run.durable({run.journal().append(entry(1)), 0}));
    REQUIRE(run.close());
  });
  Found again = recover(world, disk);
  CHECK(again.log_start == 1);
  CHECK(again.raft.entries.size() == 1);
}

TEST_CASE("given damage in the log of the only voter, nothing of its journal is given up") {
  World world;
  MemoryDisk disk;
  write_log(world, disk);
  spoil(disk, ByteVec(40, 5));
  Found f = recover(world, disk, true);
  CHECK_FALSE(f.raft.may_lead);
  CHECK(f.after == f.before);
  CHECK(f.log_end == 7);
  CHECK(f.hard_state == wal::HardState{Term(3), NodeId(1)});
}

TEST_CASE("given a voter that an older release had barred, then it goes on as another voter, with no vote") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *wal::test::open(task, disk));
    REQUIRE(run.durable({run.journal().set_hard_state({Term(3), NodeId(-2)}), 0}));
    REQUIRE(run.close());
  });
  Found f = recover(world, disk);
  CHECK(f.after != f.before);
  CHECK(f.raft.vote == raft::kNoVoter);
  CHECK(f.again == f.after);
}

TEST_CASE("given a snapshot of Raft, when written and read, then it is the same; given one of the older format, then it names nobody") {
  raft::Snapshot s{LogIndex(8), Term(3), {}, SharedBytes::copy_of(ByteVec(50, 7))};
  s.configuration.voters.push_back({NodeId(1), VoterId(5)});
  wal::Append a = to_append(s);
  auto back = snapshot_from(a.aux, s.index, s.term, a.payload);
  REQUIRE(back);
  CHECK(back->configuration == s.configuration);
  CHECK(back->data.size() == 50);
  auto old = snapshot_from(wal::Aux(), s.index, s.term, s.data);
  REQUIRE(old);
  CHECK_FALSE(old->configuration.known());
  CHECK(old->data.size() == 50);
  uint8_t later = 9;
  CHECK(snapshot_from(wal::Aux({&later, 1}), s.index, s.term, a.payload).is(Errc::unsupported));
  CHECK(snapshot_from(a.aux, s.index, s.term, s.data).is(Errc::corrupt));
}
