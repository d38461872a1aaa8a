#include "tests/contract/disk_contract.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/contract/script.h"

namespace sg::contract {

namespace {

using disk::Caching;
using disk::Durability;
using disk::OpenMode;
using Paths = std::vector<std::string>;

class Suite {
 public:
  explicit Suite(DiskFixture& fixture)
      : f_(fixture), script_([&fixture](const std::function<bool()>& done) { return fixture.run_until(done); }) {}

  void bytes_read_back();
  void reads_end_at_the_end();
  void gaps_are_zeros();
  void truncate_cuts_and_extends();
  void many_pieces_are_one_write();
  void synced_writes_and_syncs();
  void open_modes();
  void names();
  void removed_files_stay_open();
  void info_tells_files_apart();
  void the_lock_is_exclusive();
  void direct_access_is_aligned();
  void direct_and_cached_see_the_same();
  void tasks_at_the_same_time();
  void a_stop_does_not_interrupt();
  void paths_stay_below_the_directory();

 private:
  void run(std::function<Result<>(Task&)> body) {
    script_.task(f_.scheduler(), "test", std::move(body));
    script_.run();
  }
  disk::Disk& disk() { return f_.disk(); }
  Result<std::unique_ptr<disk::File>> create(Task& task, std::string_view path, Caching caching = Caching::cached) {
    return disk().open(task, path, OpenMode::create, caching);
  }
  // The file holds exactly these bytes.
  Result<> expect_content(Task& task, disk::File& file, ByteSpan expected) {
    TRY(uint64_t size, file.size(task));
    CHECK(size == expected.size());
    ByteVec buffer(expected.size() + 1);
    TRY(size_t n, file.read(task, 0, buffer));
    CHECK(equal(ByteSpan(buffer).first(n), expected));
    return {};
  }
  Result<> expect_names(Task& task, std::string_view path, const Paths& expected) {
    TRY(Paths names, disk().list(task, path));
    CHECK(names == expected);
    return {};
  }

  DiskFixture& f_;
  Script script_;
};

void Suite::bytes_read_back() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    CHECK_FALSE(file->direct());
    CHECK(file->alignment() == 1);
    ByteVec bytes = pattern(0, 3'000'000);
    TRY_DO(file->write(task, 0, bytes, Durability::buffered));
    TRY_DO(expect_content(task, *file, bytes));
    ByteVec middle = pattern(777, 5'000);  // overwrites in place
    TRY_DO(file->write(task, 1'234'567, middle, Durability::buffered));
    std::copy(middle.begin(), middle.end(), bytes.begin() + 1'234'567);
    TRY_DO(expect_content(task, *file, bytes));
    file.reset();
    TRY(file, disk().open(task, "a", OpenMode::read_only));
    return expect_content(task, *file, bytes);
  });
}

void Suite::reads_end_at_the_end() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    ByteVec buffer(100);
    CHECK(file->read(task, 0, buffer) == 0u);
    TRY_DO(file->write(task, 0, pattern(0, 70), Durability::buffered));
    CHECK(file->read(task, 0, buffer) == 70u);
    CHECK(file->read(task, 60, buffer) == 10u);
    CHECK(matches_pattern(60, ByteSpan(buffer).first(10)));
    CHECK(file->read(task, 70, buffer) == 0u);
    CHECK(file->read(task, 1'000'000, buffer) == 0u);
    CHECK(file->read(task, 0, MutableByteSpan(buffer).first(70)) == 70u);
    return {};
  });
}

void Suite::gaps_are_zeros() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    TRY_DO(file->write(task, 100'000, pattern(0, 10), Durability::buffered));
    TRY_DO(file->write(task, 0, pattern(0, 10), Durability::buffered));
    ByteVec expected(100'010);
    std::ranges::copy(pattern(0, 10), expected.begin());
    std::ranges::copy(pattern(0, 10), expected.begin() + 100'000);
    return expect_content(task, *file, expected);
  });
}

void Suite::truncate_cuts_and_extends() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    TRY_DO(file->write(task, 0, pattern(0, 10'000), Durability::buffered));
    TRY_DO(file->truncate(task, 5'000));
    TRY_DO(expect_content(task, *file, pattern(0, 5'000)));
    TRY_DO(file->truncate(task, 6'000));
    ByteVec expected = pattern(0, 5'000);
    expected.resize(6'000);  // what was cut does not come back
    TRY_DO(expect_content(task, *file, expected));
    TRY_DO(file->truncate(task, 0));
    return expect_content(task, *file, {});
  });
}

void Suite::many_pieces_are_one_write() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    ByteVec all = pattern(0, 400'000);
    std::vector<ByteSpan> pieces;
    for (size_t at = 0, length = 0; at < all.size(); at += length) {
      length = std::min(pieces.size() % 151, all.size() - at);  // empty ones too
      pieces.push_back(ByteSpan(all).subspan(at, length));
    }
    CHECK(pieces.size() > 2'000);
    TRY_DO(file->write(task, 0, pieces, Durability::synced));
    TRY_DO(expect_content(task, *file, all));
    TRY_DO(file->write(task, 5, std::span<const ByteSpan>(), Durability::synced));
    return expect_content(task, *file, all);
  });
}

void Suite::synced_writes_and_syncs() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    TRY_DO(file->sync(task));
    TRY_DO(file->write(task, 0, pattern(0, 4'096), Durability::synced));
    TRY_DO(file->write(task, 4'096, pattern(4'096, 10), Durability::synced));
    TRY_DO(file->write(task, 4'106, pattern(4'106, 10), Durability::buffered));
    TRY_DO(file->sync(task));
    TRY_DO(disk().sync_directory(task, ""));
    return expect_content(task, *file, pattern(0, 4'116));
  });
}

void Suite::open_modes() {
  run([&](Task& task) -> Result<> {
    CHECK(disk().open(task, "a", OpenMode::read_only).is(Errc::not_found));
    CHECK(disk().open(task, "a", OpenMode::read_write).is(Errc::not_found));
    CHECK(disk().open(task, "no/a", OpenMode::create).is(Errc::not_found));
    TRY_DO(expect_names(task, "", {}));
    {
      TRY(auto file, create(task, "a"));
      TRY_DO(file->write(task, 0, pattern(0, 10), Durability::buffered));
    }
    TRY(auto again, create(task, "a"));  // what is there stays
    TRY_DO(expect_content(task, *again, pattern(0, 10)));
    TRY(auto writer, disk().open(task, "a", OpenMode::read_write));
    TRY_DO(writer->write(task, 10, pattern(10, 10), Durability::buffered));
    return expect_content(task, *again, pattern(0, 20));  // one file, opened twice
  });
}

void Suite::names() {
  run([&](Task& task) -> Result<> {
    TRY_DO(disk().make_directory(task, "d"));
    TRY_DO(disk().make_directory(task, "d"));
    TRY_DO(disk().make_directory(task, "d/e"));
    TRY_DO(disk().sync_directory(task, "d"));
    for (const char* name : {"d/b", "d/a10", "d/a2", "z", "d/B"}) TRY_DO(create(task, name));
    TRY_DO(expect_names(task, "", {"d", "z"}));
    TRY_DO(expect_names(task, "d", {"B", "a10", "a2", "b", "e"}));  // by bytes
    TRY_DO(expect_names(task, "d/e", {}));

    TRY(auto z, disk().open(task, "z", OpenMode::read_write));
    TRY_DO(z->write(task, 0, pattern(0, 10), Durability::buffered));
    TRY_DO(disk().rename(task, "z", "d/b"));  // replaces; handles stay with their file
    TRY_DO(expect_names(task, "", {"d"}));
    TRY(auto b, disk().open(task, "d/b", OpenMode::read_only));
    TRY_DO(expect_content(task, *b, pattern(0, 10)));
    TRY_DO(disk().rename(task, "d/a2", "d/e/a2"));
    TRY_DO(disk().remove(task, "d/a10"));
    TRY_DO(expect_names(task, "d", {"B", "b", "e"}));
    TRY_DO(expect_names(task, "d/e", {"a2"}));

    CHECK(disk().remove(task, "d/a10").is(Errc::not_found));
    CHECK(disk().rename(task, "d/a10", "x").is(Errc::not_found));
    CHECK(disk().rename(task, "d/b", "no/b").is(Errc::not_found));
    CHECK(disk().list(task, "no").is(Errc::not_found));
    CHECK(disk().sync_directory(task, "no").is(Errc::not_found));
    CHECK(disk().make_directory(task, "no/d").is(Errc::not_found));
    return {};
  });
}

void Suite::removed_files_stay_open() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    TRY_DO(file->write(task, 0, pattern(0, 10), Durability::buffered));
    TRY_DO(disk().remove(task, "a"));
    TRY_DO(file->write(task, 10, pattern(10, 10), Durability::synced));
    TRY_DO(expect_content(task, *file, pattern(0, 20)));
    TRY(auto other, create(task, "a"));  // a new file under the old name
    return expect_content(task, *other, {});
  });
}

void Suite::info_tells_files_apart() {
  run([&](Task& task) -> Result<> {
    TRY(auto a, create(task, "a"));
    TRY(auto b, create(task, "b"));
    TRY_DO(a->write(task, 0, pattern(0, 700), Durability::buffered));
    TRY(disk::FileInfo first, a->info(task));
    TRY(disk::FileInfo second, b->info(task));
    CHECK(first.size == 700);
    CHECK(first.inode != 0);
    CHECK(first.inode != second.inode);
    TRY(disk::FileInfo named, disk().info(task, "a"));
    CHECK(named == first);
    // Neither a new name nor new content makes another file of it.
    TRY_DO(a->write(task, 700, pattern(0, 1), Durability::synced));
    TRY_DO(disk().rename(task, "a", "c"));
    TRY(disk::FileInfo renamed, disk().info(task, "c"));
    CHECK(renamed == disk::FileInfo{701, first.inode, first.birth_ns});
    CHECK(disk().info(task, "a").is(Errc::not_found));
    CHECK(disk().info(task, "nowhere/a").is(Errc::not_found));
    // A file that takes its name is another one, and whoever has the first one open can tell.
    TRY(auto other, create(task, "a"));
    TRY_DO(disk().rename(task, "a", "c"));
    TRY(disk::FileInfo taken, disk().info(task, "c"));
    TRY(disk::FileInfo still, a->info(task));
    CHECK(taken.inode != still.inode);
    CHECK(still == renamed);
    // It stays the same file for a process that opens it later.
    a.reset();
    b.reset();
    TRY(auto again, disk().open(task, "b", OpenMode::read_only));
    CHECK(again->info(task) == second);
    return {};
  });
}

void Suite::the_lock_is_exclusive() {
  run([&](Task& task) -> Result<> {
    TRY(auto first, create(task, "lock"));
    TRY(auto second, create(task, "lock"));
    TRY(auto other, create(task, "other"));
    TRY_DO(first->lock());
    TRY_DO(first->lock());
    TRY_DO(other->lock());
    CHECK(second->lock().is(Errc::busy));
    TRY_DO(second->write(task, 0, pattern(0, 10), Durability::buffered));  // advisory
    first.reset();
    TRY_DO(second->lock());
    TRY(first, create(task, "lock"));
    CHECK(first->lock().is(Errc::busy));
    return {};
  });
}

void Suite::direct_access_is_aligned() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a", Caching::direct));
    const size_t unit = std::max<size_t>(file->alignment(), 512);
    CHECK((unit & (unit - 1)) == 0);
    CHECK((file->direct() || file->alignment() == 1));
    // Three pieces of one write, a synced one, then over its middle.
    SharedBytes bytes = SharedBytes::copy_of(pattern(0, 64 * unit), unit);
    ByteSpan all = bytes;
    const ByteSpan pieces[] = {all.first(unit), all.subspan(unit, 60 * unit), all.subspan(61 * unit)};
    TRY_DO(file->write(task, 0, pieces, Durability::synced));
    SharedBytes buffer = SharedBytes::allocate(65 * unit, unit);
    CHECK(file->read(task, 0, buffer.writable()) == 64 * unit);
    CHECK(equal(buffer.span().first(64 * unit), all));
    TRY_DO(file->write(task, 8 * unit, all.first(2 * unit), Durability::synced));
    CHECK(file->read(task, 8 * unit, buffer.writable().first(2 * unit)) == 2 * unit);
    CHECK(equal(buffer.span().first(2 * unit), all.first(2 * unit)));
    CHECK(file->read(task, 64 * unit, buffer.writable().first(unit)) == 0u);
    return {};
  });
}

void Suite::direct_and_cached_see_the_same() {
  run([&](Task& task) -> Result<> {
    TRY(auto cached, create(task, "a"));
    TRY(auto direct, create(task, "a", Caching::direct));
    const size_t unit = std::max<size_t>(direct->alignment(), 512);
    // A file whose end lies inside of a block: the direct read ends there.
    TRY_DO(cached->write(task, 0, pattern(0, 3 * unit + 100), Durability::synced));
    SharedBytes buffer = SharedBytes::allocate(8 * unit, unit);
    CHECK(direct->read(task, 0, buffer.writable()) == 3 * unit + 100);
    CHECK(matches_pattern(0, buffer.span().first(3 * unit + 100)));
    SharedBytes bytes = SharedBytes::copy_of(pattern(500, 4 * unit), unit);
    TRY_DO(direct->write(task, 0, bytes, Durability::synced));
    return expect_content(task, *cached, bytes);
  });
}

void Suite::tasks_at_the_same_time() {
  constexpr size_t kTasks = 8;
  constexpr size_t kRounds = 20;
  constexpr size_t kPiece = 5'000;
  std::unique_ptr<disk::File> shared;
  size_t ended = 0;
  for (size_t i = 0; i < kTasks; ++i)
    script_.task(f_.scheduler(), "writer", [&, i](Task& task) -> Result<> {
      TRY_DO(wait_until(task, [&] { return shared != nullptr; }));
      TRY(auto own, create(task, "own" + std::to_string(i)));
      for (size_t round = 0; round < kRounds; ++round) {
        uint64_t at = (round * kTasks + i) * kPiece;
        ByteVec piece = pattern(at, kPiece);
        TRY_DO(shared->write(task, at, piece, round % 3 == 0 ? Durability::synced : Durability::buffered));
        TRY_DO(own->write(task, round * kPiece, piece, Durability::buffered));
        ByteVec buffer(kPiece);
        TRY(size_t n, shared->read(task, at, buffer));
        CHECK(n == kPiece);
        CHECK(buffer == piece);
      }
      ++ended;
      return {};
    });
  run([&](Task& task) -> Result<> {
    TRY(shared, create(task, "shared"));
    TRY_DO(wait_until(task, [&] { return ended == kTasks; }));
    TRY_DO(expect_content(task, *shared, pattern(0, kTasks * kRounds * kPiece)));
    shared.reset();
    return {};
  });
}

void Suite::a_stop_does_not_interrupt() {
  run([&](Task& task) -> Result<> {
    TRY(auto file, create(task, "a"));
    bool written = false;
    TaskRef writer = f_.scheduler().spawn("writer", [&](Task& t) {
      // Stopped before it begins: the operations of a living node run to their end all the same.
      CHECK(t.stopping());
      CHECK(file->write(t, 0, pattern(0, 100'000), Durability::synced));
      CHECK(file->sync(t));
      written = true;
    });
    f_.scheduler().request_stop(writer);
    TRY_DO(wait_until(task, [&] { return written; }));
    return expect_content(task, *file, pattern(0, 100'000));
  });
}

void Suite::paths_stay_below_the_directory() {
  run([&](Task& task) -> Result<> {
    for (const char* path : {"/a", "../a", "d/../../a", "a//b", "a/", "."}) {
      CAPTURE(path);
      CHECK(create(task, path).is(Errc::invalid));
      CHECK(disk().make_directory(task, path).is(Errc::invalid));
      CHECK(disk().remove(task, path).is(Errc::invalid));
    }
    return {};
  });
}

}  // namespace

void disk_contract(DiskFixture& fixture) {
  Suite suite(fixture);
  SUBCASE("bytes read back") { suite.bytes_read_back(); }
  SUBCASE("a read ends at the end of the file") { suite.reads_end_at_the_end(); }
  SUBCASE("what was never written reads as zeros") { suite.gaps_are_zeros(); }
  SUBCASE("truncate cuts and extends") { suite.truncate_cuts_and_extends(); }
  SUBCASE("many pieces are one write") { suite.many_pieces_are_one_write(); }
  SUBCASE("synced writes and syncs") { suite.synced_writes_and_syncs(); }
  SUBCASE("open finds, makes, and keeps what is there") { suite.open_modes(); }
  SUBCASE("directories, rename, remove, and sorted lists") { suite.names(); }
  SUBCASE("a removed file lives on while it is open") { suite.removed_files_stay_open(); }
  SUBCASE("number and birth tell a file from any other") { suite.info_tells_files_apart(); }
  SUBCASE("the lock belongs to one open file, until it is closed") { suite.the_lock_is_exclusive(); }
  SUBCASE("direct access in aligned pieces") { suite.direct_access_is_aligned(); }
  SUBCASE("direct and cached access see the same bytes") { suite.direct_and_cached_see_the_same(); }
  SUBCASE("many tasks at the same time") { suite.tasks_at_the_same_time(); }
  SUBCASE("a stop does not interrupt an operation") { suite.a_stop_does_not_interrupt(); }
  SUBCASE("paths stay below the data directory") { suite.paths_stay_below_the_directory(); }
}

}  // namespace sg::contract
