// Puts brokers into a simulated world: draws their knobs from the seed, starts them, and finds the targets of faults ("leader",
// "controller", "leader(orders-0)").
// Invariant: what the nodes are configured with is a function of (scenario, seed) and is printed with every run.
#pragma once

#include <string>
#include <vector>

#include "broker/config.h"
#include "broker/node.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace sg::scenario {

class Cluster {
 public:
  static constexpr uint16_t kKafkaPort = 9092;
  static constexpr uint16_t kPeerPort = 9192;

  // Adds the nodes to the world; they are down until start(). The world outlives the cluster.
  Cluster(sim::World& world, const ClusterSpec& spec);

  void start();

  const std::vector<sim::Node*>& nodes() const { return nodes_; }
  // The broker id of the i-th node is i + 1.
  static NodeId broker_id(size_t index) { return NodeId(static_cast<int32_t>(index) + 1); }
  std::vector<net::Address> bootstrap() const;
  const broker::Config& config() const { return config_; }
  // What was drawn, one "key = value" per line.
  const std::string& drawn() const { return drawn_; }

  // Where the program of a node runs now; null while it is down.
  const broker::Node* running(size_t index) const { return brokers_[index]; }

  // For sim::FaultExecutor. "leader": of a random partition; "leader(topic-n)"; "controller"; "follower": a node that leads nothing,
  // if there is one.
  std::vector<sim::Node*> resolve(std::string_view target, uint64_t draw) const;

  // The one of a running node that has applied most; null while no node has recovered.
  const metadata::Catalogue* newest_catalogue() const;

  // How often a partition has changed its leader so far.
  uint64_t leader_changes() const;

  // Kills every node and starts it once more only to recover its journal from the disk and read every replica: what is there, not what
  // somebody believes. The nodes are down afterwards. A replica that cannot be read fails the world's run.
  std::vector<ReplicaContents> read_replicas();

  // Exit codes other than 0 that nodes ended with, and why.
  struct Exit {
    std::string node;
    int code = 0;
    std::string why;
  };
  const std::vector<Exit>& exits() const { return exits_; }

 private:
  void draw_knobs(Rng rng, bool production_defaults);
  int run_reader(Task& task, sim::NodeEnv& env, size_t index);
  int run_broker(Task& task, sim::NodeEnv& env, size_t index);

  sim::World& world_;
  broker::Config config_;
  std::string drawn_;
  std::vector<sim::Node*> nodes_;
  std::vector<broker::Node*> brokers_;
  std::vector<Exit> exits_;
  // While replicas are read:
  bool reading_ = false;
  metadata::Catalogue last_catalogue_;
  std::vector<ReplicaContents> contents_;
};

}  // namespace sg::scenario
