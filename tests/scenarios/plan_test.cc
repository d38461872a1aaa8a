// The fault plan of a run: what is counted out from the seed visits everything, and what is drawn does not depend on it.
#include "scenarios/plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <tuple>

using namespace sg;
using namespace sg::scenario;

TEST_CASE("given a death at every call, then consecutive seeds visit every call of every node by every death, once, and begin again") {
  EveryCall every{
      .at = Time{0} + 2s, .targets = {"node1", "all"}, .deaths = {sim::Death::kill, sim::Death::power_cut}, .calls = 5, .down = 300ms};
  std::set<std::tuple<std::string, sim::Death, int64_t>> seen;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    sim::Fault f = fault_of(every, seed);
    CHECK(f.kind == sim::FaultKind::crash_point);
    CHECK(f.point == sim::CrashPoint::any_storage);
    CHECK(f.at == Time{0} + 2s);
    CHECK(f.duration == 300ms);
    CHECK(f.value >= 1);
    CHECK(f.value <= 5);
    CHECK(seen.insert({f.target, f.death, f.value}).second);
  }
  CHECK(seen.size() == 20);
  CHECK(fault_of(every, 21) == fault_of(every, 1));
}

TEST_CASE("given deaths in one of so many seeds, then those seeds visit every call in turn, and the others none") {
  Scenario s;
  s.every_call.push_back({.at = Time{0}, .targets = {"node1", "node2"}, .calls = 3, .one_in = 5});
  std::set<std::pair<std::string, int64_t>> seen;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    sim::FaultPlan plan = draw_plan(s, Rng(1), seed, Time{0}, Time{0} + 1s);
    REQUIRE(plan.faults.size() == (seed % 5 == 1 ? 1 : 0));
    if (!plan.faults.empty()) seen.insert({plan.faults[0].target, plan.faults[0].value});
  }
  CHECK(seen.size() == 6);
}

TEST_CASE("given moments, rules and counted deaths, then the plan holds all of them, by time, from the safety phase on") {
  Scenario s;
  s.faults.push_back({.kind = sim::FaultKind::kill});
  s.at.push_back({.at = Time{0} + 1s, .kind = sim::FaultKind::start, .target = "node3"});
  s.every_call.push_back({.at = Time{0}, .targets = {"node1"}});
  const Time begin = Time{0} + 4s;
  sim::FaultPlan plan = draw_plan(s, Rng(1), 7, begin, Time{0} + 20s);
  CHECK(std::ranges::is_sorted(plan.faults, {}, &sim::Fault::at));
  CHECK(plan.faults.front() == [&] {
    sim::Fault f = fault_of(s.every_call[0], 7);
    f.at = begin;
    return f;
  }());
  auto started = std::ranges::find(plan.faults, sim::FaultKind::start, &sim::Fault::kind);
  REQUIRE(started != plan.faults.end());
  CHECK(started->at == begin + 1s);
  std::erase_if(plan.faults, [](const sim::Fault& f) { return f.kind != sim::FaultKind::kill; });
  CHECK(plan == sim::draw_fault_plan(Rng(1), s.faults, begin, Time{0} + 20s));
}

TEST_CASE("given a second process somewhere in a scenario, then it needs spare machines, otherwise not") {
  Scenario s;
  s.faults.push_back({.kind = sim::FaultKind::operator_restore});
  CHECK_FALSE(needs_spares(s));
  s.at.push_back({.kind = sim::FaultKind::operator_twin});
  CHECK(needs_spares(s));
  s.at.clear();
  s.faults.push_back({.kind = sim::FaultKind::operator_twin_copy});
  CHECK(needs_spares(s));
}
