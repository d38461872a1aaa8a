// The simulated network and disk keep the same promises as the production ones.
#include <doctest/doctest.h>

#include "sim/world.h"
#include "tests/contract/disk_contract.h"
#include "tests/contract/network_contract.h"

namespace sg::sim {
namespace {

// Nodes whose program only lends out its environment, for as long as the fixture lives.
class Lender {
 public:
  explicit Lender(World& world, std::string name, const NodeOptions& options = {})
      : node_(world.add_node(
            std::move(name),
            [this](Task& task, NodeEnv& env) {
              env_ = &env;
              (void)task.park("lent");
              return 0;
            },
            options)) {
    node_.start();
    world.run_while([this] { return env_ == nullptr; }, world.now() + 1s);
  }
  NodeEnv& env() { return *env_; }
  Node& node() { return node_; }

 private:
  NodeEnv* env_ = nullptr;
  Node& node_;
};

constexpr Duration kBound = 60s;

class SimNetworkFixture final : public contract::NetworkFixture {
 public:
  SimNetworkFixture() : world_(42, {}, pools_), a_(world_, "a"), b_(world_, "b"), dark_(world_, "dark") {
    dark_.node().die(Death::power_cut);
  }
  Scheduler& scheduler(int node) override { return lender(node).env().scheduler; }
  net::Network& network(int node) override { return lender(node).env().network; }
  net::Address local(int node) override { return {lender(node).node().name(), 0}; }
  net::Address silent() override { return {"dark", 1}; }
  bool run_until(const std::function<bool()>& done) override {
    return world_.run_while([&] { return !done(); }, world_.now() + kBound);
  }

 private:
  Lender& lender(int node) { return node == 0 ? a_ : b_; }
  Pools pools_;
  World world_;
  Lender a_, b_, dark_;
};

class SimDiskFixture final : public contract::DiskFixture {
 public:
  explicit SimDiskFixture(bool direct) : world_(42, {}, pools_), lender_(world_, "n", options(direct)) {}
  Scheduler& scheduler() override { return lender_.env().scheduler; }
  disk::Disk& disk() override { return lender_.env().disk; }
  bool run_until(const std::function<bool()>& done) override {
    return world_.run_while([&] { return !done(); }, world_.now() + kBound);
  }

 private:
  static NodeOptions options(bool direct) {
    NodeOptions o;
    o.disk.direct = direct;
    return o;
  }
  Pools pools_;
  World world_;
  Lender lender_;
};

TEST_CASE("the simulated network keeps the contract") {
  SimNetworkFixture fixture;
  contract::network_contract(fixture);
}

TEST_CASE("the simulated disk keeps the contract") {
  SimDiskFixture fixture(true);
  contract::disk_contract(fixture);
}

TEST_CASE("the simulated disk that refuses direct access keeps the contract") {
  SimDiskFixture fixture(false);
  contract::disk_contract(fixture);
}

}  // namespace
}  // namespace sg::sim
