// Who a directory is, and which run of it this is: counted, durable before anybody hears of it, and not to be had twice by copying.
#include <doctest/doctest.h>

#include "broker/wal/adopt.h"
#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr StreamId kA{16};
constexpr const char* kIdentity = "journal/identity";

// Opens and goes away at once, as a process that is killed. Nothing where it is refused.
std::optional<OpenResult> start(World& world, MemoryDisk& disk, std::string* why = nullptr, Options options = small_options()) {
  std::optional<OpenResult> result;
  world.run([&](Task& task) {
    auto opened = open(task, disk, options);
    if (opened) {
      result = std::move(*opened);
      result->journal.reset();
    } else if (why) {
      *why = opened.error().what;
      CHECK((opened.is(Errc::invalid) || opened.is(Errc::corrupt)));
    }
  });
  disk.kill();
  return result;
}

// A run that leaves something behind.
void append_one(World& world, MemoryDisk& disk, int64_t at, StreamId stream = kA) {
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    CHECK(run.durable({0, run.journal().append(make(stream, at, at + 1, 0, 500))}));
    run.abandon();
  });
  disk.kill();
}

Identity identity_of(World& world, MemoryDisk& disk) {
  Identity out;
  world.run([&](Task& task) { out = *IdentityFile::read(task, disk, "journal"); });
  return out;
}

Result<Identity> adopt_here(World& world, MemoryDisk& disk, Adoption how, uint64_t seed = 99) {
  Result<Identity> out = fail(Errc::invalid);
  world.run([&](Task& task) { out = adopt(task, disk, "journal", how, Rng(seed)); });
  return out;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// As a program before voter ids wrote it.
ByteVec old_identity(const Identity& identity) {
  ByteVec bytes;
  ByteWriter w(bytes);
  w.le(uint32_t{0x44494353});
  w.le(uint32_t{1});
  w.le(identity.node_id.v);
  for (uint64_t v : {identity.directory_id.high, identity.directory_id.low, identity.cluster_id.high, identity.cluster_id.low}) w.le(v);
  w.le(crc32c(bytes));
  return bytes;
}

}  // namespace

TEST_CASE("given starts of one directory, then each is a run of its own, counted in the directory, whatever the clock says") {
  World world;
  MemoryDisk disk;
  auto first = start(world, disk);
  world.clock.time = Time{1};  // a clock that was set back
  auto second = start(world, disk);
  REQUIRE((first && second));
  CHECK(first->run.counter == Incarnation{1});
  CHECK(second->run.counter == Incarnation{2});
  CHECK(second->run.directory == first->run.directory);
  CHECK(second->run.nonce != first->run.nonce);
  CHECK(second->voter == first->voter);
  CHECK(first->voter.v != 0);
}

TEST_CASE("given a power cut at any operation of a start, then no counter that open() gave out comes twice, and no start is refused") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    World world;
    MemoryDisk disk;
    Incarnation given;
    VoterId voter{0};
    for (uint64_t at = 1; at <= 30; ++at) {
      disk.crash_at = at % 16;  // 0: only behind it
      world.run([&](Task& task) {
        auto opened = open(task, disk);
        if (!opened) {
          CHECK(opened.is(Errc::stopped));
          return;
        }
        CHECK(opened->run.counter > given);
        CHECK((voter.v == 0 || opened->voter == voter));
        CHECK(opened->start != StartKind::damaged);
        given = opened->run.counter;
        voter = opened->voter;
      });
      disk.power_cut(rng);
    }
    CHECK(given.v >= 2);
  }
}

TEST_CASE("given one slot of the identity that cannot be read, then the other is enough; given none, then the directory is not used") {
  World world;
  for (uint64_t slot : {0, 1}) {
    MemoryDisk disk;
    append_one(world, disk, 0);
    append_one(world, disk, 1);
    auto bad = disk.clone();
    bad->at(kIdentity).now[slot * kIdentitySlotBytes + 100] ^= 1;
    auto opened = start(world, *bad);
    REQUIRE(opened);
    CHECK(opened->run.counter == Incarnation{3});
    bad = disk.clone();
    bad->at(kIdentity).unreadable.insert(slot);
    CHECK(start(world, *bad));
  }
  MemoryDisk disk;
  append_one(world, disk, 0);
  disk.at(kIdentity).now[100] ^= 1;
  disk.at(kIdentity).now[kIdentitySlotBytes + 100] ^= 1;
  std::string why;
  CHECK_FALSE(start(world, disk, &why));
  CHECK(has(why, "identity file is damaged"));
}

TEST_CASE("given a full disk with a free segment, when started, then the identity needs no space") {
  World world;
  MemoryDisk disk;
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    CHECK(run.durable({0, run.journal().append(make(kA, 0, 1, 0, 500))}));
    CHECK(task.sleep_for(1s));  // the next segment is prepared
    run.abandon();
  });
  disk.kill();
  disk.capacity = disk.used();
  CHECK(start(world, disk));
}

TEST_CASE(
    "given a directory of the older format, when opened, then it is voter 0, its runs are counted from where they were, and all is there") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  append_one(world, disk, 1);
  disk.at(kIdentity).now = disk.at(kIdentity).durable = old_identity(identity_of(world, disk));
  // Its segments name no voter either.
  for (auto& [path, inode] : disk.names) {
    if (!path.ends_with(".seg")) continue;
    auto header = decode_segment_block(ByteSpan(inode->now).first(kBlockBytes));
    if (!header) continue;
    header->voter_id = VoterId{0};
    std::ranges::copy(encode_segment_block(*header), inode->now.begin());
  }
  auto opened = start(world, disk);
  REQUIRE(opened);
  CHECK(opened->voter == VoterId{0});
  CHECK(opened->run.counter == Incarnation{3});
  CHECK(opened->streams.size() == 1);
  CHECK(opened->streams[0].end == 2);
  CHECK(start(world, disk)->run.counter == Incarnation{4});
  CHECK(disk.at(kIdentity).now.size() == kIdentitySlots * kIdentitySlotBytes);
}

TEST_CASE("given an identity from a backup beside the segments of later runs, then it is refused, and refused again") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  ByteVec backup = disk.at(kIdentity).now;
  for (int i = 1; i < 4; ++i) append_one(world, disk, i);
  disk.at(kIdentity).now = disk.at(kIdentity).durable = backup;
  for (int i = 0; i < 5; ++i) {
    std::string why;
    CHECK_FALSE(start(world, disk, &why));
    CHECK(has(why, "the identity file is older than the journal beside it"));
  }
}

TEST_CASE("given a copy of the directory, then it is refused with what to do, in either way of telling it") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  auto copy = disk.clone();
  copy->renumber();
  Options options = small_options();
  options.named = "/srv/data";
  std::string why;
  CHECK_FALSE(start(world, *copy, &why, options));
  CHECK(has(why, "/srv/data is a copy or a restored backup"));
  CHECK(has(why, "stormglassd adopt /srv/data --moved"));
  CHECK(why.find('\n') == std::string::npos);
  CHECK(start(world, disk));  // the original is none

  options.copy_check = false;
  CHECK(start(world, *copy, nullptr, options));
  CHECK(start(world, *copy));  // it is at home there by now
}

TEST_CASE("given a lock file with its number and another birth, then it is a copy; where either birth is not known, the number decides") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  auto without = disk.clone();
  without->births = false;
  CHECK(start(world, *without));
  world.run([&](Task& task) {
    auto file = *IdentityFile::open(task, disk, "journal", {});
    file->edit().lock_birth_ns -= 1;
    CHECK(file->save(task));
  });
  CHECK_FALSE(start(world, disk));
}

TEST_CASE("given a copy, when adopted as moved, then it is the same directory and voter, and its runs go on") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  auto before = start(world, disk);
  disk.renumber();
  CHECK_FALSE(start(world, disk));
  REQUIRE(adopt_here(world, disk, Adoption::moved));
  auto after = start(world, disk);
  REQUIRE(after);
  CHECK(after->run.directory == before->run.directory);
  CHECK(after->voter == before->voter);
  CHECK(after->run.counter > before->run.counter);
}

TEST_CASE("given a copy, when adopted anew, then it is another directory and another voter, and what the former one held can be read") {
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  auto before = start(world, disk);
  for (int64_t round = 1; round <= 3; ++round) {
    disk.renumber();
    REQUIRE(adopt_here(world, disk, Adoption::anew, static_cast<uint64_t>(round)));
    append_one(world, disk, round);
    auto after = start(world, disk);
    REQUIRE(after);
    CHECK(after->run.directory != before->run.directory);
    CHECK(after->voter != before->voter);
    CHECK(after->start == StartKind::clean_end);
    CHECK(after->streams[0].end == round + 1);
    before = std::move(after);
  }
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    auto batches = run.journal().read(task, kA, 0, 1 << 20, true);
    REQUIRE(batches);
    CHECK(batches->size() == 4);
    CHECK(run.close());
  });
  CHECK(identity_of(world, disk).former.size() == 3);
}

TEST_CASE("given a directory in use, or none, when adopted, then it is refused") {
  World world;
  MemoryDisk disk;
  CHECK(adopt_here(world, disk, Adoption::anew).is(Errc::not_found));
  world.run([&](Task& task) {
    Session run(task, *open(task, disk));
    CHECK(adopt(task, disk, "journal", Adoption::moved, Rng(1)).is(Errc::busy));
    CHECK(run.close());
  });
}

TEST_CASE("given damage that hits Raft's log, when a voter id is drawn, then once for that damage, and both are durable together") {
  const Damage damage{kEveryStream, 1, 10, 20};
  const Damage other{kEveryStream, 1, 30, 31};
  const Damage third{kEveryStream, 1, 40, 41};
  World world;
  MemoryDisk disk;
  append_one(world, disk, 0);
  VoterId old = start(world, disk)->voter;
  VoterId drawn{0};
  auto draw = [&](std::initializer_list<Damage> all) {
    VoterId out{0};
    world.run([&](Task& task) {
      auto opened = open(task, disk);
      for (const Damage& d : all) out = *opened->journal->draw_voter_id(task, d);
    });
    disk.kill();
    return out;
  };
  drawn = draw({damage});
  CHECK(drawn != old);
  CHECK(start(world, disk)->voter == drawn);
  CHECK(draw({damage}) == drawn);
  VoterId second = draw({other, third});
  CHECK(second != drawn);
  CHECK(draw({third}) == second);  // twice in one run: one voter
}

TEST_CASE("given a crash at any step of drawing a voter id, then the next run is the old voter, or the new one that has answered") {
  const Damage damage{kEveryStream, 1, 10, 20};
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    for (uint64_t at = 1; at <= 3; ++at) {
      Rng rng(seed * 100 + at);
      World world;
      MemoryDisk disk;
      append_one(world, disk, 0);
      VoterId old = start(world, disk)->voter;
      bool returned = false;
      world.run([&](Task& task) {
        auto opened = open(task, disk);
        REQUIRE(opened);
        disk.crash_at = disk.operations + at;
        auto drawn = opened->journal->draw_voter_id(task, damage);
        returned = drawn.has_value();
        CHECK(returned == (at == 3));
      });
      disk.power_cut(rng);
      world.run([&](Task& task) {
        auto opened = open(task, disk);
        REQUIRE(opened);
        const bool answered = opened->voter != old;
        CHECK((answered || !returned));
        auto again = opened->journal->draw_voter_id(task, damage);
        REQUIRE(again);
        CHECK((*again == opened->voter) == answered);
        CHECK(*again != old);
      });
      disk.kill();
    }
  }
}

TEST_CASE(
    "given a killed writer whose slot is in the page cache alone, when the power goes during the next write, then what was saved is "
    "there") {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    for (uint64_t fatal = 1; fatal <= 3; ++fatal) {
      World world;
      MemoryDisk disk;
      // Saves this counter; the process dies at the operation of that number, if it comes to it.
      auto save = [&](uint64_t counter, uint64_t dies_at) {
        bool saved = false;
        world.run([&](Task& task) {
          auto file = IdentityFile::open(task, disk, "journal", {});
          REQUIRE(file);
          disk.crash_at = dies_at == 0 ? 0 : disk.operations + dies_at;
          (*file)->edit().counter = Incarnation(counter);
          saved = (*file)->save(task).has_value();
        });
        return saved;
      };
      start(world, disk);
      REQUIRE(save(20, 0));
      CHECK_FALSE(save(30, 2));  // while it writes its slot
      disk.kill();
      const bool saved = save(40, fatal);
      Rng rng(seed);
      disk.power_cut(rng);
      CHECK(identity_of(world, disk).counter >= Incarnation(saved ? 40 : 20));
    }
  }
}
