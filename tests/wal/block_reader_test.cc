// What recovery reads of a segment: the right bytes, each once as long as it goes forwards, and zeros where there are none.
#include "broker/wal/block_reader.h"

#include <doctest/doctest.h>

#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kBlocks = 40;

struct Fixture {
  World world;
  MemoryDisk disk;
  ByteVec content;

  explicit Fixture(size_t bytes = kBlocks * kBlock) {
    for (size_t i = 0; i < bytes; ++i) content.push_back(static_cast<uint8_t>(i * 7 + i / kBlock));
    disk.names["f"] = std::make_shared<Inode>();
    disk.at("f").now = content;
  }
  // Runs `body` with a reader of the file.
  template <class F>
  void read(size_t window_bytes, F body) {
    world.run([&](Task& task) {
      auto file = disk.open(task, "f", disk::OpenMode::read_only, disk::Caching::direct);
      REQUIRE(file.has_value());
      BlockReader reader(kBlock, window_bytes);
      reader.turn_to(**file, content.size());
      body(task, reader);
    });
  }
  void expect(Task& task, BlockReader& reader, uint64_t offset, size_t length) {
    auto got = reader.range(task, offset, length);
    REQUIRE(got.has_value());
    ByteVec wanted(length, uint8_t{0});
    for (size_t i = 0; i < length && offset + i < content.size(); ++i) wanted[i] = content[offset + i];
    CHECK(equal(*got, wanted));
  }
};

}  // namespace

TEST_CASE("given ranges that go forwards and overlap, each byte of the file is read once") {
  for (size_t window : {size_t{0}, kBlock, 3 * kBlock, 100 * kBlock}) {
    Fixture f;
    f.read(window, [&](Task& task, BlockReader& reader) {
      for (uint64_t at = 0; at < kBlocks; at += 5) {  // commits of five blocks: header, payload, trailer
        f.expect(task, reader, at * kBlock, kBlock);
        f.expect(task, reader, at * kBlock + 175, 4 * kBlock);
        f.expect(task, reader, (at + 4) * kBlock, kBlock);
      }
    });
    CHECK(f.disk.bytes_read == f.content.size());
  }
}

TEST_CASE("given a window of nothing, no more than the blocks that are asked for is read") {
  Fixture f;
  f.read(0, [&](Task& task, BlockReader& reader) {
    f.expect(task, reader, 0, kBlock);
    CHECK(f.disk.bytes_read == kBlock);
    f.expect(task, reader, 10 * kBlock + 100, kBlock);
    CHECK(f.disk.bytes_read == 3 * kBlock);
  });
}

TEST_CASE("given ranges behind the end of the file or before the last one, the bytes are right") {
  Fixture f(5 * kBlock);
  f.read(2 * kBlock, [&](Task& task, BlockReader& reader) {
    f.expect(task, reader, 4 * kBlock, kBlock);
    f.expect(task, reader, 4 * kBlock + 10, 3 * kBlock);
    f.expect(task, reader, kBlock, 2 * kBlock);
    f.expect(task, reader, 20 * kBlock, kBlock);
    CHECK(reader.unreadable_blocks() == 0);
  });
}

TEST_CASE("given a block that the device refuses, it reads as zeros and is counted once, and its neighbours are whole") {
  Fixture f;
  f.disk.at("f").unreadable.insert(6);
  std::fill_n(f.content.begin() + 6 * kBlock, kBlock, uint8_t{0});
  f.read(8 * kBlock, [&](Task& task, BlockReader& reader) {
    f.expect(task, reader, 0, 3 * kBlock);
    f.expect(task, reader, 5 * kBlock, 6 * kBlock);
    f.expect(task, reader, 6 * kBlock, 20 * kBlock);
    CHECK(reader.unreadable_blocks() == 1);
  });
}
