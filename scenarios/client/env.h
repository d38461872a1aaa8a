// What the program of one client host stands on, simulated or real.
#pragma once

#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "base/scheduler.h"
#include "net/network.h"

namespace sg::scenario {

struct ClientEnv {
  Scheduler& scheduler;
  const Clock& clock;
  net::Network& network;
  Rng rng;
  std::vector<net::Address> bootstrap;
};

using ClientProgram = std::function<void(Task&, ClientEnv&)>;

}  // namespace sg::scenario
