// Progress while faults last, from hand-made views of a cluster of three nodes with one partition that node 2 leads.
#include "scenarios/checks/progress_checks.h"

#include <doctest/doctest.h>

#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

const NodeId kOne(1), kTwo(2), kThree(3);

struct Story {
  Story() {
    view.now = Time{0};
    view.term = Term(4);
    view.controller = kOne;
    view.nodes = {kOne, kTwo, kThree};
    view.partitions.push_back(
        {.name = "orders-0", .stream = StreamId(16), .leader = kTwo, .leader_epoch = {}, .isr = view.nodes, .min_insync = 2});
  }
  ProgressView::Partition& p() { return view.partitions.front(); }
  // For `time`; stops at the first violation.
  Story& look(Duration time) {
    for (const Time end = view.now + time; view.now < end && !wrong; view.now = view.now + 100ms) wrong = checks.look(view);
    return *this;
  }
  Story& dies(NodeId node) {
    view.down.insert(node);
    view.hampered.insert({node, node});
    if (view.controller == node) view.controller = kNoNode;
    return *this;
  }
  std::string found() const { return wrong ? "L9" : ""; }

  ProgressView view;
  ProgressChecks checks{{.controller = 2s, .led = 5s, .committed = 4s}};
  std::optional<std::string> wrong;
};

}  // namespace

TEST_CASE("progress: a cluster that is well owes and has everything") {
  Story s;
  s.look(60s);
  CHECK(s.found() == "");
  CHECK(s.checks.judged() > 0);
}

TEST_CASE("progress: nothing is owed while no majority is whole") {
  Story s;
  s.look(10s).dies(kOne).dies(kTwo);
  s.p().leader = kNoNode;
  s.view.term = Term(9);
  s.look(60s);
  CHECK(s.found() == "");
  // Nor while every majority has a bad link in it.
  Story t;
  t.view.hampered = {{kOne, kTwo}, {kTwo, kThree}, {kOne, kThree}};
  t.view.controller = kNoNode;
  CHECK(t.look(60s).found() == "");
}

TEST_CASE("progress: bounds count from when the majority became whole") {
  Story s;
  s.dies(kOne);
  s.view.hampered.insert({kTwo, kThree});
  s.look(60s);
  s.view.hampered.erase({kTwo, kThree});
  CHECK(s.look(1900ms).found() == "");
  CHECK(s.look(10s).found() == "L9");
}

TEST_CASE("progress: an election is in order where the controller is not one of those that are whole") {
  Story s;
  s.look(10s);
  s.view.hampered = {{kOne, kOne}};
  s.look(10s);
  s.view.controller = kNoNode;
  s.look(1s);
  s.view.term = Term(5);
  s.view.controller = kThree;
  CHECK(s.look(10s).found() == "");
}

TEST_CASE("progress: a replica from which the controller is cut off is not owed a leadership, though it is one of a whole majority") {
  for (bool cut_off : {true, false}) {
    Story s;
    s.view.controller = kThree;
    s.view.hampered = {{cut_off ? kOne : kTwo, kThree}};
    s.p().isr = {kOne};
    s.p().leader = kNoNode;
    CHECK(s.look(60s).found() == (cut_off ? "" : "L9"));
  }
}

namespace {

const AddPairs kProgressPairs({
    {"L9", "nobody becomes the controller though a majority is whole",
     [](bool broken) {
       Story s;
       s.look(10s).dies(kOne).look(1500ms);
       if (!broken) s.view.controller = kThree;
       return s.look(10s).found();
     }},
    {"L9", "an election though the controller and a majority are whole",
     [](bool broken) {
       Story s;
       s.look(10s).dies(kThree).look(5s);
       if (broken) s.view.term = Term(5);
       return s.look(10s).found();
     }},
    {"L9", "a partition that a whole replica could lead stays without a leader",
     [](bool broken) {
       Story s;
       s.look(10s).dies(kTwo);
       s.look(4s);
       if (!broken) s.p().leader = kThree;
       return s.look(10s).found();
     }},
    {"L9", "what is on the leader's disk is not committed, though enough replicas are whole",
     [](bool broken) {
       Story s;
       s.look(10s).dies(kThree);
       s.p().log_end = 7;
       s.look(3900ms);
       if (!broken) s.p().high_watermark = 7;
       return s.look(10s).found();
     }},
});

}  // namespace
