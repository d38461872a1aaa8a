#include "base/rng.h"

#include <bit>

namespace sg {
namespace {

__extension__ using Wide = unsigned __int128;

uint64_t splitmix64(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(uint64_t seed) : key_(seed) {
  uint64_t sm = seed;
  for (uint64_t& word : state_) word = splitmix64(sm);
}

Rng Rng::split(std::string_view name) const {
  // The key is mixed first: seeds that differ in a few low bits must not meet in names that differ in the same bits ("a" under 0 and
  // "b" under 3).
  uint64_t key = key_;
  uint64_t hash = splitmix64(key) ^ 0xcbf29ce484222325u;
  for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;  // FNV-1a
  return Rng(splitmix64(hash));
}

Rng Rng::split(std::string_view name, uint64_t index) const {
  uint64_t mixed = split(name).key_ + index * 0x9e3779b97f4a7c15u;
  return Rng(splitmix64(mixed));
}

uint64_t Rng::next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Rng::below(uint64_t n) {
  ENSURE(n > 0);
  // Lemire's multiplication; the bias of at most n / 2^64 does not matter for choosing faults.
  return static_cast<uint64_t>((static_cast<Wide>(next()) * n) >> 64);
}

int64_t Rng::log_between(int64_t low, int64_t high) {
  ENSURE(low > 0 && low <= high, "log_between({}, {})", low, high);
  int low_bits = std::bit_width(static_cast<uint64_t>(low));
  int high_bits = std::bit_width(static_cast<uint64_t>(high));
  int bits = static_cast<int>(between(low_bits, high_bits));
  int64_t from = bits == low_bits ? low : int64_t{1} << (bits - 1);
  int64_t to = bits == high_bits ? high : (int64_t{1} << bits) - 1;
  return between(from, to);
}

}  // namespace sg
