// base/result.h, base/time.h and base/ids.h: errors travel as values, "never" stays never, and ids of two kinds do not mix.
#include "base/result.h"

#include <doctest/doctest.h>

#include <concepts>
#include <memory>

#include "base/ids.h"
#include "base/time.h"

namespace {

using namespace sg;

Result<std::unique_ptr<int>> make(bool good) {
  if (!good) return fail(Errc::not_found, "no such thing");
  return std::make_unique<int>(5);
}
Result<int> twice(bool good) {
  TRY(auto value, make(good));
  return *value * 2;
}
Result<> check(bool good) {
  TRY_DO(twice(good));
  return {};
}

TEST_CASE("result: TRY hands on the value or the error, moves what cannot be copied") {
  REQUIRE(twice(true));
  CHECK(*twice(true) == 10);
  CHECK(check(true).has_value());
  CHECK(check(false).is(Errc::not_found));
  CHECK(check(false).error().what == "no such thing");
  CHECK_FALSE(check(true).is(Errc::not_found));
  CHECK(check(false).code() == Errc::not_found);
}

TEST_CASE("result: every code has a name of its own") {
  std::string all;
  for (int i = 0; i <= static_cast<int>(Errc::unsupported); ++i) {
    std::string name(to_string(static_cast<Errc>(i)));
    CHECK(name != "?");
    CHECK(all.find("|" + name + "|") == std::string::npos);
    all += "|" + name + "|";
  }
}

TEST_CASE("time: never absorbs, and moments compare") {
  CHECK(Time::never() + 1h == Time::never());
  CHECK(Time{1} + 1ns == Time{2});
  CHECK(Time{5} - Time{2} == 3ns);
  CHECK(Time{5} < Time::never());
}

template <class A, class B>
concept Comparable = requires(A a, B b) {
  a == b;
};

TEST_CASE("ids: an Offset is neither a LogIndex nor a number") {
  static_assert(!Comparable<Offset, LogIndex>);
  static_assert(!std::convertible_to<Offset, int64_t>);
  static_assert(!std::convertible_to<int64_t, Offset>);
  CHECK(Offset(3) + 4 == Offset(7));
  CHECK(Offset(7) - Offset(3) == 4);
  CHECK(Offset(3) < Offset(4));
  Offset offset(1);
  CHECK(++offset == Offset(2));
  CHECK(fmt::format("{}", offset) == "2");
  CHECK(fmt::format("{}", Uuid{1, 0xab}) == "000000000000000100000000000000ab");
  CHECK(Uuid{}.is_zero());
  CHECK_FALSE(Uuid{0, 1}.is_zero());
}

}  // namespace
