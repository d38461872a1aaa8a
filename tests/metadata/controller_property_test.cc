// A cluster of simulated brokers around the controller: processes die, restart, lose their disks, controllers change, proposals are lost.
// Safety: the invariants hold after every record (fixture.h). Liveness: when the faults stop, every broker is unfenced within a session,
// every partition whose copies were not destroyed has a leader, and the controller has nothing left to do.
#include <rapidcheck.h>

#include <array>

#include "tests/base/nth_run.h"
#include "tests/metadata/timeline.h"

namespace sg::metadata {
namespace {

constexpr int kNodes = 3;

class Cluster {
 public:
  explicit Cluster(uint64_t seed) : rng_(seed) {
    t_.start();
    t_.apply_all();
    for (int node = 1; node <= kNodes; ++node) t_.boot(node, 1);
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
    switch (rng_.below(12)) {
      case 0:
        if (p.alive) {
          p.alive = false;
          if (rng_.chance(1, 2)) t_.take(t_.controller().on_suspicion(t_.now, NodeId(node), sg::test::nth_run(p.run)));
        }
        break;
      case 1:
        if (!p.alive) {
          p.alive = true;
          ++p.run;
          if (rng_.chance(1, 10)) {
            ++p.directory;
            wiped = true;
          }
          if (rng_.chance(1, 2)) t_.take(t_.controller().on_alive(t_.now, NodeId(node), sg::test::nth_run(p.run)));
        }
        break;
      case 2:
        t_.take(t_.controller().on_suspicion(t_.now, NodeId(node), sg::test::nth_run(p.run)));  // perhaps false
        break;
      case 3:
        t_.fail_over(node);
        for (NodeId probed : t_.probes) {
          if (!at(probed.v).alive) t_.take(t_.controller().on_probe_refused(t_.now, probed));
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
        if (!t_.proposed.empty()) t_.apply_one();
        break;
      default: breathe(node); break;
    }
    CHECK(t_.proposed.size() <= 20);
  }

  // Everything alive, nothing lost any more.
  void heal() {
    for (int node = 1; node <= kNodes; ++node) {
      Process& p = at(node);
      if (!p.alive) ++p.run;
      p.alive = true;
    }
    for (int round = 0; round < 40; ++round) {
      t_.pass(100ms);
      for (int node = 1; node <= kNodes; ++node) breathe(node);
      t_.take(t_.controller().on_deadline(t_.now));
      t_.apply_all();
    }
  }

  // What a live broker does every heartbeat: registers if it has to, reports, and as a leader brings its replicas back.
  void breathe(int node) {
    Process& p = at(node);
    if (!p.alive) return;
    const Broker* b = t_.catalogue().broker(NodeId(node));
    if (b->run.v != p.run || b->directory_id.high != p.directory) {
      t_.request(node, Replayed::registration(node, p.run, p.directory));
      return;
    }
    t_.beat(node);
    for (const auto& [stream, partition] : t_.catalogue().partitions()) {
      if (partition.leader != NodeId(node)) continue;
      std::vector<NodeId> isr;
      for (NodeId r : partition.replicas) {
        if (partition.in_isr(r) || (at(r.v).alive && !t_.broker(r.v).fenced)) isr.push_back(r);
      }
      if (isr.size() > partition.isr.size()) t_.request(node, t_.log.wish(stream, isr));
    }
  }

  Timeline& timeline() { return t_; }
  bool wiped = false;

 private:
  struct Process {
    bool alive = true;
    uint64_t run = 1;
    uint64_t directory = 1;
  };
  Process& at(int node) { return processes_.at(static_cast<size_t>(node - 1)); }

  Rng rng_;
  Timeline t_;
  std::array<Process, kNodes> processes_;
};

TEST_CASE("given a cluster in chaos, when the faults stop, then all is available again but what was destroyed, and nothing is in flight") {
  uint64_t lost = 0;
  CHECK(rc::check([&](uint64_t seed) {
    Cluster cluster(seed);
    for (int i = 0; i < 200; ++i) cluster.chaos();
    cluster.heal();
    Timeline& t = cluster.timeline();
    RC_ASSERT(t.proposed.empty());
    for (const auto& [node, broker] : t.catalogue().brokers()) RC_ASSERT(!broker.fenced);
    for (const auto& [stream, p] : t.catalogue().partitions()) {
      lost += p.last_copy_damaged;
      RC_ASSERT(p.online() != p.last_copy_damaged);
      if (!cluster.wiped) RC_ASSERT(p.online());
      if (p.online()) RC_ASSERT(p.isr == p.replicas);
    }
  }));
  CHECK(lost > 0);
}

}  // namespace
}  // namespace sg::metadata
