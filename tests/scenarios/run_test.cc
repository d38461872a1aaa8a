// Whole runs of small scenarios: which verdict they get. What cannot be judged is never a pass.
#include "scenarios/run.h"

#include <doctest/doctest.h>

#include "scenarios/judge.h"
#include "scenarios/workloads/consume.h"
#include "scenarios/workloads/duties.h"
#include "scenarios/workloads/produce.h"
#include "scenarios/world/cluster.h"
#include "sim/trace.h"
#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;

namespace {

// Three nodes, one topic, one producer and one consumer, two seconds, no faults.
Scenario tiny() {
  Scenario s;
  s.name = "tiny";
  s.cluster.topics = {{.name = "orders", .partitions = 1, .replicas = 3, .min_insync = 2}};
  s.workloads = {{.what = std::make_shared<Produce>()}, {.what = std::make_shared<Consume>()}};
  s.phases.safety = {2s, 2s};
  return s;
}

sim::Fault fault(sim::FaultKind kind, std::string target) {
  sim::Fault f;
  f.at = Time{0} + 200ms;
  f.kind = kind;
  f.target = std::move(target);
  f.duration = 300ms;
  return f;
}

RunRecord run(const Scenario& scenario) {
  sim::Pools pools;
  return run_once(scenario, 1, pools);
}

std::string failure_of(const Scenario& scenario) {
  RunRecord result = run(scenario);
  CHECK(result.verdict == (result.check.empty() ? Verdict::pass : Verdict::fail));
  return result.check;
}

}  // namespace

TEST_CASE("given a small scenario, when it is run, then it passes, with and without a fault") {
  RunRecord result = run(tiny());
  CHECK(result.verdict == Verdict::pass);
  CHECK(result.acked > 0);
  Scenario s = tiny();
  s.at = {fault(sim::FaultKind::kill, "leader")};
  result = run(s);
  CHECK(result.verdict == Verdict::pass);
  CHECK(result.faults_struck == 1);
}

TEST_CASE("given no workload, then the probe's own writes make no verdict") {
  Scenario s = tiny();
  s.workloads.clear();
  RunRecord result = run(s);
  CHECK(result.verdict == Verdict::vacuous);
  CHECK(result.check == "no write of a workload was acknowledged");
  CHECK(result.acked == 0);
  CHECK(verdict_line(result).starts_with("FAIL tiny:1 "));
}

TEST_CASE("given a plan whose only fault finds no target, then the run is not judged; beside one that strikes, it is") {
  Scenario s = tiny();
  s.at = {fault(sim::FaultKind::kill, "leader(nobody-0)")};
  RunRecord result = run(s);
  CHECK(result.verdict == Verdict::vacuous);
  CHECK(result.check == "none of the 1 faults of the plan struck");
  s.at.push_back(fault(sim::FaultKind::kill, "leader"));
  CHECK(run(s).verdict == Verdict::pass);
}

TEST_CASE("given a crash point that is armed and never passed, then no fault has struck; where it is passed, one has") {
  for (bool passed : {false, true}) {
    Scenario s = tiny();
    s.at = {fault(sim::FaultKind::crash_point, "leader")};
    s.at[0].point = sim::CrashPoint::after_write;
    s.at[0].value = passed ? 5 : 1'000'000;
    RunRecord result = run(s);
    CHECK(result.faults_struck == (passed ? 1 : 0));
    CHECK(result.verdict == (passed ? Verdict::pass : Verdict::vacuous));
  }
}

TEST_CASE("given a disk that fails under a broker, then the broker may end by itself, and the run passes") {
  Scenario s = tiny();
  s.at = {fault(sim::FaultKind::sync_failure, "leader")};
  s.at[0].path = "journal/";
  RunRecord result = run(s);
  CHECK(result.check == "");
  CHECK(result.verdict == Verdict::pass);
}

TEST_CASE("given a broker that is asked to stop and waits for others to take over, when its disk fails, then it ends at once") {
  Scenario s = tiny();
  for (const char* from : {"node2", "node3"}) {
    sim::Fault hold = fault(sim::FaultKind::link_hold, from);
    hold.peer = "node1";
    hold.choice = "drain_broker_reply";
    hold.duration = 10s;
    s.at.push_back(hold);
  }
  sim::Fault stop = fault(sim::FaultKind::stop, "node1");
  sim::Fault fails = fault(sim::FaultKind::sync_failure, "node1");
  fails.path = "journal/";
  fails.at = stop.at + 100ms;
  s.at.insert(s.at.end(), {stop, fails});
  sim::Pools pools;
  sim::MemoryTrace trace;
  const RunRecord result = run_once(s, 2, pools, {.trace = &trace});
  CHECK(result.check == "");
  std::optional<Time> asked, failed, ended;
  for (const sim::MemoryTrace::Record& r : trace.records()) {
    const sim::TraceEvent& e = r.event;
    if (e.node != 0 || ended) continue;
    if (e.kind == sim::TraceKind::node_stop) asked = e.time;
    if (e.kind == sim::TraceKind::disk_written && e.d > 0 && !failed) failed = e.time;
    if (e.kind == sim::TraceKind::disk_sync && e.c > 0 && !failed) failed = e.time;
    if (e.kind == sim::TraceKind::node_exit) ended = e.time;
  }
  REQUIRE((asked && failed && ended));
  CHECK(*failed > *asked);
  CHECK(*ended < *failed + 100ms);
}

TEST_CASE("given a node that is started wrongly, when its process refuses, then the line must be one that the scenario knows") {
  for (bool known : {true, false}) {
    Scenario s = tiny();
    s.at = {fault(sim::FaultKind::operator_start, "node2")};
    s.at[0].choice = "other_node";
    s.at[0].duration = 1s;
    s.refusals = {{"other_node", known ? "belongs to node 2" : "belongs to nobody", true}};
    RunRecord result = run(s);
    CHECK(result.check == (known ? "" : "exit"));
    CHECK(result.faults_struck == 1);
  }
}

TEST_CASE("given a mistake that the broker has no reason to refuse, when the scenario says that it must, then the run fails") {
  for (bool must : {true, false}) {
    Scenario s = tiny();
    s.at = {fault(sim::FaultKind::operator_start, "node2")};
    s.at[0].choice = "no_form";
    s.at[0].duration = 1700ms;
    s.refusals = {{"no_form", "never said", must}};
    CHECK(run(s).check == (must ? "refusal" : ""));
  }
}

TEST_CASE("given a plan with a second process, when it is given to a scenario without any, then there is a machine for it") {
  Scenario s = tiny();
  sim::FaultPlan plan;
  plan.faults = {fault(sim::FaultKind::operator_twin, "node2")};
  plan.faults[0].at = plan.faults[0].at + s.phases.set_up;
  sim::Pools pools;
  RunRecord result = run_once(s, 1, pools, {.plan = &plan});
  CHECK(result.faults_struck == 1);
  CHECK(result.plan == sim::to_string(plan));
}

TEST_CASE("given an owed check that never had anything to judge, then a run is not judged") {
  Judge judge([](Check, const std::string&) {});
  for (Check check : kOwedChecks) {
    CHECK(idle_check(judge) == std::string(to_string(check)) + " never had anything to judge");
    judge.check(check, true, [] { return std::string(); });
  }
  CHECK(idle_check(judge) == "");
}

namespace {

// L4, of a cluster of one node whose broker is gone, or not.
std::string probe_of_one_node(bool gone) {
  sim::Pools pools;
  sim::World world(1, {}, pools);
  Cluster cluster(world, {.nodes = 1, .topics = {{.name = "orders", .replicas = 1, .min_insync = 1}}, .draw_knobs = false});
  cluster.start();
  History history;
  std::string failed;
  bool ended = false;
  auto program = [&](Task& task, sim::NodeEnv& env) {
    ClientEnv client{env.scheduler, env.clock, env.network, env.rng, cluster.bootstrap()};
    failed = create_topics(task, client, {{.name = "orders", .replicas = 1, .min_insync = 1}}, task.now() + 10s);
    if (gone) cluster.nodes()[0]->die(sim::Death::kill);
    if (failed.empty()) failed = run_probe(task, client, {.client = 1, .partitions = {{"orders", 0}}}, history, task.now() + 5s);
    ended = true;
    return 0;
  };
  sim::Node& client = world.add_node("client", program);
  client.start();
  world.run_while([&] { return !ended; }, Time{0} + 60s);
  for (sim::Node* node : {&client, cluster.nodes()[0]})
    if (node->running()) node->die(sim::Death::kill);
  CHECK(ended);
  if (gone) CHECK(failed == "orders-0: a probe produce was not acknowledged by the deadline (last error: NONE, 0 attempts)");
  return failed.empty() ? "" : "L4";
}

const testing::AddPairs kRunPairs({
    {"setup", "a topic that cannot be made",
     [](bool broken) {
       Scenario s = tiny();
       if (broken) s.cluster.topics[0].replicas = 4;
       return failure_of(s);
     }},
    {"L4", "a probe to a broker that is gone", probe_of_one_node},
});

}  // namespace
