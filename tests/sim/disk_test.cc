// The simulated disk: kill, power cut and wipe are three different faults; names, locks, failures, and the question "would it survive?".
#include "sim/disk.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/sim/fixture.h"

namespace sg::sim {
namespace {

using disk::Durability;
using disk::OpenMode;

// Creates a file with its name durable, writes, and leaves.
void write_file(Stage& stage, Node& node, std::string_view path, ByteSpan bytes, Durability durability, bool name_durable = true) {
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, path, OpenMode::create);
    REQUIRE(file);
    CHECK((*file)->write(task, 0, bytes, durability));
    if (name_durable) CHECK(env.disk.sync_directory(task, ""));
  });
}

TEST_CASE("after a kill everything that a call returned for is there; after a power cut what was synced; after a wipe nothing") {
  bool buffered_lost = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (Death death : {Death::kill, Death::power_cut, Death::wipe}) {
      CAPTURE(to_string(death));
      Stage stage(seed);
      Node& node = stage.node("n");
      ByteVec bytes(10'000, 7);
      write_file(stage, node, "synced", bytes, Durability::synced);
      write_file(stage, node, "buffered", bytes, Durability::buffered);
      CHECK(node.disk().survives("synced", 0, bytes.size()));
      CHECK_FALSE(node.disk().survives("buffered", 0, bytes.size()));
      node.die(death);
      CHECK(node.disk().exists("synced") == (death != Death::wipe));
      if (death == Death::wipe) {
        CHECK(node.disk().files().empty());
        continue;
      }
      CHECK(node.disk().contents("synced") == bytes);
      if (death == Death::kill) CHECK(node.disk().contents("buffered") == bytes);
      buffered_lost |= node.disk().contents("buffered") != bytes;
    }
  }
  CHECK(buffered_lost);
}

TEST_CASE("a restored backup has the bytes of then and is made of other files; a restart changes no file") {
  Stage stage;
  Node& node = stage.node("n");
  Node& other = stage.node("m");
  write_file(stage, node, "f", as_bytes("old"), Durability::synced);
  auto info = [&](Node& n) {
    disk::FileInfo out;
    stage.perform(n, [&](Task& task, NodeEnv& env) { out = *env.disk.info(task, "f"); });
    return out;
  };
  const disk::FileInfo before = info(node);
  node.die(Death::power_cut);
  stage.start(node);
  CHECK(info(node) == before);
  DiskImage backup = node.disk().image();
  write_file(stage, node, "f", as_bytes("new"), Durability::synced);
  write_file(stage, node, "g", as_bytes("g"), Durability::synced);

  node.die(Death::kill);
  node.disk().put(backup);
  CHECK(node.disk().contents("f") == ByteVec{'o', 'l', 'd'});
  CHECK_FALSE(node.disk().exists("g"));
  node.die(Death::power_cut);
  CHECK(node.disk().survives("f", 0, 3));
  stage.start(node);
  CHECK(info(node).inode != before.inode);

  other.die(Death::kill);
  other.disk().put(node.disk().image());
  stage.start(other);
  CHECK(other.disk().contents("f") == ByteVec{'o', 'l', 'd'});
  CHECK(info(other).inode != info(node).inode);
}

TEST_CASE("a name is durable once its directory is synced, not before") {
  int kept = 0, lost = 0;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Stage stage(seed);
    Node& node = stage.node("n");
    write_file(stage, node, "durable", as_bytes("x"), Durability::synced, true);
    write_file(stage, node, "doubtful", as_bytes("x"), Durability::synced, false);
    CHECK(node.disk().survives("durable", 0, 1));
    CHECK_FALSE(node.disk().survives("doubtful", 0, 1));
    stage.perform(node, [&](Task& task, NodeEnv& env) { CHECK(env.disk.rename(task, "durable", "renamed")); });
    CHECK_FALSE(node.disk().survives("renamed", 0, 1));
    node.die(Death::power_cut);
    CHECK(node.disk().exists("durable") != node.disk().exists("renamed"));  // never both, never neither
    ++(node.disk().exists("doubtful") ? kept : lost);
  }
  CHECK(kept > 0);
  CHECK(lost > 0);
}

TEST_CASE("a file in a directory that was never made durable may be lost with it") {
  int lost = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Stage stage(seed);
    Node& node = stage.node("n");
    stage.perform(node, [&](Task& task, NodeEnv& env) {
      CHECK(env.disk.make_directory(task, "d"));
      auto file = env.disk.open(task, "d/f", OpenMode::create);
      REQUIRE(file);
      CHECK((*file)->write(task, 0, as_bytes("x"), Durability::synced));
      CHECK(env.disk.sync_directory(task, "d"));
    });
    CHECK_FALSE(node.disk().survives("d/f", 0, 1));
    node.die(Death::power_cut);
    lost += !node.disk().exists("d/f");
  }
  CHECK(lost > 0);
}

TEST_CASE("a rename whose new directory was synced does not leave its old name behind") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Stage stage(seed);
    Node& node = stage.node("n");
    stage.perform(node, [&](Task& task, NodeEnv& env) {
      CHECK(env.disk.make_directory(task, "d"));
      CHECK(env.disk.sync_directory(task, ""));
      CHECK(env.disk.open(task, "new", OpenMode::create));
      CHECK(env.disk.rename(task, "new", "d/f"));
      CHECK(env.disk.sync_directory(task, "d"));
      CHECK(env.disk.sync_directory(task, ""));
    });
    node.die(Death::power_cut);
    CHECK(node.disk().files() == std::vector<std::string>{"d/f"});
  }
}

TEST_CASE("a write in flight at a kill lands late, and the lock is held until then") {
  bool landed_late = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Stage stage(seed);
    Node& node = stage.node("n");
    ByteVec bytes(5000, 9);
    stage.begin(node, [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, "f", OpenMode::create);
      REQUIRE(file);
      CHECK((*file)->lock());
      CHECK((*file)->write(task, 0, bytes, Durability::synced).is(Errc::stopped));
    });
    stage.world.run_while([&] { return node.disk().operations_in_flight() == 0 || !node.disk().exists("f"); }, Time{0} + 1s);
    REQUIRE(node.disk().operations_in_flight() == 1);
    node.die(Death::kill);
    CHECK(node.disk().contents("f").empty());
    stage.start(node);
    bool busy = false;
    Time got{};
    stage.perform(node, [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, "f", OpenMode::read_write);
      REQUIRE(file);
      while ((*file)->lock().is(Errc::busy)) {
        busy = true;
        CHECK(task.sleep_for(1ms));
      }
      got = task.now();
      CHECK(node.disk().contents("f") == bytes);
    });
    landed_late |= busy;
  }
  CHECK(landed_late);
}

TEST_CASE("a write in flight at a power cut is torn sector by sector, and what was synced around it stays") {
  bool mixed = false;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Stage stage(seed);
    Node& node = stage.node("n");
    ByteVec old_bytes(3 * kPageBytes, 1), new_bytes(kPageBytes, 2);
    write_file(stage, node, "f", old_bytes, Durability::synced);
    stage.begin(node, [&](Task& task, NodeEnv& env) {
      auto file = env.disk.open(task, "f", OpenMode::read_write);
      REQUIRE(file);
      CHECK((*file)->write(task, kPageBytes, new_bytes, Durability::synced).is(Errc::stopped));
    });
    node.arm({CrashPoint::during_write, Death::power_cut});
    stage.run_for(10ms);
    CHECK_FALSE(node.running());
    ByteVec after = node.disk().contents("f");
    REQUIRE(after.size() == old_bytes.size());
    CHECK(std::ranges::count(ByteSpan(after).first(kPageBytes), 1) == kPageBytes);
    CHECK(std::ranges::count(ByteSpan(after).last(kPageBytes), 1) == kPageBytes);
    auto middle = ByteSpan(after).subspan(kPageBytes, kPageBytes);
    mixed |= std::ranges::count(middle, 1) > 0 && std::ranges::count(middle, 2) > 0;
    CHECK(node.disk().survives("f", 0, after.size()));
  }
  CHECK(mixed);
}

TEST_CASE("a failed sync is told once; the next one succeeds, and the data does not survive") {
  Stage stage(3);
  Node& node = stage.node("n");
  node.disk().fail_syncs("f", 1);
  ByteVec bytes(20'000, 5);
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", OpenMode::create);
    REQUIRE(file);
    CHECK(env.disk.sync_directory(task, ""));
    CHECK((*file)->write(task, 0, bytes, Durability::buffered));
    CHECK((*file)->sync(task).is(Errc::io));
    CHECK((*file)->sync(task));
  });
  CHECK(node.disk().contents("f") == bytes);
  CHECK_FALSE(node.disk().survives("f", 0, bytes.size()));
  node.die(Death::power_cut);
  CHECK(node.disk().contents("f") != bytes);
}

TEST_CASE("a failed synced write is told, and cannot be relied on") {
  Stage stage(3);
  Node& node = stage.node("n");
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", OpenMode::create);
    REQUIRE(file);
    CHECK(env.disk.sync_directory(task, ""));
    node.disk().fail_syncs("", 1);
    ByteVec bytes(20'000, 5);
    CHECK((*file)->write(task, 0, bytes, Durability::synced).is(Errc::io));
  });
  CHECK_FALSE(node.disk().survives("f", 0, 20'000));
}

TEST_CASE("a full disk takes a prefix of the sectors and says so; space comes back when the disk is healed") {
  Stage stage;
  Node& node = stage.node("n");
  node.disk().set_capacity(10'000);
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", OpenMode::create);
    REQUIRE(file);
    ByteVec bytes(6'000, 5);
    CHECK((*file)->write(task, 0, bytes, Durability::buffered));
    CHECK((*file)->write(task, 6'000, bytes, Durability::buffered).is(Errc::no_space));
    CHECK((*file)->write(task, 100, bytes, Durability::buffered));  // in place
    CHECK((*file)->truncate(task, 10'001).is(Errc::no_space));
    CHECK((*file)->size(task) == 19u * kSectorBytes);
    node.disk().heal();
    CHECK((*file)->write(task, 6'000, bytes, Durability::buffered));
  });
}

// Writes down what it sees.
struct Recorder : DiskObserver {
  std::vector<std::string> seen;
  SimDisk* disk = nullptr;
  void on_write(uint32_t, uint64_t op, const FileRef& f, uint64_t offset, ByteSpan bytes, Durability d) override {
    seen.push_back(
        fmt::format("{} write {}@{} '{}' {}", op, f.path, offset, as_text(bytes), d == Durability::synced ? "synced" : "buffered"));
    CHECK_FALSE(disk->survives(f.path, offset, bytes.size()));
  }
  void on_written(uint32_t, uint64_t op, const FileRef& f, uint64_t offset, uint64_t length, Durability, std::optional<Errc> e) override {
    seen.push_back(fmt::format("{} written {}@{}+{} {}", op, f.path, offset, length, e ? "error" : "ok"));
  }
  void on_sync(uint32_t, const FileRef& f, std::optional<Errc> e) override {
    seen.push_back(fmt::format("sync {} {}", f.path, e ? "error" : "ok"));
  }
  void on_name(uint32_t, NameChange c, std::string_view from, std::string_view to) override {
    seen.push_back(fmt::format("{} {} {}", to_string(c), from, to));
  }
  void on_sync_directory(uint32_t, std::string_view path) override { seen.push_back(fmt::format("sync_directory '{}'", path)); }
};

TEST_CASE("an observer sees each write as the disk receives it, and when it is done") {
  Stage stage;
  Node& node = stage.node("n");
  Recorder recorder;
  recorder.disk = &node.disk();
  node.disk().add_observer(&recorder);
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    auto file = env.disk.open(task, "f", OpenMode::create);
    REQUIRE(file);
    ByteSpan pieces[] = {as_bytes("ab"), as_bytes("cd")};
    CHECK((*file)->write(task, 10, pieces, Durability::synced));
    CHECK((*file)->write(task, 0, as_bytes("x"), Durability::buffered));
    CHECK((*file)->sync(task));
    CHECK(env.disk.rename(task, "f", "g"));
    CHECK(env.disk.sync_directory(task, ""));
  });
  CHECK(recorder.seen == std::vector<std::string>{"create f ", "2 write f@10 'abcd' synced", "2 written f@10+4 ok",
                                                  "3 write f@0 'x' buffered", "3 written f@0+1 ok", "sync f ok", "rename f g",
                                                  "sync_directory ''"});
}

TEST_CASE("a file can be slower than its disk") {
  Stage stage;
  Node& node = stage.node("n");
  DiskLatency slow;
  slow.write_min = slow.write_max = 1s;
  node.disk().set_file_latency("slow", slow);
  Duration fast_took{0}, slow_took{0};
  stage.perform(node, [&](Task& task, NodeEnv& env) {
    for (auto [path, took] : {std::pair{"fast", &fast_took}, std::pair{"slow", &slow_took}}) {
      auto file = env.disk.open(task, path, OpenMode::create);
      REQUIRE(file);
      Time before = task.now();
      CHECK((*file)->write(task, 0, as_bytes("x"), Durability::buffered));
      *took = task.now() - before;
    }
  });
  CHECK(fast_took < 10ms);
  CHECK(slow_took >= 1s);
}

}  // namespace
}  // namespace sg::sim
