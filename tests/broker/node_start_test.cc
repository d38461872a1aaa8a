// What a node refuses when it starts: a list of voters that contradicts a directory which does not say itself who votes.
#include <doctest/doctest.h>

#include "broker/node.h"
#include "broker/raft_recovery.h"
#include "tests/sim/fixture.h"

using namespace sg;
using namespace sg::broker;

namespace {

Config node_1(std::initializer_list<int> voters) {
  Config c;
  c.listen.kafka = {"node1", 9092};
  c.listen.peer = {"node1", 9192};
  for (int id : voters) c.voters.push_back({NodeId(id), {fmt::format("node{}", id), 9192}});
  return c;
}

// As an older release left it: a log that names no voters, with the registrations of these brokers.
void write_older_log(sim::Stage& stage, sim::Node& node, std::initializer_list<int> brokers) {
  stage.perform(node, [&](Task& task, sim::NodeEnv& e) {
    wal::Options options;
    options.segment_bytes = options.first_segment_bytes = 1 << 20;
    auto opened = wal::Journal::open(task, e.disk, options, Rng(3), Log());
    REQUIRE(opened);
    wal::Journal& j = *opened->journal;
    j.set_hard_state({Term(1), NodeId(1)});
    int64_t index = 1;
    j.advance_start(wal::kRaftLog, index);
    for (int broker : brokers) {
      metadata::RegisterBroker r;
      r.node = NodeId(broker);
      r.run = {Uuid{1, static_cast<uint64_t>(broker)}, Incarnation(1), 1};
      const SharedBytes data = SharedBytes::copy_of(metadata::encode(r));
      j.append(to_append({Term(1), LogIndex(index++), raft::EntryKind::command, data}));
    }
    REQUIRE(j.settle(task));
  });
}

struct Ended {
  std::optional<int> code;
  std::string line;
};

// What becomes of node 1 within a second.
Ended start(sim::Stage& stage, sim::Node& node, const Config& config) {
  Ended out;
  stage.begin(node, [&](Task& task, sim::NodeEnv& e) {
    Node broker({e.scheduler, e.clock, e.network, e.disk, e.rng, e.log}, config, {{}, [&](const std::string& line) { out.line = line; }});
    out.code = broker.run(task);
  });
  stage.run_for(1s);
  Ended seen = out;
  node.die(sim::Death::kill);
  return seen;
}

}  // namespace

TEST_CASE(
    "given a directory of the older format whose catalogue names others, when no list is given, then the start is refused with both") {
  for (auto list : {std::initializer_list<int>{}, {1}}) {
    sim::Stage stage;
    sim::Node& node = stage.node("node1");
    write_older_log(stage, node, {1, 2, 3});
    const Ended ended = start(stage, node, node_1(list));
    CHECK(ended.code == kExitRefused);
    CHECK(ended.line.find("the catalogue of this directory names the nodes 1,2,3") != std::string::npos);
    CHECK(ended.line.find(list.size() == 0 ? "--voters is absent" : "--voters names the node 1 alone") == 0);
  }
}

TEST_CASE("given a directory of the older format, when the list names the others, or nobody else is known, then the node starts") {
  sim::Stage stage;
  sim::Node& node = stage.node("node1");
  write_older_log(stage, node, {1, 2, 3});
  CHECK_FALSE(start(stage, node, node_1({1, 2, 3})).code);
  sim::Stage alone;
  sim::Node& single = alone.node("node1");
  write_older_log(alone, single, {1});
  CHECK_FALSE(start(alone, single, node_1({})).code);
}

TEST_CASE("given an empty directory, when the list names other nodes only, then the start is refused with both") {
  sim::Stage stage;
  const Ended ended = start(stage, stage.node("node1"), node_1({2, 3, 4}));
  CHECK(ended.code == kExitRefused);
  CHECK(ended.line == "--voters names the nodes 2,3,4, and not this node 1: correct the list, or the node's id");
}
