// The fault plan as data, and its execution.
#include "sim/fault.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "sim/fault_executor.h"
#include "tests/sim/fixture.h"

namespace sg::sim {
namespace {

Fault random_fault(Rng& rng) {
  static const char* kNames[] = {"", "leader", "leader(orders-0)", "node1", "random"};
  Fault f;
  f.at = Time{rng.between(0, 100'000'000'000)};
  f.kind = static_cast<FaultKind>(rng.below(kFaultKinds));
  f.target = kNames[rng.below(5)];
  f.peer = kNames[rng.below(5)];
  f.path = rng.chance(1, 2) ? "" : "journal/";
  f.choice = rng.chance(1, 2) ? "" : "no_voters";
  f.until = rng.chance(1, 2) ? "" : "leader_change";
  f.draw = rng.next();
  f.duration = Duration(rng.chance(1, 3) ? 0 : rng.between(0, 1'000'000'000'000));
  f.value = static_cast<int64_t>(rng.next());
  f.death = static_cast<Death>(rng.below(kDeaths));
  f.point = static_cast<CrashPoint>(rng.below(kCrashPoints));
  return f;
}

TEST_CASE("any plan survives both of its forms") {
  CHECK(rc::check("round trip", [](uint64_t seed) {
    Rng rng(seed);
    FaultPlan plan;
    for (uint64_t n = rng.below(10); n > 0; --n) plan.faults.push_back(random_fault(rng));
    std::ranges::stable_sort(plan.faults, {}, &Fault::at);
    auto text = parse_fault_plan(to_string(plan));
    RC_ASSERT(text.has_value());
    RC_ASSERT(*text == plan);
    auto json = parse_json_lines(to_json_lines(plan));
    RC_ASSERT(json.has_value());
    RC_ASSERT(*json == plan);
  }));
}

TEST_CASE("a plan reads well") {
  Fault fault;
  fault.at = Time{12'345'000'000};
  fault.kind = FaultKind::kill;
  fault.target = "leader";
  fault.duration = 1200ms;
  fault.draw = 17;
  CHECK(to_string(fault) == "12.345 kill target=leader duration=1.2 draw=17");
}

TEST_CASE("a plan says in words what people do wrong") {
  Fault fault;
  fault.at = Time{3'000'000'000};
  fault.kind = FaultKind::operator_start;
  fault.target = "node3";
  fault.choice = "no_voters";
  fault.duration = 2s;
  CHECK(to_string(fault) == "3.0 operator_start target=node3 choice=no_voters duration=2.0");
}

TEST_CASE("a plan says what a link holds back, and until when; a rule hands both to its faults") {
  Fault fault;
  fault.at = Time{3'000'000'000};
  fault.kind = FaultKind::link_hold;
  fault.target = "node3";
  fault.peer = "leader";
  fault.choice = "ack";
  fault.until = "leader_change";
  fault.duration = 2s;
  CHECK(to_string(fault) == "3.0 link_hold target=node3 peer=leader choice=ack until=leader_change duration=2.0");
  FaultRule rule;
  rule.kind = FaultKind::link_hold;
  rule.choices = {"ack", "data"};
  rule.until = "leader_change";
  const FaultPlan plan = draw_fault_plan(Rng(1), {rule}, Time{0}, Time{0} + 60s);
  CHECK(std::ranges::all_of(plan.faults, [](const Fault& f) { return f.until == "leader_change"; }));
  CHECK(std::ranges::any_of(plan.faults, [](const Fault& f) { return f.choice == "ack"; }));
  CHECK(std::ranges::any_of(plan.faults, [](const Fault& f) { return f.choice == "data"; }));
}

TEST_CASE("given a rule without choices, drawing is what it was before there were any") {
  FaultRule rule;
  FaultRule chooses = rule;
  chooses.choices = {"a"};
  FaultPlan plain = draw_fault_plan(Rng(1), {rule}, Time{0}, Time{0} + 20s);
  FaultPlan chosen = draw_fault_plan(Rng(1), {chooses}, Time{0}, Time{0} + 20s);
  REQUIRE(plain.faults.size() == chosen.faults.size());
  for (size_t i = 0; i < plain.faults.size(); ++i) {
    CHECK(plain.faults[i].at == chosen.faults[i].at);
    CHECK(plain.faults[i].choice.empty());
    CHECK(chosen.faults[i].choice == "a");
  }
}

TEST_CASE("a plan with a mistake is refused with its line") {
  for (const char* text : {"1.0 kill\n1.0 kil target=a", "# fine\nx kill", "\n1.0 kill down", "\n1.0 kill target=a duration=-1", "\n1.0"}) {
    CAPTURE(text);
    auto plan = parse_fault_plan(text);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().what.find("line 2: ") == 0);
  }
  CHECK(parse_json_lines("{\"at_ns\": 1}").is(Errc::invalid));
  CHECK(parse_json_lines("{\"at_ns\": 1, \"kind\": \"kill\", \"tarket\": \"a\"}").is(Errc::invalid));
  CHECK(parse_json_lines("[").is(Errc::invalid));
}

TEST_CASE("drawing is a function of the seed, and a rule at the end changes no other rule's faults") {
  FaultRule kills;
  kills.targets = {"leader", "random"};
  kills.duration = {100ms, 5s};
  FaultRule cuts;
  cuts.kind = FaultKind::power_cut;
  cuts.at_once = 3;
  cuts.spread = 50ms;
  FaultPlan one = draw_fault_plan(Rng(1), {kills}, Time{0}, Time{0} + 20s);
  CHECK(one == draw_fault_plan(Rng(1), {kills}, Time{0}, Time{0} + 20s));
  CHECK(one != draw_fault_plan(Rng(2), {kills}, Time{0}, Time{0} + 20s));
  CHECK(one.faults.size() >= 5);
  CHECK(one.faults.size() <= 20);
  CHECK(std::ranges::is_sorted(one.faults, {}, &Fault::at));
  FaultPlan both = draw_fault_plan(Rng(1), {kills, cuts}, Time{0}, Time{0} + 20s);
  std::erase_if(both.faults, [](const Fault& f) { return f.kind == FaultKind::power_cut; });
  CHECK(both == one);
}

TEST_CASE("given a disabled rule, nothing is drawn") {
  FaultRule rule;
  rule.enabled_percent = 0;
  CHECK(draw_fault_plan(Rng(1), {rule}, Time{0}, Time{0} + 20s).faults.empty());
}

struct Crowd {
  explicit Crowd(Stage& stage) : a(stage.node("a")), b(stage.node("b")) {}
  Node& a;
  Node& b;
  std::vector<Node*> all() { return {&a, &b}; }
};

FaultPlan plan_of(const char* text) {
  auto plan = parse_fault_plan(text);
  REQUIRE(plan);
  return *plan;
}

TEST_CASE("a killed node restarts after its down time; a second death in recovery follows the first") {
  Stage stage;
  Crowd crowd(stage);
  FaultExecutor executor(stage.world, plan_of("1.0 kill target=a duration=0.5 value=100000000\n"), crowd.all());
  executor.start();
  auto up_at = [&](int64_t ms) {
    stage.world.run_until(Time{ms * 1'000'000});
    return crowd.a.running();
  };
  CHECK(up_at(999));
  CHECK_FALSE(up_at(1001));
  CHECK(up_at(1501));
  CHECK_FALSE(up_at(1601));
  CHECK(up_at(2101));
  CHECK(crowd.b.running());
  CHECK(crowd.a.incarnation() == 3);
  CHECK(executor.executed() == 1);
}

TEST_CASE("a symbolic target is resolved when the fault strikes, and retried while nobody fits") {
  Stage stage;
  Crowd crowd(stage);
  Node* leader = nullptr;
  uint64_t seen_draw = 0;
  FaultExecutor executor(stage.world, plan_of("1.0 kill target=leader draw=7\n1.0 kill target=nobody\n"), crowd.all(),
                         [&](std::string_view target, uint64_t draw) -> std::vector<Node*> {
                           if (target != "leader" || !leader) return {};
                           seen_draw = draw;
                           return {leader};
                         });
  executor.start();
  stage.world.schedule(Time{0} + 1100ms, [&] { leader = &crowd.b; });
  stage.world.run_until(Time{0} + 5s);
  CHECK_FALSE(crowd.b.running());
  CHECK(crowd.a.running());
  CHECK(seen_draw == 7);
  CHECK(executor.skipped() == 1);
}

TEST_CASE("an armed crash point kills at a call, and the node restarts after its down time") {
  Stage stage;
  Crowd crowd(stage);
  FaultExecutor executor(stage.world, plan_of("1.0 crash_point target=a point=during_write death=power_cut value=2 duration=0.3\n"),
                         crowd.all());
  executor.start();
  stage.run_for(1500ms);
  int writes = 0;
  stage.begin(crowd.a, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", disk::OpenMode::create);
    while (file && (*file)->write(task, 0, as_bytes("x"), disk::Durability::synced)) ++writes;
  });
  stage.run_for(100ms);
  CHECK(writes == 1);
  CHECK_FALSE(crowd.a.running());
  stage.run_for(500ms);
  CHECK(crowd.a.running());
}

TEST_CASE("file_loss: the node dies, the file that was written last is gone for good, and the node restarts after its down time") {
  Stage stage;
  Crowd crowd(stage);
  stage.begin(crowd.a, [&](Task& task, NodeEnv& env) {
    for (const char* path : {"j1", "j2", "other"}) {
      auto file = env.disk.open(task, path, disk::OpenMode::create);
      CHECK((file && (*file)->write(task, 0, as_bytes(path), disk::Durability::synced)));
    }
    CHECK(env.disk.sync_directory(task, ""));
  });
  FaultExecutor executor(stage.world, plan_of("1.0 file_loss target=a path=j duration=0.5\n"), crowd.all());
  executor.start();
  stage.world.run_until(Time{0} + 1200ms);
  CHECK_FALSE(crowd.a.running());
  CHECK(crowd.a.disk().files() == std::vector<std::string>{"j1", "other"});
  CHECK(crowd.a.disk().losses() == 1);
  crowd.a.die(Death::power_cut);
  CHECK_FALSE(crowd.a.disk().exists("j2"));
  stage.world.run_until(Time{0} + 2s);
  CHECK(crowd.a.running());
}

TEST_CASE("link faults end after their duration; after the safety phase nothing strikes") {
  Stage stage;
  Crowd crowd(stage);
  FaultExecutor executor(
      stage.world, plan_of("1.0 link_cut target=a peer=b duration=0.5 value=1\n2.0 link_cut target=b duration=0.5\n9.0 kill target=all\n"),
      crowd.all());
  executor.start();
  auto cut_at = [&](int64_t ms) {
    stage.world.run_until(Time{ms * 1'000'000});
    return std::pair(stage.world.network().is_cut(0, 1), stage.world.network().is_cut(1, 0));
  };
  CHECK(cut_at(1100) == std::pair(true, true));
  CHECK(cut_at(1600) == std::pair(false, false));
  CHECK(cut_at(2100) == std::pair(false, true));
  stage.world.begin_liveness({});
  CHECK(cut_at(2101) == std::pair(false, false));
  stage.world.run_until(Time{0} + 10s);
  CHECK(crowd.a.running());
  CHECK(executor.executed() == 2);
}

}  // namespace
}  // namespace sg::sim
