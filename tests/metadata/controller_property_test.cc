// A cluster of simulated brokers around the controller: processes die, restart, lose their disks and get them back, have twins elsewhere,
// controllers change, proposals are lost.
// Safety: the invariants hold after every record (fixture.h), and no process that lives is replaced by another directory or a copy of its
// own. Liveness: when the faults stop, every broker is unfenced within a session, every partition whose copies were not destroyed has a
// leader, and the controller has nothing left to do.
#include <rapidcheck.h>

#include <map>
#include <vector>

#include "tests/base/nth_run.h"
#include "tests/metadata/timeline.h"

namespace sg::metadata {
namespace {

constexpr int kNodes = 3;

struct Process {
  int node;
  uint16_t port;
  bool alive = true;
  uint64_t directory = 1;
  std::map<uint64_t, uint64_t> starts{};  // of each of its directories

  void start(uint64_t in) {
    alive = true;
    directory = in;
    ++starts[in];
  }
  Run run() const { return sg::test::nth_run(starts.at(directory), directory); }
  RegisterBroker registration() const {
    RegisterBroker r = Replayed::registration(node, starts.at(directory), directory);
    r.peer.port = port;
    return r;
  }
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed) : rng_(seed) {
    t_.start();
    t_.apply_all();
    for (int node = 1; node <= kNodes; ++node) {
      processes_.push_back({.node = node, .port = static_cast<uint16_t>(9192 + node)});
      processes_.back().start(1);
      t_.boot(node, 1);
    }
    // Their twins, started by mistake now and then.
    for (int node = 1; node <= kNodes; ++node)
      processes_.push_back({.node = node, .port = static_cast<uint16_t>(7000 + node), .alive = false, .directory = 100});
    for (int i = 0; i < 3; ++i) {
      CreateTopicItem item{
          .name = "t" + std::to_string(i), .num_partitions = 2, .replication_factor = i + 1, .assignment = {}, .configs = {}};
      t_.ask<CreateTopicsReply>(1, CreateTopicsRequest{.topics = {item}});
    }
    REQUIRE(t_.catalogue().partitions().size() == 6);
  }

  void chaos() {
    int node = static_cast<int>(rng_.between(1, kNodes));
    Process& p = at(node);
    switch (rng_.below(14)) {
      case 0:
        if (p.alive) {
          p.alive = false;
          if (rng_.chance(1, 2)) t_.take(t_.controller().on_suspicion(t_.now, NodeId(node), p.run()));
        }
        break;
      case 1:
        if (!p.alive) restart(p);
        break;
      case 2: t_.take(t_.controller().on_suspicion(t_.now, NodeId(node), p.run())); break;  // perhaps false
      case 3:
        t_.fail_over(node);
        for (NodeId probed : t_.probes) {
          if (!registered_lives(probed)) t_.take(t_.controller().on_probe_refused(t_.now, probed));
        }
        break;
      case 4:
        t_.pass(Duration(std::chrono::milliseconds(rng_.log_between(1, 2000))));
        t_.take(t_.controller().on_deadline(t_.now));
        break;
      case 5:
        if (!t_.proposed.empty()) t_.lose_one();
        break;
      case 6:
      case 7:
        if (!t_.proposed.empty()) apply_one();
        break;
      case 8: {
        Process& twin = twin_of(node);
        if (twin.alive)
          twin.alive = false;
        else if (rng_.chance(1, 4))
          twin.start(100 + rng_.below(2));
        break;
      }
      case 9: breathe(twin_of(node)); break;
      default: breathe(p); break;
    }
    CHECK(t_.proposed.size() <= 20);
  }

  // Everything alive, no twins, nothing lost any more, and each node on the disk that it had first, where that was not destroyed.
  void heal() {
    for (int node = 1; node <= kNodes; ++node) {
      twin_of(node).alive = false;
      Process& p = at(node);
      if (p.directory != first_directory(node) || !p.alive) p.start(first_directory(node));
    }
    for (int round = 0; round < 80; ++round) {
      t_.pass(100ms);
      for (int node = 1; node <= kNodes; ++node) breathe(at(node));
      t_.take(t_.controller().on_deadline(t_.now));
      while (!t_.proposed.empty()) apply_one();
    }
  }

  // What a live broker does every heartbeat: registers if it has to, reports, and as a leader brings its replicas back.
  void breathe(Process& p) {
    if (!p.alive) return;
    const Broker* b = t_.catalogue().broker(NodeId(p.node));
    if (b->run != p.run()) {
      t_.request(p.node, p.registration());
      answer_truthfully();
      return;
    }
    t_.beat(p.node);
    for (const auto& [stream, partition] : t_.catalogue().partitions()) {
      if (partition.leader != NodeId(p.node)) continue;
      std::vector<NodeId> isr;
      for (NodeId r : partition.replicas) {
        if (partition.in_isr(r) || (registered_lives(r) && t_.catalogue().may_join(partition, r))) isr.push_back(r);
      }
      if (isr.size() > partition.isr.size()) t_.request(p.node, t_.log.wish(stream, isr));
    }
  }

  Timeline& timeline() { return t_; }
  // Of this node's disks: the first one that still exists.
  uint64_t first_directory(int node) const { return destroyed_.contains(node) ? destroyed_.at(node) + 1 : 1; }
  bool wiped() const { return !destroyed_.empty(); }
  int replaced = 0;

 private:
  Process& at(int node) { return processes_.at(static_cast<size_t>(node - 1)); }
  Process& twin_of(int node) { return processes_.at(static_cast<size_t>(kNodes + node - 1)); }

  void restart(Process& p) {
    uint64_t directory = first_directory(p.node);
    if (rng_.chance(1, 12)) {
      destroyed_[p.node] = directory++;  // a new disk
    } else if (rng_.chance(1, 12)) {
      directory = 50 + rng_.below(2);  // the disk was not mounted: an empty directory below it
    }
    p.start(directory);
    if (rng_.chance(1, 2)) t_.take(t_.controller().on_alive(t_.now, NodeId(p.node), p.run()));
  }

  const Process* lives(const Run& run, NodeId node) const {
    for (const Process& p : processes_)
      if (p.alive && NodeId(p.node) == node && p.run() == run) return &p;
    return nullptr;
  }
  bool registered_lives(NodeId node) const { return lives(t_.catalogue().broker(node)->run, node) != nullptr; }

  void answer_truthfully() {
    while (!t_.inquiries.empty()) {
      std::optional<Run> there;
      for (const Process& p : processes_)
        if (p.alive && p.port == t_.inquiries.front().address.port) there = p.run();
      t_.answer(there);
    }
  }

  // The rule of who may replace whom, told without the controller's words.
  void apply_one() {
    if (const auto* r = std::get_if<RegisterBroker>(&t_.proposed.front().record)) {
      const Broker& b = *t_.catalogue().broker(r->node);
      const Process* there = lives(b.run, r->node);
      const bool is_twin = there && there->port != r->peer.port;
      const bool gives_way = !t_.catalogue().has_place({r->node, b.run.directory}) && t_.catalogue().has_place({r->node, r->run.directory});
      RC_ASSERT(!is_twin || gives_way);
      replaced += b.run.directory != r->run.directory;
    }
    t_.apply_one();
  }

  Rng rng_;
  Timeline t_;
  std::vector<Process> processes_;
  std::map<int, uint64_t> destroyed_;  // the last disk of each node that is no more
};

TEST_CASE("given a cluster in chaos, when the faults stop, then all is available again but what was destroyed, and nothing is in flight") {
  uint64_t lost = 0;
  uint64_t replaced = 0;
  CHECK(rc::check([&](uint64_t seed) {
    Cluster cluster(seed);
    for (int i = 0; i < 240; ++i) cluster.chaos();
    cluster.heal();
    replaced += static_cast<uint64_t>(cluster.replaced);
    Timeline& t = cluster.timeline();
    RC_ASSERT(t.proposed.empty());
    for (const auto& [node, broker] : t.catalogue().brokers()) RC_ASSERT(!broker.fenced);
    for (const auto& [stream, p] : t.catalogue().partitions()) {
      const bool is_lost = p.isr.size() == 1 && !t.catalogue().intact(p, p.isr[0]);
      lost += is_lost;
      RC_ASSERT(p.online() != is_lost);
      // Offline is only what was last held by a directory that is no more, or that a twin or an empty mount point took away again.
      if (is_lost) RC_ASSERT(p.isr[0].directory.low != cluster.first_directory(p.isr[0].node.v));
      if (p.online()) RC_ASSERT(p.isr_nodes() == p.replicas);
    }
  }));
  CHECK(lost > 0);
  CHECK(replaced > 0);
}

}  // namespace
}  // namespace sg::metadata
