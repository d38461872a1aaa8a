// base/crc32c.h: published vectors, and the hardware path against its portable twin at every alignment and around every block size.
#include "base/crc32c.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <numeric>

#include "base/rng.h"

namespace {

using namespace sg;

// Bit by bit, from the definition of the polynomial.
uint32_t crc32c_by_definition(ByteSpan bytes, uint32_t crc = 0) {
  crc = ~crc;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0);
  }
  return ~crc;
}

ByteVec random_bytes(size_t n, uint64_t seed = 1) {
  Rng rng(seed);
  ByteVec bytes(n);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng.next());
  return bytes;
}

TEST_CASE("crc32c: the vectors of RFC 3720, appendix B.4") {
  ByteVec ascending(32);
  std::iota(ascending.begin(), ascending.end(), uint8_t{0});
  ByteVec descending(ascending.rbegin(), ascending.rend());
  for (auto* crc : {&crc32c, &crc32c_portable}) {
    CHECK(crc(ByteVec(32, 0x00), 0) == 0x8a9136aa);
    CHECK(crc(ByteVec(32, 0xff), 0) == 0x62a8ab43);
    CHECK(crc(ascending, 0) == 0x46dd794e);
    CHECK(crc(descending, 0) == 0x113fdb5c);
    CHECK(crc(as_bytes("123456789"), 0) == 0xe3069283);
    CHECK(crc({}, 0) == 0);
  }
}

TEST_CASE("crc32c: hardware, portable and definition agree at every short length and alignment") {
  ByteVec bytes = random_bytes(400);
  for (size_t from = 0; from < 16; ++from)
    for (size_t length = 0; length + from <= 300; length += length < 40 ? 1 : 7) {
      ByteSpan span = ByteSpan(bytes).subspan(from, length);
      uint32_t expected = crc32c_by_definition(span);
      REQUIRE(crc32c(span) == expected);
      REQUIRE(crc32c_portable(span) == expected);
    }
}

TEST_CASE("crc32c: they agree around powers of two, where the three streams begin and end") {
  ByteVec bytes = random_bytes((1 << 17) + 64);
  for (size_t power = 1 << 8; power <= 1 << 17; power *= 2)
    for (size_t multiple : {1u, 3u})
      for (int delta = -9; delta <= 9; ++delta) {
        size_t length = power * multiple + static_cast<size_t>(delta);
        if (length + 3 > bytes.size()) continue;
        ByteSpan span = ByteSpan(bytes).subspan(3, length);
        REQUIRE(crc32c(span) == crc32c_portable(span));
      }
}

TEST_CASE("crc32c: the checksum of two pieces is that of the whole, wherever it is cut") {
  ByteVec bytes = random_bytes(50'000, 9);
  uint32_t whole = crc32c(bytes);
  CHECK(rc::check([&] {
    size_t cut = *rc::gen::inRange<size_t>(0, bytes.size() + 1);
    ByteSpan span(bytes);
    RC_ASSERT(crc32c(span.subspan(cut), crc32c(span.first(cut))) == whole);
    RC_ASSERT(crc32c_portable(span.subspan(cut), crc32c(span.first(cut))) == whole);
  }));
}

TEST_CASE("crc32c: one flipped bit anywhere changes it") {
  ByteVec bytes = random_bytes(5'000, 4);
  uint32_t whole = crc32c(bytes);
  CHECK(rc::check([&] {
    ByteVec damaged = bytes;
    damaged[*rc::gen::inRange<size_t>(0, bytes.size())] ^= static_cast<uint8_t>(1 << *rc::gen::inRange(0, 8));
    RC_ASSERT(crc32c(damaged) != whole);
  }));
}

}  // namespace
