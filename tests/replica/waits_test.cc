// Waits: what is answered when, in which order.
#include "broker/replica/waits.h"

#include <doctest/doctest.h>

#include "tests/replica/timeline.h"

namespace sg::replica::test {

namespace {
Lines lines(const Output& out) {
  Lines all;
  for (const Action& a : out.actions) all.push_back(to_line(a));
  return all;
}
}  // namespace

TEST_CASE("given waits in any order of their ends, they are answered by end, and equals by arrival") {
  Waits waits;
  waits.add(Offset(3), Token(1), Offset(0), Time{0}, Time{100});
  waits.add(Offset(6), Token(2), Offset(3), Time{0}, Time{100});
  waits.add(Offset(3), Token(3), Offset(0), Time{0}, Time{100});
  Output out;
  waits.reach(Offset(2), out);
  CHECK(lines(out) == Lines{});
  waits.reach(Offset(5), out);
  CHECK(lines(out) == Lines{"complete 1 ok at 0", "complete 3 ok at 0"});
  CHECK(waits.size() == 1);
}

TEST_CASE("given deadlines that pass, exactly those are answered, and the next is known") {
  Waits waits;
  CHECK(waits.deadline() == Time::never());
  waits.add(Offset(1), Token(1), Offset(0), Time{0}, Time{50});
  waits.add(Offset(2), Token(2), Offset(1), Time{0}, Time{10});
  waits.add(Offset(3), Token(3), Offset(2), Time{0}, Time{30});
  CHECK(waits.deadline() == Time{10});
  Output out;
  waits.expire(Time{9}, Outcome::request_timed_out, out);
  CHECK(lines(out) == Lines{});
  waits.expire(Time{30}, Outcome::request_timed_out, out);
  CHECK(lines(out) == Lines{"complete 2 request_timed_out at 1", "complete 3 request_timed_out at 2"});
  CHECK(waits.deadline() == Time{50});
  waits.fail(Outcome::not_leader, out);
  CHECK(waits.deadline() == Time::never());
}

TEST_CASE("given waits of different ages, exactly the old ones are let go, and the oldest of the rest is known") {
  Waits waits;
  CHECK(waits.oldest() == Time::never());
  waits.add(Offset(1), Token(1), Offset(0), Time{10}, Time{100});
  waits.add(Offset(3), Token(2), Offset(1), Time{20}, Time{100});
  waits.add(Offset(1), Token(3), Offset(0), Time{30}, Time{100});  // the retry of the first
  CHECK(waits.oldest() == Time{10});
  Output out;
  waits.let_go(Time{9}, Outcome::controller_silent, out);
  CHECK(lines(out) == Lines{});
  waits.let_go(Time{20}, Outcome::controller_silent, out);
  CHECK(lines(out) == Lines{"complete 1 controller_silent at 0", "complete 2 controller_silent at 1"});
  CHECK(waits.oldest() == Time{30});
  CHECK(waits.size() == 1);
}

}  // namespace sg::replica::test
