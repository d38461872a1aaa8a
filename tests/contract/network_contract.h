// What every implementation of net::Network promises (net/network.h), as one suite. A test case makes a fresh fixture and calls
// network_contract(fixture); the subcases inside make doctest enter it once for each promise.
#pragma once

#include <functional>

#include "base/scheduler.h"
#include "net/network.h"

namespace sg::contract {

// Two nodes, 0 and 1, that can reach each other. They may share a scheduler or a network.
class NetworkFixture {
 public:
  virtual ~NetworkFixture() = default;
  virtual Scheduler& scheduler(int node) = 0;
  virtual net::Network& network(int node) = 0;
  // Where the node may listen: its host, and port 0.
  virtual net::Address local(int node) = 0;
  // An address that answers nothing, neither yes nor no, to a connect from node 0.
  virtual net::Address silent() = 0;
  // Runs both nodes until `done`; false if that does not come about within a generous bound.
  virtual bool run_until(const std::function<bool()>& done) = 0;
};

void network_contract(NetworkFixture& fixture);

}  // namespace sg::contract
