// base/bytes.h: readers that never leave their span, writers that are their inverse, and shared slices.
#include "base/bytes.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/base/death.h"

namespace {

using namespace sg;

ByteVec written(auto&& write) {
  ByteVec out;
  ByteWriter writer(out);
  write(writer);
  return out;
}

TEST_CASE("bytes: integers are written in the order that they name") {
  CHECK(to_hex(written([](ByteWriter& w) { w.be(uint32_t{0x01020304}); })) == "01020304");
  CHECK(to_hex(written([](ByteWriter& w) { w.le(uint32_t{0x01020304}); })) == "04030201");
  CHECK(to_hex(written([](ByteWriter& w) { w.be(int16_t{-2}); })) == "fffe");
  CHECK(to_hex(written([](ByteWriter& w) { w.be(uint8_t{7}); })) == "07");
  CHECK(to_hex(written([](ByteWriter& w) { w.zeros(2); })) == "0000");
}

TEST_CASE("bytes: what a writer wrote a reader reads") {
  CHECK(rc::check([](int8_t a, uint16_t b, int32_t c, uint64_t d, int64_t e, uint32_t f, const ByteVec& tail) {
    ByteVec bytes = written(
        [&](ByteWriter& w) { w.be(a), w.be(b), w.le(c), w.be(d), w.varint(e), w.uvarint(d), w.uvarint(f), w.varint(c), w.bytes(tail); });
    ByteReader r(bytes);
    RC_ASSERT(r.be<int8_t>() == a);
    RC_ASSERT(r.be<uint16_t>() == b);
    RC_ASSERT(r.le<int32_t>() == c);
    RC_ASSERT(r.be<uint64_t>() == d);
    RC_ASSERT(r.varint64() == e);
    RC_ASSERT(r.uvarint64() == d);
    RC_ASSERT(r.uvarint32() == f);
    RC_ASSERT(r.varint32() == c);
    RC_ASSERT(equal(r.rest(), tail));
    RC_ASSERT(r.ok());
    RC_ASSERT(r.remaining() == 0u);
  }));
}

TEST_CASE("bytes: varints are Kafka's") {
  CHECK(to_hex(written([](ByteWriter& w) { w.uvarint(300); })) == "ac02");
  CHECK(to_hex(written([](ByteWriter& w) { w.varint(0); })) == "00");
  CHECK(to_hex(written([](ByteWriter& w) { w.varint(-1); })) == "01");
  CHECK(to_hex(written([](ByteWriter& w) { w.varint(1); })) == "02");
  CHECK(to_hex(written([](ByteWriter& w) { w.varint(INT32_MIN); })) == "ffffffff0f");
  CHECK(to_hex(written([](ByteWriter& w) { w.varint(INT64_MIN); })) == "ffffffffffffffffff01");
}

TEST_CASE("bytes: a varint that is too long, too large or cut fails, and gives zero") {
  auto fails32 = [](ByteVec bytes) {
    ByteReader r(bytes);
    return r.uvarint32() == 0 && !r.ok() && r.remaining() == 0;
  };
  auto fails64 = [](ByteVec bytes) {
    ByteReader r(bytes);
    return r.uvarint64() == 0 && !r.ok() && r.remaining() == 0;
  };
  CHECK(fails32({}));
  CHECK(fails32({0x80}));
  CHECK(fails32({0xff, 0xff, 0xff, 0xff}));
  CHECK(fails32({0xff, 0xff, 0xff, 0xff, 0x10}));              // 33 bits
  CHECK(fails32({0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));        // 6 bytes
  CHECK(fails64({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}));  // cut
  CHECK(fails64({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}));
  CHECK(fails64({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}));

  ByteVec largest{0xff, 0xff, 0xff, 0xff, 0x0f};
  ByteReader r(largest);
  CHECK(r.uvarint32() == UINT32_MAX);
  CHECK(r.ok());
}

TEST_CASE("bytes: a read beyond the end gives zero, latches, and consumes what is left") {
  ByteVec bytes{1, 2, 3};
  ByteReader r(bytes);
  CHECK(r.be<uint16_t>() == 0x0102);
  CHECK(r.be<uint16_t>() == 0);
  CHECK_FALSE(r.ok());
  CHECK(r.remaining() == 0);
  CHECK(r.be<uint8_t>() == 0);
  CHECK(r.bytes(1).empty());
  CHECK_FALSE(r.ok());

  ByteReader whole(bytes);
  CHECK(whole.bytes(SIZE_MAX).empty());
  CHECK_FALSE(whole.ok());
}

TEST_CASE("bytes: no sequence of reads leaves the span") {
  CHECK(rc::check([](const ByteVec& bytes) {
    ByteVec exact(bytes.begin(), bytes.end());  // AddressSanitizer sees a read past its capacity
    exact.shrink_to_fit();
    ByteReader r(exact);
    while (r.ok() && r.remaining() > 0) {
      size_t before = r.remaining();
      switch (*rc::gen::inRange(0, 6)) {
        case 0: r.be<uint64_t>(); break;
        case 1: r.le<uint16_t>(); break;
        case 2: r.uvarint32(); break;
        case 3: r.varint64(); break;
        case 4: r.bytes(*rc::gen::inRange<size_t>(1, 10)); break;
        default: r.be<uint8_t>();
      }
      RC_ASSERT(r.remaining() < before);
    }
  }));
}

TEST_CASE("bytes: an empty span is readable and comparable") {
  ByteReader r({});
  CHECK(r.rest().empty());
  CHECK(r.ok());
  CHECK(equal({}, {}));
  CHECK_FALSE(equal({}, as_bytes("a")));
  CHECK(as_text({}).empty());
}

TEST_CASE("shared bytes: slices share one block and keep it alive") {
  SharedBytes slice;
  {
    SharedBytes block = SharedBytes::copy_of(as_bytes("hello world"));
    slice = block.slice(6);
    CHECK(block.use_count() == 2);
    SharedBytes copy = block;
    CHECK(copy.data() == block.data());
    CHECK(block.use_count() == 3);
  }
  CHECK(as_text(slice) == "world");
  CHECK(slice.use_count() == 1);
  CHECK(slice.block_size() == 11);
  CHECK(as_text(slice.slice(1, 3)) == "orl");
}

TEST_CASE("shared bytes: moved-from and default are empty; assignment to itself keeps it") {
  SharedBytes a = SharedBytes::copy_of(as_bytes("x"));
  SharedBytes b = std::move(a);
  CHECK(a.empty());
  CHECK(a.use_count() == 0);
  SharedBytes& same = b;
  b = same;
  CHECK(as_text(b) == "x");
  CHECK(b.use_count() == 1);
  CHECK(SharedBytes().slice(0).empty());
}

TEST_CASE("shared bytes: blocks are aligned as asked for, also when empty") {
  for (size_t alignment : {1u, 16u, 512u, 4096u})
    for (size_t size : {0u, 1u, 5000u}) CHECK(reinterpret_cast<uintptr_t>(SharedBytes::allocate(size, alignment).data()) % alignment == 0);
}

TEST_CASE("shared bytes: what the owner writes, all slices see") {
  SharedBytes block = SharedBytes::copy_of(as_bytes("abc"));
  SharedBytes slice = block.slice(1);
  block.writable()[1] = 'X';
  CHECK(as_text(slice) == "Xc");
}

TEST_CASE("shared bytes: a slice beyond the end is a bug") {
  SharedBytes block = SharedBytes::copy_of(as_bytes("abc"));
  CHECK(test::death_of([&] { (void)block.slice(2, 2); }).find("slice [2, +2) of 3") != std::string::npos);
  CHECK(test::death_of([&] { (void)block.slice(1, SIZE_MAX); }).find("of 3") != std::string::npos);
}

}  // namespace
