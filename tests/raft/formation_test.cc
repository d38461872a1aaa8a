// Forming a cluster: alone and in timelines, and many nodes under a seed that decides delays, losses, crashes and wiped disks.
#include "broker/raft/formation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <queue>
#include <set>

#include "base/archive.h"

namespace sg::raft::test {
namespace {

// A few founders whose disks are slow and whose messages are lost. What is durable of a node is the last step that its disk took, and,
// once it was handed out, the configuration that its log began with.
class Founders {
 public:
  Founders(uint64_t seed, int count) : rng_(seed), count_(count) {
    for (int i = 1; i <= count; ++i) wipe(NodeId(i));
  }

  void start(NodeId id, bool form = true) {
    Node& n = nodes_[id];
    Formation::Config config;
    config.self = {id, n.voter};
    config.form = form;
    for (int i = 1; i <= count_; ++i) config.list[NodeId(i)] = {"host", static_cast<uint16_t>(i)};
    ++n.run;
    n.in_flight.clear();
    n.core = std::make_unique<Formation>(config, n.durable, n.log.has_value(), n.log ? n.log->cluster_id : Uuid{},
                                         rng_.split("formation", n.run * 100 + static_cast<uint64_t>(id.v)));
    step(id, [this](Formation& f) { return f.start(now_); });
  }
  void crash(NodeId id) { nodes_[id].core.reset(); }
  void wipe(NodeId id) {
    ENSURE(!up(id));
    const uint64_t run = nodes_[id].run;
    nodes_[id] = Node{};
    nodes_[id].voter = VoterId(++voters_);
    nodes_[id].run = run;
  }
  bool up(NodeId id) { return nodes_[id].core != nullptr; }

  void run_for(Duration d) {
    for (Time end = now_ + d;;) {
      if (queue_.empty() || queue_.top().at > end) {
        now_ = end;
        return;
      }
      Event e = queue_.top();
      queue_.pop();
      now_ = e.at;
      e.run();
    }
  }
  // The clusters whose logs have begun on some disk, or in the memory of a node that is up.
  std::set<Uuid> clusters() {
    std::set<Uuid> out;
    for (auto& [id, n] : nodes_)
      if (n.log) out.insert(n.log->cluster_id);
    return out;
  }
  size_t members() {
    return static_cast<size_t>(std::ranges::count_if(nodes_, [](const auto& n) { return n.second.log.has_value(); }));
  }
  // Of the voters that the cluster was formed with, those whose memory is still there.
  size_t founders_left() {
    for (auto& [id, n] : nodes_) {
      if (!n.log) continue;
      const auto& voters = n.log->configuration.voters;
      return static_cast<size_t>(std::ranges::count_if(voters, [&](const Voter& v) { return nodes_.at(v.node).voter == v.id; }));
    }
    return 0;
  }
  const std::optional<Promise>& log(NodeId id) { return nodes_[id].log; }

  Rng rng_;
  int64_t delay_max = 5'000'000;
  int64_t disk_max = 5'000'000;
  uint64_t loss_percent = 0;
  std::string violation;
  std::vector<std::string> notes;

 private:
  struct Node {
    VoterId voter;
    uint64_t run = 0;
    std::unique_ptr<Formation> core{};
    FormationState durable{};
    std::vector<FormationState> in_flight{};
    std::optional<Promise> log{};  // begun, durably
  };
  struct Event {
    Time at;
    uint64_t sequence;
    std::function<void()> run;
    bool operator>(const Event& o) const { return at != o.at ? at > o.at : sequence > o.sequence; }
  };
  void at(Time when, std::function<void()> run) { queue_.push({when, sequence_++, std::move(run)}); }

  void step(NodeId id, const std::function<Formation::Output(Formation&)>& event) {
    Node& n = nodes_[id];
    if (!n.core) return;
    Formation::Output out = event(*n.core);
    notes.insert(notes.end(), out.notes.begin(), out.notes.end());
    const uint64_t run = n.run;
    if (out.persist) {
      n.in_flight.push_back(*out.persist);
      Duration late(rng_.between(0, disk_max));
      n_disk_[id] = std::max(n_disk_[id], now_) + late;
      at(n_disk_[id], [this, id, run] {
        Node& m = nodes_[id];
        if (!m.core || m.run != run) return;
        m.durable = m.in_flight.front();
        m.in_flight.erase(m.in_flight.begin());
        step(id, [this](Formation& f) { return f.durable(now_); });
      });
    }
    for (Formation::Addressed& m : out.messages) {
      if (rng_.chance(loss_percent, 100)) continue;
      Duration delay(rng_.between(1000, delay_max));
      at(now_ + delay, [this, id, m] { step(m.to, [&](Formation& f) { return f.receive(now_, id, m.message); }); });
    }
    if (out.formed) begin_log(id, *out.formed);
    if (n.core->deadline() != Time::never()) {
      Time when = std::max(now_, n.core->deadline());
      at(when, [this, id, run] {
        if (nodes_[id].core && nodes_[id].run == run && nodes_[id].core->deadline() <= now_)
          step(id, [this](Formation& f) { return f.tick(now_); });
      });
    }
  }
  void begin_log(NodeId id, const Promise& promise) {
    // All promises of the round are durable, or were, at whoever has not been wiped since.
    for (const Voter& v : promise.configuration.voters) {
      const Node& founder = nodes_[v.node];
      bool promised = founder.durable.promise == promise || founder.log == promise;
      if (founder.voter == v.id && !promised)
        violation = fmt::format("node {} begins its log in cluster {}, which node {} has not promised", id, promise.cluster_id, v.node);
    }
    nodes_[id].log = promise;
  }

  int count_;
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, Time> n_disk_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
  Time now_;
  uint64_t sequence_ = 0;
  uint64_t voters_ = 0;
};

bool said(const Founders& f, std::string_view text) {
  return std::ranges::any_of(f.notes, [&](const std::string& note) { return note.find(text) != std::string::npos; });
}

}  // namespace

TEST_CASE("formation: given three empty nodes that are told to, then they form one cluster, and every log begins with the same set") {
  Founders f(1, 3);
  for (int i = 1; i <= 3; ++i) f.start(NodeId(i));
  f.run_for(1s);
  CHECK(f.members() == 3);
  CHECK(f.clusters().size() == 1);
  CHECK((f.log(NodeId(1)) == f.log(NodeId(3))));
  CHECK(f.log(NodeId(1))->configuration.founders.size() == 3);
}

TEST_CASE("formation: given a node that is alone in its list, then it forms itself without being told to") {
  Formation::Config config;
  config.self = {NodeId(1), VoterId(9)};
  Formation f(config, FormationState{}, false, Uuid{}, Rng(1));
  Formation::Output out = f.start(Time{});
  CHECK_FALSE(out.formed);  // before its promise is durable
  REQUIRE(out.persist);
  out = f.durable(Time{});
  REQUIRE(out.formed);
  REQUIRE(out.formed->configuration.voters.size() == 1);
  CHECK((out.formed->configuration.voters.front() == Voter{NodeId(1), VoterId(9)}));
  CHECK(!out.formed->cluster_id.is_zero());
}

TEST_CASE(
    "formation: given a node that was killed between the forming and the beginning of its log, then it goes on with the same cluster") {
  for (const bool alone : {true, false}) {
    Formation::Config config;
    config.self = {NodeId(1), VoterId(9)};
    if (!alone)
      for (int i = 1; i <= 3; ++i) config.list[NodeId(i)] = {"host", static_cast<uint16_t>(i)};
    FormationState promised;
    promised.answered = {4, NodeId(1)};
    promised.promise = Promise{{4, NodeId(1)}, Uuid{5, 6}, {}};
    promised.promise->configuration.voters = {{NodeId(1), VoterId(9)}};
    Formation f(config, promised, false, Uuid{5, 6}, Rng(2));
    Formation::Output out = f.start(Time{});
    REQUIRE(out.formed);
    CHECK(out.formed == promised.promise);
  }
}

TEST_CASE("formation: given a directory that knows its cluster and has no log of it any more, then it forms no other one, told to or not") {
  for (const bool alone : {true, false}) {
    Formation::Config config;
    config.self = {NodeId(1), VoterId(9)};
    config.form = true;
    if (!alone)
      for (int i = 1; i <= 3; ++i) config.list[NodeId(i)] = {"host", static_cast<uint16_t>(i)};
    Formation f(config, FormationState{}, false, Uuid{5, 6}, Rng(2));
    Formation::Output out = f.start(Time{});
    CHECK_FALSE(out.formed);
    CHECK_FALSE(out.persist);
    REQUIRE(out.notes.size() == 1);
    CHECK(out.notes[0].find("nothing is left of its log") != std::string::npos);
    CHECK(f.deadline() == Time::never());
    out = f.receive(Time{}, NodeId(2), Ask{{1, NodeId(2)}});
    if (!alone) {
      out = f.durable(Time{});
      REQUIRE(out.messages.size() == 1);
      CHECK(std::get<Answer>(out.messages[0].message).standing == Standing::waiting);
    }
  }
}

TEST_CASE("formation: given a promise to form with others, when the list is left out, then it forms none alone") {
  Formation::Config config;
  config.self = {NodeId(1), VoterId(9)};
  FormationState promised;
  promised.answered = {4, NodeId(2)};
  promised.promise = Promise{{4, NodeId(2)}, Uuid{5, 6}, {}};
  for (int i = 1; i <= 3; ++i) promised.promise->configuration.voters.push_back({NodeId(i), VoterId(9)});
  Formation f(config, promised, false, Uuid{}, Rng(2));
  Formation::Output out = f.start(Time{});
  CHECK_FALSE(out.formed);
  CHECK_FALSE(out.persist);
  REQUIRE(out.notes.size() == 1);
  CHECK(out.notes[0].find("has promised to form a cluster with voters 1,2,3") != std::string::npos);
}

TEST_CASE("formation: given one of three that was not told to form a cluster, then none is formed, and the log says of whom that is") {
  Founders f(2, 3);
  f.start(NodeId(1));
  f.start(NodeId(2));
  f.start(NodeId(3), false);
  f.run_for(5s);
  CHECK(f.members() == 0);
  CHECK(said(f, "nodes 3 are empty and were started without --form"));
  CHECK(said(f, "node 3 was not told to form a new cluster"));
}

TEST_CASE("formation: given one of three that is not there, then none is formed, and the log says whom it waits for") {
  Founders f(3, 3);
  f.start(NodeId(1));
  f.start(NodeId(3));
  f.run_for(5s);
  CHECK(f.members() == 0);
  CHECK(said(f, "no answer yet from nodes 2"));
  f.start(NodeId(2));
  f.run_for(10s);
  CHECK(f.members() == 3);
}

TEST_CASE("formation: given a founder whose disk is replaced later, when it is told to form again, then it waits to be admitted") {
  Founders f(4, 3);
  for (int i = 1; i <= 3; ++i) f.start(NodeId(i));
  f.run_for(1s);
  REQUIRE(f.members() == 3);
  f.crash(NodeId(2));
  f.wipe(NodeId(2));
  f.start(NodeId(2));
  f.run_for(5s);
  CHECK(f.members() == 2);
  CHECK(f.clusters().size() == 1);
  CHECK(said(f, "which is formed already"));
}

TEST_CASE("formation: given two of three whose disks are replaced, when all are told to form, then the third one's cluster stands alone") {
  Founders f(5, 3);
  for (int i = 1; i <= 3; ++i) f.start(NodeId(i));
  f.run_for(1s);
  for (int i = 1; i <= 2; ++i) {
    f.crash(NodeId(i));
    f.wipe(NodeId(i));
    f.start(NodeId(i));
  }
  f.run_for(20s);
  CHECK(f.members() == 1);
}

TEST_CASE("formation: given any delays, losses, crashes and disks wiped before the cluster is formed, then there is never a second one") {
  int formed_in_time = 0, all_in = 0;
  for (uint64_t seed = 1; seed <= 500; ++seed) {
    Founders f(seed, seed % 3 == 0 ? 5 : 3);
    Rng rng = Rng(seed).split("chaos");
    const int count = seed % 3 == 0 ? 5 : 3;
    f.loss_percent = rng.below(4) * 10;
    f.delay_max = rng.log_between(100'000, 300'000'000);
    f.disk_max = rng.log_between(100'000, 300'000'000);
    for (int i = 1; i <= count; ++i)
      if (rng.chance(3, 4)) f.start(NodeId(i));
    for (int k = 0; k < 40 && f.violation.empty(); ++k) {
      Duration pause(rng.log_between(100'000, 500'000'000));
      f.run_for(pause);
      NodeId any(static_cast<int32_t>(rng.between(1, count)));
      if (f.up(any) && rng.chance(1, 2)) {
        f.crash(any);
        if (f.members() == 0 && rng.chance(1, 3)) f.wipe(any);
      } else if (!f.up(any)) {
        f.start(any);
      }
    }
    f.loss_percent = 0;
    f.delay_max = f.disk_max = 5'000'000;
    formed_in_time += f.members() > 0 ? 1 : 0;
    for (int i = 1; i <= count; ++i)
      if (!f.up(NodeId(i))) f.start(NodeId(i));
    f.run_for(120s);
    CAPTURE(seed);
    CHECK(f.violation == "");
    CHECK(f.clusters().size() == 1);
    // A disk that was wiped between its promise and the forming is another voter; all the others are in.
    CHECK(f.members() == f.founders_left());
    all_in += f.members() == static_cast<size_t>(count) ? 1 : 0;
  }
  CHECK(formed_in_time > 200);
  CHECK(all_in > 450);
}

TEST_CASE("formation: given each message, when packed and unpacked, then it is the same") {
  Promise promise;
  promise.round = {3, NodeId(1)};
  promise.cluster_id = Uuid{1, 2};
  promise.configuration.voters.push_back({NodeId(1), VoterId(6)});
  Answer answer;
  answer.round = {1, NodeId(2)};
  answer.answered = {2, NodeId(1)};
  answer.standing = Standing::formed;
  answer.voter = VoterId(3);
  answer.list.push_back(NodeId(1));
  answer.cluster_id = Uuid{4, 5};
  std::vector<FormationMessage> messages;
  messages.push_back(Ask{answer.round});
  messages.push_back(answer);
  messages.push_back(Propose{promise});
  messages.push_back(Promised{answer.round});
  messages.push_back(Formed{answer.cluster_id});
  for (const FormationMessage& m : messages) {
    ByteVec packed = pack(m);
    auto back = unpack<FormationMessage>(ByteSpan(packed));
    REQUIRE(back);
    CHECK(back->index() == m.index());
    CHECK(pack(*back) == packed);
    for (size_t n = 0; n < packed.size(); ++n) CHECK(!unpack<FormationMessage>(ByteSpan(packed).first(n)));
  }
}

}  // namespace sg::raft::test
