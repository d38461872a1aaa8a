// base/rng.h: the same draws on every machine, independent streams, and bounds.
#include "base/rng.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <set>

namespace {

using namespace sg;

TEST_CASE("rng: draws are those of xoshiro256** keyed by splitmix64") {
  // Computed with an independent implementation of both papers.
  Rng zero(0);
  for (uint64_t expected : {0x99ec5f36cb75f2b4u, 0xbf6e1f784956452au, 0x1a5f849d4933e6e0u, 0x6aa594f1262d2d2cu})
    CHECK(zero.next() == expected);
  Rng other(42);
  for (uint64_t expected : {0x15780b2e0c2ec716u, 0x6104d9866d113a7eu, 0xae17533239e499a1u, 0xecb8ad4703b360a1u})
    CHECK(other.next() == expected);
  CHECK(Rng(42).split("disk").next() == 0xb312a6f881bea7e1u);
  CHECK(Rng(42).split("node", 3).next() == 0xa738039ea499427eu);
}

TEST_CASE("rng: a split depends on seed and name, not on what was drawn before") {
  CHECK(rc::check([](uint64_t seed, const std::string& name) {
    Rng fresh(seed);
    Rng used(seed);
    for (int i = *rc::gen::inRange(1, 20); i > 0; --i) used.next();
    RC_ASSERT(fresh.split(name).next() == used.split(name).next());
    RC_ASSERT(fresh.split(name, 5).next() == used.split(name, 5).next());
  }));
}

TEST_CASE("rng: streams of different names, numbers and seeds differ") {
  std::set<uint64_t> first;
  int streams = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng root(seed);
    first.insert(root.next());
    ++streams;
    for (const char* name : {"", "a", "b", "ab", "ba", "disk", "network"}) {
      first.insert(root.split(name).next());
      ++streams;
      for (uint64_t i = 0; i < 20; ++i, ++streams) first.insert(root.split(name, i).next());
    }
  }
  CHECK(first.size() == static_cast<size_t>(streams));
}

TEST_CASE("rng: below and between keep their bounds") {
  CHECK(rc::check([](uint64_t seed, uint64_t n, int64_t a, int64_t b) {
    Rng rng(seed);
    RC_ASSERT(rng.below(n | 1) < (n | 1));
    int64_t low = std::min(a, b);
    int64_t high = std::max(a, b);
    int64_t drawn = rng.between(low, high);
    RC_ASSERT(low <= drawn);
    RC_ASSERT(drawn <= high);
  }));
  Rng rng(1);
  CHECK(rng.below(1) == 0);
  CHECK(rng.between(-5, -5) == -5);
  rng.between(INT64_MIN, INT64_MAX);
  std::set<int64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(rng.between(-1, 2));
  CHECK(seen == std::set<int64_t>{-1, 0, 1, 2});
}

TEST_CASE("rng: log_between keeps its bounds and spreads over orders of magnitude") {
  CHECK(rc::check([](uint64_t seed) {
    int64_t low = *rc::gen::inRange<int64_t>(1, 1'000'000);
    int64_t high = *rc::gen::inRange<int64_t>(low, 1'000'000'000'000);
    int64_t drawn = Rng(seed).log_between(low, high);
    RC_ASSERT(low <= drawn);
    RC_ASSERT(drawn <= high);
  }));
  Rng rng(7);
  int small = 0;
  for (int i = 0; i < 10'000; ++i) small += rng.log_between(1, 1 << 20) < 1 << 10;
  CHECK(small > 4'000);
  CHECK(small < 6'000);
}

TEST_CASE("rng: chance is as likely as it says") {
  Rng rng(3);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += rng.chance(1, 4);
  CHECK(hits > 2'300);
  CHECK(hits < 2'700);
  CHECK_FALSE(rng.chance(0, 10));
  CHECK(rng.chance(10, 10));
}

}  // namespace
