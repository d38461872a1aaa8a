// The faults of people: who runs where, on which disk and under which name, and that all of it is set right.
#include "sim/people.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "sim/fault_executor.h"
#include "tests/sim/fixture.h"

namespace sg::sim {
namespace {

// Notes how each machine is to be started, and has one spare.
struct Notes final : Operator {
  void begin(Node& machine, const Fault& mistake) override {
    wrong[machine.name()] = mistake.choice.empty() ? std::string(to_string(mistake.kind)) : mistake.choice;
  }
  bool end(Node& machine) override {
    wrong.erase(machine.name());
    return useful;
  }
  Node* spare(const Node& of) override {
    identity = of.name();
    return free;
  }
  std::map<std::string, std::string> wrong;
  bool useful = true;
  std::string identity;
  Node* free = nullptr;
};

// Two servers and a spare machine, and a plan that is carried out on them.
struct Office {
  explicit Office(const std::string& plan) : a(stage.node("a")), b(stage.node("b")), spare(stage.node("spare")) {
    spare.die(Death::power_cut);
    notes.free = &spare;
    auto parsed = parse_fault_plan(plan);
    REQUIRE(parsed);
    executor.emplace(stage.world, *parsed, std::vector<Node*>{&a, &b});
    executor->set_operator(notes);
    executor->start();
  }
  void until(int64_t ms) { stage.world.run_until(Time{ms * 1'000'000}); }
  void write(Node& node, std::string_view path) {
    stage.perform(node, [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, path, disk::OpenMode::create);
      REQUIRE(file);
      CHECK((*file)->write(task, 0, as_bytes(path), disk::Durability::synced));
      CHECK(env.disk.sync_directory(task, ""));
    });
  }
  static std::vector<std::string> files(Node& node) { return node.disk().files(); }

  Stage stage;
  Node& a;
  Node& b;
  Node& spare;
  Notes notes;
  std::optional<FaultExecutor> executor;
};
using Files = std::vector<std::string>;

TEST_CASE("given a wrong start, then the next processes are started so, and after its time rightly again") {
  Office o("1.0 operator_start target=a choice=no_voters duration=2.0\n");
  o.until(999);
  CHECK(o.notes.wrong.empty());
  o.until(1500);
  CHECK(o.notes.wrong == std::map<std::string, std::string>{{"a", "no_voters"}});
  CHECK(o.a.running());
  CHECK(o.a.incarnation() == 2);
  o.until(3500);
  CHECK(o.notes.wrong.empty());
  CHECK(o.a.running());
  CHECK(o.a.incarnation() == 3);
  CHECK(o.b.incarnation() == 1);
  CHECK(o.executor->executed() == 1);
}

TEST_CASE("given a wrong start whose disk nobody else will use, then it is emptied when the mistake ends") {
  Office o("1.0 operator_start target=a choice=other_node duration=2.0\n");
  o.until(1500);
  o.write(o.a, "f");
  CHECK(o.files(o.a) == Files{"f"});
  o.notes.useful = false;
  o.until(3500);
  CHECK(o.files(o.a).empty());
  CHECK(o.a.running());
}

TEST_CASE("given a mistake without an end, when everything is mended, then the node is down, to be started rightly") {
  Office o("1.0 operator_start target=a choice=no_voters\n1.0 operator_move target=b value=1\n");
  o.until(5000);
  CHECK(o.notes.wrong.size() == 2);
  CHECK(o.b.host() == "b-moved");
  o.executor->mend();
  CHECK(o.notes.wrong.empty());
  CHECK_FALSE(o.a.running());
  CHECK(o.b.host() == "b");
  Node* everybody[] = {&o.a, &o.b};
  o.stage.world.begin_liveness(everybody);
  CHECK(o.a.running());
}

TEST_CASE("given two mistakes with one machine, then the second is not made while the first lasts") {
  Office o("1.0 operator_start target=a choice=no_voters duration=2.0\n2.0 operator_unmount target=a duration=1.0\n");
  o.until(6000);
  CHECK(o.executor->executed() == 1);
  CHECK(o.executor->skipped() == 1);
}

TEST_CASE("given an unmounted disk, then a run sees an empty one, and the next its own, as it was") {
  Office o("1.0 operator_unmount target=a duration=1.0\n");
  o.write(o.a, "own");
  o.until(1500);
  CHECK(o.a.running());
  CHECK(Office::files(o.a).empty());
  o.write(o.a, "meanwhile");
  o.until(3000);
  CHECK(o.a.running());
  CHECK(Office::files(o.a) == Files{"own"});
  CHECK(o.a.disk().survives("own", 0, 3));
}

TEST_CASE("given a restored backup, then what was written since is gone, and the disk that is put to use is as durable as any") {
  Office o("2.0 operator_restore target=a value=1000000000 duration=1.0\n");
  o.write(o.a, "before");
  o.until(1500);
  o.write(o.a, "after");
  o.until(2500);
  CHECK(o.a.running());
  CHECK(Office::files(o.a) == Files{"before"});
  CHECK(o.a.disk().survives("before", 0, 6));
  CHECK(o.a.disk().contents("before").size() == 6);
  o.a.die(Death::power_cut);
  CHECK(Office::files(o.a) == Files{"before"});
  o.until(3500);  // it does not run when its operator looks: an empty disk
  CHECK(Office::files(o.a).empty());
  CHECK(o.a.running());
}

TEST_CASE("given a restored backup that a process has taken for its own, when its operator looks, then the disk is emptied all the same") {
  for (bool useful : {true, false}) {
    Office o("2.0 operator_restore target=a value=1000000000 duration=2.0\n");
    o.write(o.a, "before");
    o.until(3000);
    CHECK(o.a.running());
    o.notes.useful = useful;
    o.until(4500);
    CHECK(o.a.running());
    CHECK(Office::files(o.a) == (useful ? Files{"before"} : Files{}));
  }
}

TEST_CASE(
    "given a twin, then it has the identity of a living node, on a disk that is empty, a copy, or an old copy; the true one goes on") {
  struct Case {
    const char* fault;
    Files there;
  };
  for (const Case& c : {Case{"operator_twin target=a", {}}, Case{"operator_twin_copy target=a", {"one", "two"}},
                        Case{"operator_twin_restore target=a value=1000000000", {"one"}}}) {
    CAPTURE(c.fault);
    Office o("2.0 " + std::string(c.fault) + " duration=1.0\n");
    o.write(o.a, "one");
    o.until(1500);
    o.write(o.a, "two");
    o.until(2500);
    CHECK(o.spare.running());
    CHECK(o.notes.identity == "a");
    CHECK(o.notes.wrong.contains("spare"));
    CHECK(Office::files(o.spare) == c.there);
    CHECK(Office::files(o.a) == Files{"one", "two"});
    CHECK(o.a.incarnation() == 1);
    o.write(o.spare, "three");
    CHECK_FALSE(o.a.disk().exists("three"));
    o.until(3500);
    CHECK_FALSE(o.spare.running());
    CHECK(o.notes.wrong.empty());
  }
}

TEST_CASE("given no spare machine, or no backup, then there is no twin") {
  Office o("1.0 operator_twin target=a duration=1.0\n");
  o.notes.free = nullptr;
  o.until(3000);
  CHECK(o.executor->executed() == 0);
  CHECK(o.executor->skipped() == 1);
  Office early("1.0 operator_twin_restore target=nobody value=500000000\n");
  early.until(4000);
  CHECK(early.executor->executed() == 0);
}

TEST_CASE("given a moved machine, then its new name leads to it, its old one does so too or to nobody, and back") {
  for (int64_t follows : {0, 1}) {
    CAPTURE(follows);
    Office o("1.0 operator_move target=a duration=2.0 value=" + std::to_string(follows) + "\n");
    auto reaches = [&](const std::string& host) {
      Errc code{};
      bool ok = false;
      o.stage.begin(o.a, [&](Task& task, NodeEnv& env) {
        auto listener = env.network.listen({env.host, 7});
        REQUIRE(listener);
        (void)task.sleep_for(200ms);
      });
      o.stage.perform(o.b, [&](Task& task, NodeEnv& env) {
        auto connection = env.network.connect(task, {host, 7}, task.now() + 100ms);
        ok = connection.has_value();
        if (!ok) code = connection.code();
      });
      o.stage.run_for(300ms);
      if (!ok) CHECK(code == Errc::unavailable);
      return ok;
    };
    CHECK(reaches("a"));
    CHECK_FALSE(reaches("a-moved"));
    o.until(1800);
    CHECK(o.a.running());
    CHECK(reaches("a-moved"));
    CHECK(reaches("a") == (follows == 1));
    o.until(3800);
    CHECK(reaches("a"));
    CHECK_FALSE(reaches("a-moved"));
  }
}

TEST_CASE(
    "given a twin that takes its target's name, then new connections lead to it, and none of the target's mistakes begins meanwhile") {
  for (bool named : {true, false}) {
    CAPTURE(named);
    Office o(fmt::format("1.0 operator_twin target=a duration=2.0{}\n2.0 operator_move target=a duration=0.5 value=1\n",
                         named ? " value=1" : ""));
    auto taken_by = [&](Node& server) {
      bool taken = false;
      o.stage.begin(server, [&](Task& task, NodeEnv& env) {
        auto listener = env.network.listen({env.host, 7});
        REQUIRE(listener);
        taken = (*listener)->accept(task).has_value();
      });
      o.stage.begin(o.b, [&](Task& task, NodeEnv& env) { (void)env.network.connect(task, {"a", 7}, task.now() + 100ms); });
      o.stage.run_for(200ms);
      return taken;
    };
    CHECK(taken_by(o.a));
    o.until(1800);
    CHECK(taken_by(named ? o.spare : o.a));
    o.until(3500);
    CHECK(o.a.incarnation() == (named ? 1 : 3));  // moved, and back
    CHECK(o.executor->skipped() == (named ? 1 : 0));
    CHECK(taken_by(o.a));
  }
}

TEST_CASE("given a clock that is hours off at a restart, then the wall clock is, and the node runs on") {
  Office o("1.0 operator_clock target=a value=-7200000000000 duration=0.5\n");
  const int64_t before = o.a.clock().wall_ms();
  o.until(2000);
  CHECK(o.a.running());
  CHECK(o.a.incarnation() == 2);
  CHECK(o.a.clock().wall_ms() < before - 7'100'000);
}

TEST_CASE("given that the stale node starts first, then it misses what others do, all stop, and it is up before them") {
  Office o("1.0 operator_stale_first target=a duration=1.0 value=500000000\n");
  o.until(1500);
  CHECK_FALSE(o.a.running());
  CHECK(o.b.running());
  bool alone = false;
  for (int64_t ms = 2001; ms < 3500; ms += 5) {
    o.until(ms);
    alone |= o.a.running() && !o.b.running();
    CHECK_FALSE((o.b.running() && !o.a.running()));
  }
  CHECK(alone);
  CHECK(o.b.running());
  CHECK(o.b.incarnation() == 2);
}

TEST_CASE("given an orderly end, then the process is asked to stop, and ended when it does not") {
  Office o("1.0 operator_start target=a choice=x death=exit duration=20.0\n");
  o.until(1100);
  CHECK(o.a.running());  // nobody listens in this program
  CHECK(o.a.incarnation() == 1);
  CHECK(o.notes.wrong.empty());
  o.until(7000);
  CHECK(o.a.running());
  CHECK(o.a.incarnation() == 2);
  CHECK(o.notes.wrong.size() == 1);
}

TEST_CASE("given a copy of a disk, then it holds what programs see, also what is not synced, and neither side changes the other") {
  Stage stage;
  Node& a = stage.node("a");
  Node& b = stage.node("b");
  stage.perform(a, [&](Task& task, NodeEnv& env) {
    CHECK(env.disk.make_directory(task, "d"));
    auto file = env.disk.open(task, "d/f", disk::OpenMode::create);
    REQUIRE(file);
    CHECK((*file)->write(task, 0, as_bytes("first"), disk::Durability::buffered));
  });
  DiskImage image = a.disk().image();
  CHECK(image.id() != 0);
  CHECK(image.id() != b.disk().image().id());
  stage.perform(a, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "d/f", disk::OpenMode::create);
    REQUIRE(file);
    CHECK((*file)->write(task, 0, as_bytes("other"), disk::Durability::synced));
  });
  b.die(Death::power_cut);
  b.disk().put(image);
  CHECK(b.disk().contents("d/f") == ByteVec{'f', 'i', 'r', 's', 't'});
  CHECK(b.disk().survives("d/f", 0, 5));
  CHECK(a.disk().contents("d/f") == ByteVec{'o', 't', 'h', 'e', 'r'});
}

TEST_CASE("given the same seed, then people do the same at the same time") {
  auto hash = [](uint64_t seed) {
    Stage stage(seed);
    Node& a = stage.node("a");
    Node& b = stage.node("b");
    Notes notes;
    auto plan = parse_fault_plan("1.0 operator_stale_first target=random duration=1.0 value=500000000 draw=7\n");
    FaultExecutor executor(stage.world, *plan, {&a, &b});
    executor.set_operator(notes);
    executor.start();
    stage.world.run_until(Time{0} + 6s);
    return stage.world.trace().hash();
  };
  CHECK(hash(3) == hash(3));
}

}  // namespace
}  // namespace sg::sim
