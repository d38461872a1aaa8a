#include "base/crc32c.h"

#include <array>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace sg {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78u;  // reflected

using Table = std::array<std::array<uint32_t, 256>, 8>;

constexpr Table make_table() {
  Table t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ (crc & 1 ? kPolynomial : 0);
    t[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; ++i)
    for (size_t k = 1; k < 8; ++k) t[k][i] = (t[k - 1][i] >> 8) ^ t[0][t[k - 1][i] & 0xff];
  return t;
}

constexpr Table kTable = make_table();

// Raw register update, without the inversions at both ends.
uint32_t update_portable(uint32_t crc, const uint8_t* p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word = load_le<uint64_t>(p) ^ crc;
    crc = 0;
    for (size_t k = 0; k < 8; ++k) crc ^= kTable[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; n > 0; ++p, --n) crc = (crc >> 8) ^ kTable[0][(crc ^ *p) & 0xff];
  return crc;
}

#if defined(__x86_64__)

// Multiplying the register by x^(8 * kLane) moves it past kLane zero bytes; it is linear, so four tables do it.
constexpr size_t kLane = 1024;
using ShiftTable = std::array<std::array<uint32_t, 256>, 4>;

constexpr uint32_t shift_bits_by_lane(uint32_t crc) {
  for (size_t i = 0; i < kLane; ++i) crc = (crc >> 8) ^ kTable[0][crc & 0xff];
  return crc;
}

ShiftTable make_shift_table() {
  ShiftTable t{};
  std::array<uint32_t, 32> bit{};
  for (size_t b = 0; b < 32; ++b) bit[b] = shift_bits_by_lane(uint32_t{1} << b);
  for (size_t k = 0; k < 4; ++k)
    for (size_t i = 0; i < 256; ++i) {
      uint32_t value = 0;
      for (size_t b = 0; b < 8; ++b)
        if (i & (size_t{1} << b)) value ^= bit[8 * k + b];
      t[k][i] = value;
    }
  return t;
}

const ShiftTable& shift_table() {
  static const ShiftTable table = make_shift_table();
  return table;
}

uint32_t shift_by_lane(const ShiftTable& t, uint32_t crc) {
  return t[0][crc & 0xff] ^ t[1][(crc >> 8) & 0xff] ^ t[2][(crc >> 16) & 0xff] ^ t[3][crc >> 24];
}

__attribute__((target("sse4.2"))) uint32_t update_hardware(uint32_t crc32, const uint8_t* p, size_t n) {
  uint64_t a = crc32;
  if (n >= 3 * kLane) {
    const ShiftTable& shift = shift_table();
    do {
      uint64_t b = 0;
      uint64_t c = 0;
      for (size_t i = 0; i < kLane; i += 8) {
        a = _mm_crc32_u64(a, load_le<uint64_t>(p + i));
        b = _mm_crc32_u64(b, load_le<uint64_t>(p + kLane + i));
        c = _mm_crc32_u64(c, load_le<uint64_t>(p + 2 * kLane + i));
      }
      a = shift_by_lane(shift, static_cast<uint32_t>(a)) ^ b;
      a = shift_by_lane(shift, static_cast<uint32_t>(a)) ^ c;
      p += 3 * kLane;
      n -= 3 * kLane;
    } while (n >= 3 * kLane);
  }
  for (; n >= 8; p += 8, n -= 8) a = _mm_crc32_u64(a, load_le<uint64_t>(p));
  uint32_t crc = static_cast<uint32_t>(a);
  for (; n > 0; ++p, --n) crc = _mm_crc32_u8(crc, *p);
  return crc;
}

bool has_hardware() {
  static const bool has = __builtin_cpu_supports("sse4.2");
  return has;
}

#endif

}  // namespace

uint32_t crc32c_portable(ByteSpan bytes, uint32_t crc) { return ~update_portable(~crc, bytes.data(), bytes.size()); }

uint32_t crc32c(ByteSpan bytes, uint32_t crc) {
#if defined(__x86_64__)
  if (has_hardware()) [[likely]]
    return ~update_hardware(~crc, bytes.data(), bytes.size());
#endif
  return crc32c_portable(bytes, crc);
}

}  // namespace sg
