// Puts brokers into a simulated world: draws their knobs from the seed, starts them (wrongly where a fault of people says so), and finds
// the targets of faults ("leader", "controller", "leader(orders-0)").
// Invariant: what the nodes are configured with is a function of (scenario, seed) and is printed with every run.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/config.h"
#include "broker/node.h"
#include "scenarios/checks/run_checks.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"
#include "scenarios/world/machine.h"
#include "sim/people.h"
#include "sim/world.h"

namespace sg::scenario {

class Cluster final : public sim::Operator {
 public:
  static constexpr uint16_t kKafkaPort = 9092;
  static constexpr uint16_t kPeerPort = 9192;

  // Adds the nodes to the world; they are down until start(). The world outlives the cluster.
  Cluster(sim::World& world, const ClusterSpec& spec);

  void start();

  const std::vector<sim::Node*>& nodes() const { return nodes_; }
  // The machines of all nodes, in their order, then the spare ones.
  const std::vector<sim::Node*>& machines() const { return machines_; }
  MachineId machine_id(size_t index) const { return index < nodes_.size() ? broker_id(index) : kFirstSpare + spare_number(index); }
  const sim::Node& machine(MachineId id) const { return *machines_[index_of(id)]; }
  // The broker id of the i-th node is i + 1.
  static NodeId broker_id(size_t index) { return NodeId(static_cast<int32_t>(index) + 1); }
  std::vector<net::Address> bootstrap() const;
  const broker::Config& config() const { return config_; }
  ClusterTiming timing() const {
    const auto& timing = config_.timing;
    return {timing.election_max, timing.session_timeout, timing.replica_lag_time_max};
  }
  // What was drawn, one "key = value" per line.
  const std::string& drawn() const { return drawn_; }

  // The program that runs on a machine now; null while it is down.
  const broker::Node* running(MachineId id) const { return brokers_[index_of(id)]; }
  // The name of `first` leads to `second`: an operator's word, for whoever dials it.
  bool is_named_after(MachineId second, MachineId first) const {
    return world_.network().has_lent_name(machine(first).index(), machine(second).index());
  }
  // How long its process has been running; zero if none does.
  Duration running_for(MachineId id) const { return running(id) ? world_.now() - starts_[index_of(id)].since : Duration(0); }

  // sim::Operator: how machines are started.
  void begin(sim::Node& machine, const sim::Fault& mistake) override;
  bool end(sim::Node& machine) override;
  sim::Node* spare(const sim::Node& of) override;

  // For sim::FaultExecutor. "leader": of a random partition; "leader(topic-n)"; "controller"; "follower": a node that leads nothing,
  // if there is one.
  std::vector<sim::Node*> resolve(std::string_view target, uint64_t draw) const;

  // The one of a running node that has applied most; null while no node has recovered.
  const metadata::Catalogue* newest_catalogue() const;

  // How often a partition has changed its leader so far.
  uint64_t leader_changes() const;

  // Kills every node and starts it once more only to recover its journal from the disk and read every replica: what is there, not what
  // somebody believes. The nodes are down afterwards. A replica that cannot be read fails the world's run.
  // `catalogue`: what replicas there are.
  std::vector<ReplicaContents> read_replicas(const metadata::Catalogue& catalogue);

  // Exit codes other than 0 that processes ended with, and why; `mistake`: of their start.
  struct Exit {
    std::string machine;
    int code = 0;
    std::string why;
    std::string mistake;
    bool disk_was_full = false;
  };
  const std::vector<Exit>& exits() const { return exits_; }
  // Mistakes in starts that have ended.
  const std::vector<MistakeEnd>& mistakes() const { return mistakes_; }

 private:
  // How the next process of a machine is started.
  struct Start {
    NodeId node;
    std::string choice;   // a word of mistakes.h
    std::string mistake;  // what a fault of people is called
    bool refused = false;
    bool put_back = false;   // its disk is an old copy
    Time since;              // of the last process
    uint64_t exchanges = 0;  // of the disk when the mistake began: on another disk it may be another mistake
    bool informed = true;    // the disk holds what contradicts the mistake
    // As whom the disk that was there at so many exchanges was used first: no other node will use it.
    std::optional<std::pair<uint64_t, NodeId>> used;
  };
  sim::Node& add_machine(Rng& clocks, std::string name);
  size_t index_of(MachineId id) const;
  Start& start_of(const sim::Node& machine);
  int32_t spare_number(size_t index) const { return static_cast<int32_t>(index - nodes_.size()); }
  int run_reader(Task& task, sim::NodeEnv& env, size_t index);
  int run_broker(Task& task, sim::NodeEnv& env, size_t index);

  sim::World& world_;
  bool resonance_;
  broker::Config config_;
  std::string drawn_;
  std::vector<sim::Node*> nodes_;
  std::vector<sim::Node*> machines_;
  std::vector<Start> starts_;           // of each machine
  std::vector<broker::Node*> brokers_;  // likewise
  std::vector<Exit> exits_;
  std::vector<MistakeEnd> mistakes_;
  // While replicas are read:
  bool reading_ = false;
  metadata::Catalogue last_catalogue_;
  std::vector<ReplicaContents> contents_;
};

}  // namespace sg::scenario
