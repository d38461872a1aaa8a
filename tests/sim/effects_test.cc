// Faults that overlap: what each of them does is the same with and without the others.
#include "sim/effects.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>
#include <set>

#include "sim/fault_executor.h"
#include "tests/sim/fixture.h"

namespace sg::sim {
namespace {

// Nodes a and b (numbers 0 and 1), and a plan that is carried out on them.
struct Ground {
  explicit Ground(const std::string& plan, WorldOptions options = {}) : stage(1, options), a(stage.node("a")), b(stage.node("b")) {
    auto parsed = parse_fault_plan(plan);
    REQUIRE(parsed);
    executor.emplace(stage.world, *parsed, std::vector<Node*>{&a, &b});
  }
  // At so many ms; the plan begins at the first call.
  void until(int64_t ms) {
    if (!std::exchange(started, true)) executor->start();
    stage.world.run_until(Time{ms * 1'000'000});
  }
  bool cut_at(int64_t ms, uint32_t from = 0, uint32_t to = 1) {
    until(ms);
    return stage.world.network().is_cut(from, to);
  }
  Duration latency_at(int64_t ms) {
    until(ms);
    CHECK(stage.world.network().link(0, 1).latency_max == stage.world.network().link(1, 0).latency_max);
    return stage.world.network().link(0, 1).latency_max;
  }
  bool up_at(int64_t ms) {
    until(ms);
    return a.running();
  }

  Stage stage;
  Node& a;
  Node& b;
  std::optional<FaultExecutor> executor;
  bool started = false;
};

TEST_CASE("given two cuts of one link, when the first ends, then it is cut until the second does") {
  Ground g("1.0 link_cut target=a peer=b duration=1.0 value=1\n1.5 link_cut target=a peer=b duration=2.0\n");
  CHECK(g.cut_at(1900));
  CHECK(g.cut_at(1900, 1, 0));
  CHECK(g.cut_at(2100));
  CHECK_FALSE(g.cut_at(2100, 1, 0));
  CHECK(g.cut_at(3400));
  CHECK_FALSE(g.cut_at(3600));
}

TEST_CASE("given a cut without an end around one with an end, then it stays cut until healed") {
  Ground g("1.0 link_cut target=a peer=b\n1.5 link_cut target=a duration=1.0\n");
  CHECK(g.cut_at(9000));
  g.stage.world.begin_liveness({});
  CHECK_FALSE(g.cut_at(9001));
}

TEST_CASE("given delays of one link, then the greatest counts while it lasts, then the other, then none") {
  Ground g("1.0 link_delay target=a peer=b duration=2.0 value=5000000\n1.5 link_delay target=b peer=a duration=1.0 value=90000000\n");
  CHECK(g.latency_at(1400) == 5ms);
  CHECK(g.latency_at(1600) == 90ms);
  CHECK(g.latency_at(2600) == 5ms);
  CHECK(g.latency_at(3100) == LinkOptions().latency_max);
}

TEST_CASE("given stalls of one link, when the shorter one strikes later, then nothing arrives before the longer one ends") {
  Ground g("1.0 link_stall target=a peer=b duration=3.0\n1.5 link_stall target=a peer=b duration=0.5\n");
  g.until(2500);
  CHECK(g.stage.world.network().stalled_until(0, 1) == Time{0} + 4s);
}

TEST_CASE("given two holds of one kind and one of another, then each kind waits until its last hold ends") {
  Ground g(
      "1.0 link_hold target=a peer=b choice=x duration=1.0\n1.2 link_hold target=a peer=b choice=y until=event\n"
      "1.5 link_hold target=a peer=b choice=x duration=2.0\n");
  using Words = std::vector<std::string>;
  auto held_at = [&](int64_t ms) {
    g.until(ms);
    CHECK(g.stage.world.network().held(1, 0).empty());
    return g.stage.world.network().held(0, 1);
  };
  CHECK(held_at(1100) == Words{"x"});
  CHECK(held_at(1900) == Words{"x", "y"});
  CHECK(held_at(2100) == Words{"x", "y"});
  g.executor->happened("another");
  CHECK(held_at(2200) == Words{"x", "y"});
  g.executor->happened("event");
  CHECK(held_at(2300) == Words{"x"});
  g.executor->happened("event");
  CHECK(held_at(3600).empty());
}

TEST_CASE("given slow disks, then the slowest counts while it lasts, and then the disk is as it was made") {
  WorldOptions options;
  options.node.disk.latency.read_max = 3ms;
  Ground g("1.0 disk_latency target=a duration=2.0 value=5000000\n1.5 disk_latency target=a duration=1.0 value=90000000\n", options);
  auto slow_at = [&](int64_t ms) {
    g.until(ms);
    const DiskLatency& l = g.a.disk().latency();
    return std::vector{l.read_max, l.write_max, l.sync_max};
  };
  auto of = [](Duration d) { return std::vector{d, d, d}; };
  CHECK(slow_at(1400) == of(5ms));
  CHECK(slow_at(1600) == of(90ms));
  CHECK(slow_at(2600) == of(5ms));
  CHECK(slow_at(3100) == std::vector<Duration>{3ms, DiskLatency().write_max, DiskLatency().sync_max});
}

TEST_CASE("given a disk that stalls twice, then nothing completes before the later end; after healing it does at once") {
  for (bool healed : {false, true}) {
    Ground g("1.0 disk_stall target=a duration=3.0\n1.5 disk_stall target=a duration=0.5\n");
    Time done{};
    g.until(1600);
    g.stage.begin(g.a, [&](Task& task, NodeEnv& env) {
      CHECK(env.disk.open(task, "f", disk::OpenMode::create));
      done = task.now();
    });
    g.until(3900);
    CHECK(done == Time{});
    if (healed) g.stage.world.begin_liveness({});
    g.until(3910);
    CHECK((done != Time{}) == healed);
    g.until(4010);
    CHECK(done != Time{});
  }
}

TEST_CASE("given a disk that is full twice, then the least room counts, and there is none to be had before the last of them ends") {
  Ground g("1.0 disk_full target=a duration=2.0 value=1000\n1.5 disk_full target=a duration=1.0\n");
  auto room_at = [&](int64_t ms) {
    g.until(ms);
    return g.a.disk().capacity() - g.a.disk().used_bytes();
  };
  CHECK(room_at(1100) == 1000);
  CHECK(room_at(1600) == 0);
  CHECK(room_at(2600) == 1000);
  CHECK(room_at(3100) == DiskOptions().capacity_bytes);
}

TEST_CASE("given drifts, then they add up to the clock's own, which is left in the end; jumps add up, for good") {
  WorldOptions options;
  options.node.clock_drift_ppm = 50;
  options.node.wall_offset = 100ms;
  Ground g(
      "1.0 clock_drift target=a duration=2.0 value=1000\n1.5 clock_drift target=a duration=1.0 value=-300\n"
      "1.0 clock_jump target=a value=7000000\n1.5 clock_jump target=a value=-2000000 duration=0.1\n",
      options);
  auto drift_at = [&](int64_t ms) {
    g.until(ms);
    return g.a.clock().drift();
  };
  CHECK(drift_at(1400) == 1050);
  CHECK(g.a.clock().wall_offset() == 107ms);
  CHECK(drift_at(1600) == 750);
  CHECK(g.a.clock().wall_offset() == 105ms);
  CHECK(drift_at(2600) == 1050);
  CHECK(drift_at(3100) == 50);
  g.stage.world.begin_liveness({});
  CHECK(g.a.clock().wall_offset() == 105ms);
  CHECK(g.b.clock().drift() == 50);
}

TEST_CASE("given drifts beyond what a clock can do, then it does what it can; healing ends them") {
  Ground g("1.0 clock_drift target=a value=9000000000000000000\n1.1 clock_drift target=a value=9000000000000000000\n");
  g.until(2000);
  CHECK(g.a.clock().drift() == SimClock::kMaxDriftPpm);
  g.stage.world.begin_liveness({});
  CHECK(g.a.clock().drift() == 0);
}

TEST_CASE("given a sleeper whose clock begins to run faster, then it wakes when its clock shows the time") {
  Ground g("1.0 clock_drift target=a value=400000\n");
  Time woken{};
  g.stage.begin(g.a, [&](Task& task, NodeEnv&) {
    (void)task.sleep_for(2s);
    woken = g.stage.world.now();
  });
  g.until(3000);
  CHECK(woken > Time{0} + 1700ms);
  CHECK(woken < Time{0} + 1730ms);
}

TEST_CASE("given a longer and a shorter down time, then the node starts when the last of them is over, once") {
  for (const char* plan : {"1.0 kill target=a duration=3.0\n1.5 power_cut target=a duration=0.5\n",
                           "1.0 kill target=a duration=0.7\n1.5 wipe target=a duration=2.5\n",
                           "1.0 file_loss target=a duration=3.0\n"
                           "1.1 stop target=a duration=0.5\n"}) {
    CAPTURE(plan);
    Ground g(plan);
    CHECK(g.up_at(999));
    for (int64_t ms = 1001; ms < 4000; ms += 100) CHECK_FALSE(g.up_at(ms));
    CHECK(g.up_at(4001));
    CHECK(g.a.incarnation() == 2);
  }
}

TEST_CASE("given a second death in recovery, then it strikes at its time, whoever keeps the node down") {
  Ground g("1.0 kill target=a duration=1.0 value=500000000\n1.1 kill target=a duration=1.7\n");
  CHECK_FALSE(g.up_at(2790));
  CHECK_FALSE(g.up_at(3490));
  CHECK(g.up_at(3501));
}

TEST_CASE("given no down time, then others do not start the node; a start does, unless something with a down time keeps it down") {
  Ground g("1.0 kill target=a\n1.5 kill target=a duration=0.5\n3.0 kill target=a duration=1.0\n3.2 start target=a\n");
  CHECK_FALSE(g.up_at(2900));
  CHECK_FALSE(g.up_at(3900));
  CHECK(g.up_at(4001));
  Ground stays("1.0 power_cut target=a\n");
  CHECK_FALSE(stays.up_at(5000));
  Node* nodes[] = {&stays.a};
  stays.stage.world.begin_liveness(nodes);
  CHECK(stays.a.running());
}

TEST_CASE("given a killed node whose power comes back before its process may, then it refuses connects instead of being silent") {
  Ground g("1.0 power_cut target=b duration=1.0\n1.1 kill target=b duration=3.0\n");
  auto connect = [&] {
    Errc code{};
    g.stage.perform(g.a, [&](Task& task, NodeEnv& env) { code = env.network.connect(task, {"b", 7}, task.now() + 100ms).code(); });
    return code;
  };
  g.until(1500);
  CHECK(connect() == Errc::timeout);
  g.until(2500);
  CHECK(connect() == Errc::refused);
  CHECK_FALSE(g.b.running());
  g.until(4101);
  CHECK(g.b.running());
}

TEST_CASE("given a service manager, when something keeps the node down, then it is not started; else it is") {
  Ground g("1.0 kill target=a duration=2.0\n");
  g.until(1500);
  g.stage.world.effects().start(g.a);
  CHECK_FALSE(g.a.running());
  CHECK(g.up_at(3001));
  g.a.die(Death::kill);
  g.stage.world.effects().start(g.a);
  CHECK(g.a.running());
}

TEST_CASE("given a pause and a kill within it, then the next process does not run before the pause ends either") {
  Ground g("1.0 pause target=a duration=3.0\n1.5 kill target=a duration=0.5\n");
  CHECK_FALSE(g.up_at(1600));
  CHECK(g.up_at(2001));
  bool ran = false;
  g.stage.world.schedule(Time{0} + 2500ms, [&] { CHECK(g.a.stalled()); });
  g.until(4010);
  g.stage.begin(g.a, [&](Task&, NodeEnv&) { ran = true; });
  g.until(4020);
  CHECK(ran);
}

TEST_CASE("given a pause and a suspension, then nothing runs until the later end, and the clock stands until the suspension's") {
  Ground g(
      "1.0 pause target=a duration=3.0\n1.5 suspend target=a duration=1.0\n1.7 suspend target=a duration=0.1\n2.2 pause target=a "
      "duration=0.1\n");
  Time ran{};
  Duration shown{};
  const Time before = g.a.clock().now();
  g.until(1100);
  g.stage.begin(g.a, [&](Task& task, NodeEnv&) {
    ran = g.stage.world.now();
    shown = task.now() - before;
  });
  g.until(2400);
  CHECK(g.a.clock().stopped());
  g.until(2600);
  CHECK_FALSE(g.a.clock().stopped());
  CHECK(g.a.stalled());
  g.until(5000);
  CHECK(ran == Time{0} + 4s);
  CHECK(shown > 2990ms);
  CHECK(shown <= 3s);
}

TEST_CASE("given a suspended node, when it is healed, then it runs on at once with the clock of then") {
  Ground g("1.0 suspend target=a duration=9.0\n");
  g.until(2000);
  Duration shown{};
  const Time before = g.a.clock().now();
  g.stage.world.begin_liveness({});
  g.stage.begin(g.a, [&](Task& task, NodeEnv&) { shown = task.now() - before; });
  g.until(2010);
  CHECK(shown <= 1001ms);
  CHECK(g.a.last_stall_end() == Time{0} + 2s);
}

// Writes for ever, once in 10 ms, and counts.
void write_on(Ground& g, int& writes) {
  g.stage.begin(g.a, [&writes](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", disk::OpenMode::create);
    while (file && (*file)->write(task, 0, as_bytes("x"), disk::Durability::buffered)) {
      ++writes;
      if (!task.sleep_for(10ms)) return;
    }
  });
}

TEST_CASE("given two armed crash points, then each strikes at its own passing, also one that other processes have counted down") {
  Ground g(
      "0.5 crash_point target=a point=after_write value=15 duration=0.2\n0.6 crash_point target=a point=after_write value=25 "
      "duration=0.2\n0.7 kill target=a duration=0.1\n");
  int writes = 0;
  g.until(750);
  CHECK(g.stage.world.now() == Time{0} + 750ms);
  g.until(801);
  write_on(g, writes);
  g.until(1000);
  CHECK(writes == 14);
  CHECK_FALSE(g.a.running());
  CHECK(g.executor->executed() == 2);  // the kill is the other
  g.until(1300);
  REQUIRE(g.a.running());
  write_on(g, writes);
  g.until(1500);
  CHECK(writes == 14 + 9);
  CHECK_FALSE(g.a.running());
  CHECK(g.executor->executed() == 3);
  g.until(1800);
  CHECK(g.a.running());
}

TEST_CASE("given two deaths at one passing, then the gravest strikes, and the longer down time counts") {
  Ground g(
      "0.5 crash_point target=a point=after_write value=3 duration=0.2\n0.5 crash_point target=a point=after_write value=3 death=wipe "
      "duration=0.9\n");
  int writes = 0;
  g.until(600);
  write_on(g, writes);
  g.until(700);
  CHECK(writes == 2);
  CHECK(g.a.disk().files().empty());
  CHECK(g.executor->executed() == 2);
  g.until(1400);
  CHECK_FALSE(g.a.running());
  g.until(1600);
  CHECK(g.a.running());
}

TEST_CASE("given failures that are armed twice, then the same syncs and writes count for both") {
  Ground g(
      "0.5 sync_failure target=a path=f value=1\n0.5 sync_failure target=a value=3\n0.5 write_failure target=a value=2\n0.5 write_failure "
      "target=a path=f value=2\n");
  g.until(600);
  std::string seen;
  g.stage.perform(g.a, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", disk::OpenMode::create);
    REQUIRE(file);
    for (int i = 0; i < 4; ++i) seen += (*file)->sync(task) ? "." : "s";
    for (int i = 0; i < 4; ++i) seen += (*file)->write(task, 0, as_bytes("x"), disk::Durability::buffered) ? "." : "w";
  });
  CHECK(seen == "sss.ww..");
  CHECK(g.a.disk().failures() == 5);
}

// --- people ----------------------------------------------------------------------------------------------------------------------

struct Hands final : Operator {
  void begin(Node&, const Fault&) override {}
  bool end(Node&) override { return true; }
  Node* spare(const Node&) override { return nullptr; }
};

TEST_CASE("given a person who restarts a node, then a cut goes on, and so does the down time of a kill") {
  Ground g(
      "1.0 link_cut target=a peer=b duration=5.0\n1.5 operator_start target=a choice=x duration=2.0\n1.5 kill target=a duration=1.0\n"
      "3.4 kill target=a duration=1.5\n");
  Hands hands;
  g.executor->set_operator(hands);
  for (int64_t ms = 1501; ms < 2500; ms += 50) CHECK_FALSE(g.up_at(ms));
  CHECK(g.up_at(2501));
  for (int64_t ms = 3401; ms < 4900; ms += 50) CHECK_FALSE(g.up_at(ms));  // the mistake ends meanwhile
  CHECK(g.up_at(4901));
  CHECK(g.cut_at(5900));
  CHECK_FALSE(g.cut_at(6100));
}

TEST_CASE("given a person who has ended a process, when a shorter kill is over, then nobody starts it before the person does") {
  Ground g(
      "1.0 operator_clock target=a value=1000000000 duration=2.0\n1.2 kill target=a duration=0.3\n1.3 clock_jump target=a value=5000000\n");
  Hands hands;
  g.executor->set_operator(hands);
  for (int64_t ms = 1001; ms < 3000; ms += 50) CHECK_FALSE(g.up_at(ms));
  CHECK(g.up_at(3001));
  CHECK(g.a.clock().wall_offset() == 1005ms);
}

TEST_CASE("given a restored disk whose process somebody has killed, then its operator does not take it for one that refused") {
  Ground g("2.0 operator_restore target=a value=1000000000 duration=1.0\n2.8 kill target=a duration=1.0\n");
  Hands hands;
  g.executor->set_operator(hands);
  g.stage.perform(g.a, [&](Task& task, NodeEnv& env) {
    CHECK(env.disk.open(task, "f", disk::OpenMode::create));
    CHECK(env.disk.sync_directory(task, ""));
  });
  g.until(9000);
  CHECK(g.a.running());
  CHECK(g.a.disk().exists("f"));
}

// --- any plan --------------------------------------------------------------------------------------------------------------------

// Deliberately dumb: looks at every fault of the plan, and asks whether it is in effect at a time.
class Model {
 public:
  Model(const FaultPlan& plan, Time healed) : plan_(plan), healed_(healed) {}

  struct Span {
    Time from, to;
    bool holds(Time t) const { return from <= t && t < to; }
  };
  Span span(const Fault& f) const { return {f.at, f.duration.count() > 0 ? f.at + f.duration : healed_}; }

  // Of all faults of that kind from -> to, those in effect.
  std::vector<const Fault*> on_link(FaultKind kind, const std::string& from, const std::string& to, Time t) const {
    std::vector<const Fault*> out;
    for (const Fault& f : plan_.faults) {
      if (f.kind != kind || !span(f).holds(t)) continue;
      if (kind == FaultKind::link_stall && f.duration.count() == 0) continue;
      const bool there = f.target == from && (f.peer == to || f.peer.empty());
      const bool back = f.target == to && (f.peer == from || f.peer.empty());
      const bool both = kind == FaultKind::link_delay || (kind != FaultKind::link_hold && f.value == 1);
      if (there || (back && both)) out.push_back(&f);
    }
    return out;
  }
  std::vector<const Fault*> on_node(FaultKind kind, const std::string& node, Time t) const {
    std::vector<const Fault*> out;
    for (const Fault& f : plan_.faults)
      if (f.kind == kind && f.target == node && span(f).holds(t)) out.push_back(&f);
    return out;
  }
  // Those that need a duration.
  bool stalls(FaultKind kind, const std::string& node, Time t) const {
    return std::ranges::any_of(on_node(kind, node, t), [](const Fault* f) { return f->duration.count() > 0; });
  }
  int64_t jumped(const std::string& node, Time t) const {
    int64_t sum = 0;
    for (const Fault& f : plan_.faults)
      if (f.kind == FaultKind::clock_jump && f.target == node && f.at <= t) sum += f.value;
    return sum;
  }

  // Whether what deaths end is there: it is once nothing that keeps it away is in effect.
  bool there(const std::string& node, Time t, bool power) const {
    std::vector<Span> spans;
    std::set<Time> deaths, changes;
    for (const Fault& f : plan_.faults) {
      const bool cuts_power = f.kind == FaultKind::power_cut || f.kind == FaultKind::wipe;
      const bool down = cuts_power || f.kind == FaultKind::kill || f.kind == FaultKind::file_loss || f.kind == FaultKind::stop;
      if (f.target != node || !(power ? cuts_power : down)) continue;
      Span first = span(f);
      for (const Fault& s : plan_.faults)
        if (f.duration.count() == 0 && s.kind == FaultKind::start && s.target == node && s.at >= f.at) first.to = std::min(first.to, s.at);
      spans.push_back(first);
      if (f.kind != FaultKind::stop) deaths.insert(f.at);  // this program does not listen
      const bool twice = f.kind != FaultKind::file_loss && f.kind != FaultKind::stop && f.duration.count() > 0 && f.value > 0;
      if (!twice) continue;
      const Time again = f.at + f.duration + Duration(f.value);
      spans.push_back({again, again + f.duration});
      deaths.insert(again);
    }
    for (const Span& s : spans) changes.insert({s.from, s.to});
    bool there = true;
    for (Time c : changes) {
      if (c > t) break;
      if (deaths.contains(c)) there = false;
      if (std::ranges::none_of(spans, [&](const Span& s) { return s.holds(c); })) there = true;
    }
    return there;
  }

  // Every time at which anything may change.
  std::set<Time> changes() const {
    std::set<Time> out;
    for (const Fault& f : plan_.faults)
      for (Duration d : {Duration(0), f.duration, f.duration + Duration(std::abs(f.value)), 2 * f.duration + Duration(std::abs(f.value))})
        if (f.at + d < healed_) out.insert(f.at + d);
    return out;
  }

 private:
  const FaultPlan& plan_;
  Time healed_;
};

FaultPlan draw_overlapping(Rng& rng, const std::vector<std::string>& names, bool people) {
  FaultPlan plan;
  for (int64_t i = 0; i < 40; ++i) {
    Fault f;
    do f.kind = static_cast<FaultKind>(rng.below(kFaultKinds));
    while (is_of_people(f.kind) && !people);
    f.at = Time{rng.between(100, 4000) * 1'000'000 + i};
    f.target = names[rng.below(names.size())];
    do f.peer = rng.chance(1, 4) ? "" : names[rng.below(names.size())];
    while (f.peer == f.target);
    f.choice = rng.chance(1, 2) ? "x" : "y";
    f.duration = Duration(rng.chance(1, 6) ? 0 : rng.between(1, 2000) * 1'000'000);
    f.value = rng.chance(1, 2) ? static_cast<int64_t>(rng.below(3)) : rng.between(-200'000, 200'000'000);
    if (f.kind == FaultKind::clock_drift) f.value = rng.between(-50'000, 50'000);
    f.draw = rng.next();
    plan.faults.push_back(f);
  }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
  return plan;
}

void compare_links(World& world, const Model& model, Time t) {
  for (uint32_t from = 0; from < world.node_count(); ++from)
    for (uint32_t to = 0; to < world.node_count(); ++to) {
      if (from == to) continue;
      const SimNetwork& network = world.network();
      auto in_effect = [&](FaultKind kind) { return model.on_link(kind, world.node(from).name(), world.node(to).name(), t); };
      RC_ASSERT(network.is_cut(from, to) == !in_effect(FaultKind::link_cut).empty());
      Duration latency = LinkOptions().latency_max;
      if (auto delays = in_effect(FaultKind::link_delay); !delays.empty()) {
        latency = LinkOptions().latency_min;
        for (const Fault* f : delays) latency = std::max(latency, Duration(f->value));
      }
      RC_ASSERT(network.link(from, to).latency_max == latency);
      Time end = t;
      for (const Fault* f : in_effect(FaultKind::link_stall)) end = std::max(end, f->at + f->duration);
      RC_ASSERT(std::max(t, network.stalled_until(from, to)) == end);
      std::set<std::string> held;
      for (const Fault* f : in_effect(FaultKind::link_hold)) held.insert(f->choice);
      RC_ASSERT(network.held(from, to) == std::vector(held.begin(), held.end()));
    }
}

void compare_node(World& world, Node& node, const Model& model, Time t, bool people) {
  auto in_effect = [&](FaultKind kind) { return model.on_node(kind, node.name(), t); };
  const DiskLatency usual;
  Duration slow{0};
  for (const Fault* f : in_effect(FaultKind::disk_latency)) slow = std::max({slow, Duration(f->value), usual.sync_max});
  RC_ASSERT(node.disk().latency().read_max == (slow.count() > 0 ? slow : usual.read_max));
  RC_ASSERT(node.disk().stalled() == model.stalls(FaultKind::disk_stall, node.name(), t));
  uint64_t room = DiskOptions().capacity_bytes;  // nothing is written here
  for (const Fault* f : in_effect(FaultKind::disk_full)) room = std::min(room, static_cast<uint64_t>(std::max<int64_t>(0, f->value)));
  RC_ASSERT(node.disk().capacity() == room);
  int64_t drift = 17;
  for (const Fault* f : in_effect(FaultKind::clock_drift)) drift += f->value;
  RC_ASSERT(node.clock().drift() == std::clamp(drift, -SimClock::kMaxDriftPpm, SimClock::kMaxDriftPpm));
  const bool suspended = model.stalls(FaultKind::suspend, node.name(), t);
  RC_ASSERT(node.clock().stopped() == suspended);
  RC_ASSERT(node.stalled() == (suspended || model.stalls(FaultKind::pause, node.name(), t)));
  if (people) return;  // who end processes, and set clocks, too
  RC_ASSERT(node.clock().wall_offset() == Duration(model.jumped(node.name(), t)));
  RC_ASSERT(node.running() == model.there(node.name(), t, false));
  RC_ASSERT(world.network().powered(node.index()) == model.there(node.name(), t, true));
}

TEST_CASE("given any plan of overlapping faults, then the state of everything is at any time a fold over the faults in effect") {
  CHECK(rc::check("fold", [](uint64_t seed) {
    Rng rng(seed);
    const bool people = rng.chance(1, 3);
    const std::vector<std::string> names{"a", "b", "c"};
    const FaultPlan plan = draw_overlapping(rng, names, people);
    WorldOptions options;
    options.node.clock_drift_ppm = 17;
    Stage stage(seed, options);
    std::vector<Node*> nodes;
    for (const std::string& name : names) nodes.push_back(&stage.node(name));
    Hands hands;
    FaultExecutor executor(stage.world, plan, nodes);
    executor.set_operator(hands);
    executor.start();
    const Time healed = Time{0} + 6s;
    const Model model(plan, healed);
    for (Time t : model.changes()) {
      stage.world.run_until(t);
      compare_links(stage.world, model, t);
      for (Node* node : nodes) compare_node(stage.world, *node, model, t, people);
    }
    stage.world.run_until(healed);
    executor.mend();
    stage.world.begin_liveness(nodes);
    const FaultPlan none;
    const Model calm(none, healed);
    compare_links(stage.world, calm, healed);
    for (Node* node : nodes) {
      compare_node(stage.world, *node, calm, healed, true);
      RC_ASSERT(node->running());
    }
  }));
}

}  // namespace
}  // namespace sg::sim
