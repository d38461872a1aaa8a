// Progress after the healing, from hand-made views of a cluster of three nodes with one partition.
#include "scenarios/checks/liveness.h"

#include <doctest/doctest.h>

#include "scenarios/checks/run_checks.h"
#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

constexpr Time kHealed{5'000'000'000};
constexpr LivenessBounds kBounds{.up = 1s, .controller = 2s, .leaders = 3s, .in_sync = 4s};

// A cluster that is looked at every 100 ms. It is well unless the story says otherwise.
struct Story {
  Story() {
    view.now = kHealed;
    view.term = Term(4);
    for (int i = 1; i <= 3; ++i) view.nodes.push_back({.id = NodeId(i), .up = true, .controller = i == 1});
    view.partitions.push_back({.name = "orders-0",
                               .leader = NodeId(2),
                               .leader_epoch = LeaderEpoch(3),
                               .partition_epoch = PartitionEpoch(5),
                               .replicas = {NodeId(1), NodeId(2), NodeId(3)},
                               .isr = {NodeId(1), NodeId(2), NodeId(3)}});
  }
  ClusterView::Partition& p() { return view.partitions.front(); }
  // For `time`; stops at the first violation.
  void look(Duration time) {
    for (const Time end = view.now + time; view.now < end && found.empty(); view.now = view.now + 100ms)
      if (auto v = checks.look(view)) found = v->check, text = v->text;
  }

  ClusterView view;
  LivenessChecks checks{kHealed, kBounds};
  std::string found;
  std::string text;
};

}  // namespace

TEST_CASE("given a cluster that is well, then it is healthy at once and stays so") {
  Story s;
  CHECK_FALSE(s.checks.healthy());
  s.look(100ms);
  CHECK(s.checks.healthy());
  s.look(60s);
  CHECK(s.found == "");
}

TEST_CASE("given stages that each come just in time, then nothing is overdue; the cluster is healthy with the last") {
  Story s;
  s.view.nodes[1].up = s.view.nodes[2].up = false;
  s.view.nodes[0].controller = false;
  s.p().leader = kNoNode;
  s.p().isr = {NodeId(2)};
  s.look(900ms);
  s.view.nodes[1].up = s.view.nodes[2].up = true;
  s.look(1900ms);
  s.view.nodes[2].controller = true;
  s.look(2900ms);
  s.p().leader = NodeId(2);
  s.look(3900ms);
  CHECK_FALSE(s.checks.healthy());
  s.p().isr = {NodeId(1), NodeId(2), NodeId(3)};
  s.look(10s);
  CHECK(s.found == "");
  CHECK(s.checks.healthy());
}

TEST_CASE("given a bound on everything, then what is missing by then is overdue, whatever it waits for") {
  LivenessBounds bounds = kBounds;
  bounds.everything = 500ms;
  Story s;
  s.checks = LivenessChecks(kHealed, bounds);
  s.p().isr = {NodeId(2)};
  s.look(400ms);
  CHECK(s.found == "");
  s.look(400ms);
  CHECK(s.found == "L3");
}

TEST_CASE("given a partition whose last copy was destroyed, then it owes nothing, and may not be led") {
  Story s;
  s.p().damaged = true;
  s.p().leader = kNoNode;
  s.p().isr = {NodeId(2)};
  s.look(20s);
  CHECK(s.found == "");
  CHECK(s.checks.healthy());
}

TEST_CASE("given a node that is away for good, then the others owe everything, and that they go on without it") {
  for (bool led : {true, false})
    for (bool left_out : {true, false}) {
      Story s;
      s.view.nodes[2] = {.id = NodeId(3), .away = true};
      s.p().leader = led ? NodeId(2) : NodeId(3);
      s.p().isr = left_out ? std::vector{NodeId(1), NodeId(2)} : std::vector{NodeId(1), NodeId(2), NodeId(3)};
      s.look(20s);
      CHECK(s.found == (!led ? "L2" : !left_out ? "L3" : ""));
      CHECK(s.checks.healthy() == (led && left_out));
      CHECK(s.view.is_served(s.p()) == (led && left_out));
    }
}

TEST_CASE("given a partition whose in-sync replicas are all away, then it owes nothing") {
  Story s;
  s.view.nodes[2] = {.id = NodeId(3), .away = true};
  s.p().leader = kNoNode;
  s.p().isr = {NodeId(3)};
  s.look(20s);
  CHECK(s.found == "");
  CHECK_FALSE(s.view.is_served(s.p()));
}

TEST_CASE(
    "given two nodes that do not hear each other for good, then neither is in sync with the other, and who hears no controller leads "
    "nothing") {
  Story s;
  s.view.cut = {{NodeId(3), NodeId(2)}};
  s.look(3s);
  CHECK_FALSE(s.checks.healthy());
  s.p().isr = {NodeId(1), NodeId(2)};
  s.look(20s);
  CHECK(s.found == "");
  CHECK(s.checks.healthy());

  Story t;
  t.view.cut = {{NodeId(1), NodeId(2)}};
  t.look(20s);
  CHECK(t.found == "L2");
}

TEST_CASE("given a destroyed quorum, then nothing is owed but that the nodes run, and that is all that health means") {
  for (bool up : {true, false}) {
    Story s;
    s.view.quorum_destroyed = true;
    s.view.nodes[0].controller = false;
    s.view.nodes[0].up = up;
    s.p().leader = kNoNode;
    s.look(20s);
    CHECK(s.found == (up ? "" : "L8"));
    CHECK(s.checks.healthy() == up);
  }
}

TEST_CASE("given a violation, then it says what was expected, what was found, and when") {
  Story s;
  s.p().isr = {NodeId(1), NodeId(2)};
  s.look(20s);
  CHECK(s.text ==
        "orders-0 has the ISR {1, 2} of the replicas {1, 2, 3} at 4.100 s after everything was healed (leader 2, epoch 3); expected: every "
        "live one within 4.000 s of all partitions being led");
}

TEST_CASE("given the timing of a cluster, then the bounds are those of the specification with the stated allowances") {
  LivenessBounds bounds = bounds_of({.election_max = 800ms, .session_timeout = 1500ms});
  CHECK(bounds.controller == 3 * 800ms + 1050ms);
  CHECK(bounds.leaders == 1500ms + 2s);
}

namespace {

// A producer's record, acknowledged at the first attempt after the first view.
Send good_send() {
  return {.value = {1, 7},
          .partition = {"orders", 0},
          .acks = -1,
          .idempotent = true,
          .first_attempt = kHealed + 1s,
          .completed = kHealed + 2s,
          .outcome = Outcome::ok,
          .offset = Offset(3),
          .attempts = 1};
}
std::string calm(const std::function<void(ClusterView& start, ClusterView& end, Send& send)>& change,
                 const std::vector<TopicOp>& topic_ops = {}) {
  ClusterView start = Story().view;
  ClusterView end = start;
  end.now = end.now + 10s;
  History history;
  history.sends.push_back(good_send());
  history.topic_ops = topic_ops;
  change(start, end, history.sends.front());
  auto v = check_calm(start, end, history);
  return v ? v->check : "";
}
std::string idle(const std::function<void(IdlePartition&)>& change) {
  IdlePartition p{.name = "orders-0", .leader = NodeId(2), .high_watermark = 9, .replicas = {}};
  for (int i = 1; i <= 3; ++i) p.replicas.push_back({.node = NodeId(i), .in_sync = true, .durable_end = 9});
  change(p);
  std::string names;
  for (const Violation& v : check_idle({p})) add_name(names, v.check);
  return names;
}

const AddPairs kLivenessPairs({
    {"L1", "no controller by its bound",
     [](bool broken) {
       Story s;
       s.view.nodes[0].controller = false;
       s.look(1900ms);
       s.view.nodes[0].controller = !broken;
       s.look(10s);
       return s.found;
     }},
    {"L1", "two controllers behind the bound",
     [](bool broken) {
       Story s;
       s.view.nodes[1].controller = true;
       s.look(1900ms);
       s.view.nodes[0].controller = broken;
       s.look(10s);
       return s.found;
     }},
    {"L1", "elections without an end",
     [](bool broken) {
       Story s;
       s.look(1900ms);
       s.view.term = Term(5);
       s.look(1s);
       if (broken) s.view.term = Term(6);
       s.look(10s);
       return s.found;
     }},
    {"L2", "a partition without a leader by its bound",
     [](bool broken) {
       Story s;
       s.p().leader = kNoNode;
       s.look(2900ms);
       if (!broken) s.p().leader = NodeId(3);
       s.look(10s);
       return s.found;
     }},
    {"L2", "a partition is led by a copy that was destroyed",
     [](bool broken) {
       Story s;
       s.p().damaged = broken;
       s.look(10s);
       return s.found;
     }},
    {"L3", "a live replica outside the ISR by its bound",
     [](bool broken) {
       Story s;
       s.p().isr = {NodeId(2), NodeId(3)};
       s.look(3900ms);
       if (!broken) s.p().isr = {NodeId(1), NodeId(2), NodeId(3)};
       s.look(10s);
       return s.found;
     }},
    {"L3", "a replica leaves the ISR again behind the bound, if only for a moment",
     [](bool broken) {
       Story s;
       s.look(broken ? 10s : 1s);
       s.p().isr = {NodeId(2), NodeId(3)};
       s.look(200ms);
       s.p().isr = {NodeId(1), NodeId(2), NodeId(3)};
       s.look(10s);
       return s.found;
     }},
    {"L3", "a live replica outside the ISR, and nothing on its disk excuses it",
     [](bool broken) {
       Story s;
       s.p().isr = {NodeId(2), NodeId(3)};
       s.view.nodes[0].spoiled = !broken;
       s.look(10s);
       return s.found;
     }},
    {"L3", "who was cut off while a majority went on is not back at once, though a later stage is not due yet",
     [](bool broken) {
       Story s;
       LivenessBounds bounds = kBounds;
       bounds.rejoined = 2s;
       s.checks = LivenessChecks(kHealed, bounds);
       s.p().isr = {NodeId(1), NodeId(2)};
       s.look(1900ms);
       if (!broken) s.p().isr = {NodeId(1), NodeId(2), NodeId(3)};
       s.look(10s);
       return s.found;
     }},
    {"L5", "a high watermark behind the end, which its leader has told",
     [](bool broken) {
       return idle([&](IdlePartition& p) {
         p.high_watermark = 8;
         p.is_told = broken;
       });
     }},
    {"L5", "the high watermark stays behind the log when nothing is written any more",
     [](bool broken) { return idle([&](IdlePartition& p) { p.high_watermark = broken ? 8 : 9; }); }},
    {"L8", "a node that does not come up",
     [](bool broken) {
       Story s;
       s.view.nodes[2].up = false;
       s.look(900ms);
       s.view.nodes[2].up = !broken;
       s.look(10s);
       return s.found;
     }},
    {"L8", "a replica that has not caught up when nothing is written any more",
     [](bool broken) { return idle([&](IdlePartition& p) { p.replicas[2].durable_end = broken ? 8 : 9; }); }},
    {"calm", "a partition that nobody has made",
     [](bool broken) {
       return calm([](ClusterView& start, ClusterView&, Send&) { start.partitions.clear(); },
                   {{.client = 1, .topic = broken ? "order" : "orders", .begun = {}, .ended = {}, .outcome = Outcome::ok}});
     }},
    {"calm", "an election without a fault",
     [](bool broken) { return calm([&](ClusterView&, ClusterView& end, Send&) { end.term = Term(broken ? 5 : 4); }); }},
    {"calm", "a new leader without a fault",
     [](bool broken) {
       return calm([&](ClusterView&, ClusterView& end, Send&) { end.partitions[0].leader_epoch = LeaderEpoch(broken ? 4 : 3); });
     }},
    {"calm", "an ISR that shrank and grew again without a fault",
     [](bool broken) {
       return calm([&](ClusterView&, ClusterView& end, Send&) { end.partitions[0].partition_epoch = PartitionEpoch(broken ? 7 : 5); });
     }},
    {"calm", "an ISR that was never full",
     [](bool broken) {
       return calm([&](ClusterView& start, ClusterView& end, Send&) {
         if (broken) start.partitions[0].isr = end.partitions[0].isr = {NodeId(1), NodeId(2)};
       });
     }},
    {"calm", "a client that had to send twice without a fault",
     [](bool broken) { return calm([&](ClusterView&, ClusterView&, Send& send) { send.attempts = broken ? 2 : 1; }); }},
    {"calm", "a send without a fault that was not acknowledged",
     [](bool broken) {
       return calm([&](ClusterView&, ClusterView&, Send& send) { send.outcome = broken ? Outcome::unknown : Outcome::ok; });
     }},
    {"calm", "a partition that nobody has made",
     [](bool broken) {
       return calm([&](ClusterView&, ClusterView& end, Send&) {
         if (broken) end.partitions[0].stream = StreamId(99);
       });
     }},
    {"exit", "a broker ends by itself though its disk works",
     [](bool broken) {
       auto v = check_exit({.node = "node1", .code = 3, .why = "synced write failed", .disk_failures = broken ? 0u : 1u});
       return v ? v->check : std::string();
     }},
    {"resources", "a task for a client that is gone",
     [](bool broken) {
       Holding h{.node = "node1", .others = 2, .client_connections = broken ? 0u : 1u, .peer_connections = 4};
       h.tasks = "  main: a reason to stop\n  dial 2: frames to send\n  dial 3: frames to send\n  fetch: records\n";
       auto v = check_resources(h);
       return v ? v->check : std::string();
     }},
    {"resources", "a second task for another node",
     [](bool broken) {
       Holding h{.node = "node1", .others = broken ? 1u : 2u, .peer_connections = 4};
       h.tasks = "  follow 2: read from a connection\n  follow 2: read from a connection\n";
       auto v = check_resources(h);
       return v ? v->check : std::string();
     }},
    {"resources", "bytes of a request that is answered",
     [](bool broken) {
       Holding h{.node = "node1", .others = 2};
       h.held.request_bytes = broken ? 1 : 0;
       auto v = check_resources(h);
       return v ? v->check : std::string();
     }},
    {"resources", "a file that is open twice",
     [](bool broken) {
       Holding h{.node = "node1", .others = 2, .open_files = 3, .files = broken ? 2u : 3u};
       auto v = check_resources(h);
       return v ? v->check : std::string();
     }},
    {"exit", "a broker says that its disk is full, and it is not",
     [](bool broken) {
       auto v = check_exit({.node = "node1", .code = 3, .why = "no space", .disk_was_full = !broken});
       return v ? v->check : std::string();
     }},
    {"exit", "a broker whose disk failed ends with another code",
     [](bool broken) {
       auto v = check_exit({.node = "node1", .code = broken ? 2 : 3, .why = "synced write failed", .disk_failures = 1});
       return v ? v->check : std::string();
     }},
});

}  // namespace

TEST_CASE("calm: what administrators make, and what is sent to be refused, is no change") {
  for (bool on_trial : {true, false})
    CHECK(calm([&](ClusterView&, ClusterView&, Send& s) {
            s.outcome = Outcome::unknown;
            s.on_trial = on_trial;
          }) == (on_trial ? "" : "calm"));
  ClusterView start = Story().view;
  ClusterView end = start;
  end.partitions.push_back(end.partitions.front());
  end.partitions.back().name = "own-0";
  end.partitions.back().stream = StreamId(99);
  History history;
  CHECK(check_calm(start, end, history).has_value());
  history.topic_ops.push_back({.client = 1, .kind = TopicOp::Kind::made, .topic = "own", .begun = {}, .ended = {}});
  CHECK_FALSE(check_calm(start, end, history).has_value());
}

TEST_CASE("calm: given a retry before the first view, then it is not judged: the topics were just being made") {
  CHECK(calm([](ClusterView& start, ClusterView&, Send& send) {
          send.first_attempt = start.now - 1s;
          send.attempts = 3;
        }) == "");
}
