// `stormglass diff`: runs named by scenario and seed, and by the file of a run.
#include "scenarios/diff.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>

#include "scenarios/run.h"
#include "scenarios/scenario_file.h"
#include "sim/trace_file.h"

using namespace sg;
using namespace sg::scenario;

TEST_CASE("a run equals its own trace file, and another seed differs from it at the first event") {
  const std::string scenario = scenario_folder() + "/calm.toml";
  const std::string file = "/tmp/stormglass-diff-" + std::to_string(::getpid());
  {
    auto loaded = find_scenario(scenario);
    REQUIRE(loaded.has_value());
    auto trace = sim::FileTrace::create(file);
    REQUIRE(trace.has_value());
    sim::Pools pools;
    CHECK(run_once(*loaded, 1, pools, {.plan = nullptr, .trace = trace->get()}).verdict == Verdict::pass);
  }
  auto same = diff_runs(scenario + ":1", file);
  REQUIRE(same.has_value());
  CHECK(same->events_a > 1000);
  CHECK(same->events_a == same->events_b);
  CHECK_FALSE(same->at.has_value());

  auto other = diff_runs(scenario + ":2", file);
  std::remove(file.c_str());
  REQUIRE(other.has_value());
  REQUIRE(other->at.has_value());
  CHECK(*other->at < 100);
  CHECK(other->text.find(scenario + ":2:\n") != std::string::npos);

  CHECK(diff_runs("calmm:1", file).is(Errc::not_found));
  CHECK(diff_runs("/no/such/file", file).is(Errc::not_found));
}
