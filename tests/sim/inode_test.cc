// One simulated file against a dumb twin: the twin keeps, per byte, every value that the medium may hold.
#include "sim/inode.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <set>

namespace sg::sim {
namespace {

WriteImage image_of(PagePool& pool, uint64_t offset, ByteSpan bytes) { return WriteImage::copy_of(pool, offset, {&bytes, 1}); }

ByteVec contents(const Inode& inode) {
  ByteVec bytes(inode.size());
  inode.read(0, bytes);
  return bytes;
}

// Sizes are fixed in the twin's runs (one synced zero byte at the end), so that only the data is in question.
constexpr uint64_t kBytes = 3 * kPageBytes;

struct Twin {
  ByteVec now = ByteVec(kBytes);
  std::vector<std::set<int>> media = std::vector<std::set<int>>(kBytes, {0});  // what each byte may be after a cut without garbage
  std::vector<bool> certain = std::vector<bool>(kBytes, true);

  void write(uint64_t offset, ByteSpan bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      now[offset + i] = bytes[i];
      media[offset + i].insert(bytes[i]);
    }
    doubt(offset, bytes.size());
  }
  void doubt(uint64_t offset, uint64_t length) {
    for (uint64_t b = offset / kSectorBytes * kSectorBytes; b < (offset + length + kSectorBytes - 1) / kSectorBytes * kSectorBytes; ++b)
      certain[b] = false;
  }
  void settle(uint64_t b) {
    media[b] = {now[b]};
    certain[b] = true;
  }
};

TEST_CASE("given any writes and syncs, a power cut leaves what was synced and mixes only what was not") {
  CHECK(rc::check("inode against twin", [](uint64_t seed) {
    Rng rng(seed);
    PagePool pool;
    Inode inode(pool, 1);
    Twin twin;
    uint8_t zero = 0;
    inode.write(image_of(pool, kBytes - 1, {&zero, 1}), true, rng);
    for (int step = 0; step < 30; ++step) {
      uint64_t action = rng.below(10);
      if (action < 6) {
        uint64_t length = 1 + rng.below(rng.chance(1, 3) ? 5000 : 700);
        uint64_t offset = rng.below(kBytes - std::min(length, kBytes - 1));
        if (rng.chance(1, 2)) offset = offset / kSectorBytes * kSectorBytes;
        ByteVec bytes(std::min(length, kBytes - offset), static_cast<uint8_t>(1 + rng.below(250)));
        bool through = rng.chance(1, 4);
        inode.write(image_of(pool, offset, bytes), through, rng);
        twin.write(offset, bytes);
        if (through)  // whole sectors go to the medium
          for (uint64_t b = offset / kSectorBytes * kSectorBytes;
               b < std::min(kBytes, (offset + bytes.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes); ++b)
            twin.settle(b);
      } else if (action < 8) {
        inode.end_flush(inode.begin_flush());
        for (uint64_t b = 0; b < kBytes; ++b) twin.settle(b);
      } else {
        uint64_t offset = rng.below(kBytes);
        uint64_t length = 1 + rng.below(kBytes - offset);
        bool certain = true;
        for (uint64_t b = offset; b < offset + length; ++b) certain = certain && twin.certain[b];
        RC_ASSERT(inode.survives(offset, length) == certain);
      }
      RC_ASSERT(contents(inode) == twin.now);
    }
    CutCount count;
    CutOdds no_tearing{1, 1, 0};
    bool tear = rng.chance(1, 2);
    inode.cut(tear ? CutOdds{1, 1, 1} : no_tearing, rng, count);
    RC_ASSERT(inode.size() == kBytes);
    ByteVec after = contents(inode);
    for (uint64_t b = 0; b < kBytes; ++b) {
      if (twin.certain[b]) RC_ASSERT(after[b] == twin.now[b]);
      if (!tear) RC_ASSERT(twin.media[b].contains(after[b]));
    }
    RC_ASSERT(inode.survives(0, kBytes));
    RC_ASSERT((count.torn > 0) <= tear);
  }));
}

TEST_CASE("given a flush under way, a write after its beginning is not covered by it") {
  PagePool pool;
  Rng rng(1);
  Inode inode(pool, 1);
  ByteVec old_bytes(kPageBytes, 1), new_bytes(kPageBytes, 2);
  inode.write(image_of(pool, 0, old_bytes), false, rng);
  FlushImage flush = inode.begin_flush();
  CHECK(Inode::covers(flush, 0, 1));
  inode.write(image_of(pool, 0, new_bytes), false, rng);
  inode.end_flush(flush);
  CHECK_FALSE(inode.survives(0, kPageBytes));
  CutCount count;
  inode.cut({0, 1, 0}, rng, count);
  CHECK(contents(inode) == old_bytes);
}

TEST_CASE("given a flush under way, a synced write that overtakes it is not undone") {
  PagePool pool;
  Rng rng(1);
  Inode inode(pool, 1);
  ByteVec old_bytes(kPageBytes, 1), new_bytes(2 * kPageBytes, 2);
  inode.write(image_of(pool, 0, old_bytes), false, rng);
  FlushImage flush = inode.begin_flush();
  WriteImage newer = image_of(pool, 0, new_bytes);
  inode.write(newer, true, rng);
  flush.forget(newer);
  inode.end_flush(flush);
  CHECK(inode.survives(0, 2 * kPageBytes));
  CutCount count;
  inode.cut({0, 1, 0}, rng, count);
  CHECK(contents(inode) == new_bytes);
}

TEST_CASE("given a failed flush, the next one succeeds and the data is gone") {
  PagePool pool;
  Rng rng(3);
  Inode inode(pool, 1);
  ByteVec bytes(kPageBytes, 7);
  inode.write(image_of(pool, 0, bytes), false, rng);
  inode.fail_flush(inode.begin_flush(), false, rng);
  CHECK(contents(inode) == bytes);
  CHECK_FALSE(inode.has_dirty());
  inode.end_flush(inode.begin_flush());
  CHECK_FALSE(inode.survives(0, kPageBytes));
  CutCount count;
  inode.cut({1, 0, 0}, rng, count);
  CHECK(contents(inode) != bytes);
}

TEST_CASE("given a failed flush or write without a cache between, what is read is what the medium has") {
  for (bool through : {true, false}) {
    PagePool pool;
    Rng rng(3);
    Inode inode(pool, 1);
    ByteVec bytes(kPageBytes, 7);
    inode.write(image_of(pool, 0, ByteVec(kPageBytes, 1)), true, rng);
    if (through) {
      inode.fail_write_through(image_of(pool, 0, bytes), true, rng);
    } else {
      inode.write(image_of(pool, 0, bytes), false, rng);
      inode.fail_flush(inode.begin_flush(), true, rng);
    }
    CHECK(contents(inode) != bytes);
    CHECK(inode.survives(0, kPageBytes));
  }
}

TEST_CASE("given a truncation that was not synced, a power cut may bring the old bytes back; synced, it may not") {
  bool old_size_seen = false, new_size_seen = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    for (bool synced : {false, true}) {
      PagePool pool;
      Rng rng(seed);
      Inode inode(pool, 1);
      ByteVec bytes(2 * kPageBytes, 7);
      inode.write(image_of(pool, 0, bytes), true, rng);
      inode.truncate(kSectorBytes);  // a cut within a sector rewrites that sector, which may tear
      CHECK(inode.survives(0, kSectorBytes));
      if (synced) inode.end_flush(inode.begin_flush());
      CutCount count;
      inode.cut({1, 1, 1}, rng, count);
      if (synced) {
        CHECK(contents(inode) == ByteVec(kSectorBytes, 7));
      } else {
        old_size_seen |= inode.size() == 2 * kPageBytes;
        new_size_seen |= inode.size() == kSectorBytes;
      }
    }
  }
  CHECK(old_size_seen);
  CHECK(new_size_seen);
}

TEST_CASE("given a file that shrank and grew, the bytes in between read as zeros") {
  PagePool pool;
  Rng rng(1);
  Inode inode(pool, 1);
  ByteVec bytes(kPageBytes + 100, 7);
  inode.write(image_of(pool, 0, bytes), true, rng);
  inode.truncate(10);
  inode.truncate(kPageBytes + 100);
  ByteVec expected(kPageBytes + 100);
  std::fill_n(expected.begin(), 10, 7);
  CHECK(contents(inode) == expected);
}

TEST_CASE("given 4 MiB of zeros, the file costs no page") {
  PagePool pool;
  Rng rng(1);
  Inode inode(pool, 1);
  ByteVec zeros(1 << 20);
  for (int i = 0; i < 4; ++i) inode.write(image_of(pool, static_cast<uint64_t>(i) << 20, zeros), true, rng);
  CHECK(inode.size() == 4 << 20);
  CHECK(pool.in_use() == 0);
}

}  // namespace
}  // namespace sg::sim
