// What a broker needs of the world: the four interfaces (clock, network, disk, random), and where its fibers run and its log goes.
// Production and simulator each build one; broker code sees nothing else of the world.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/scheduler.h"
#include "disk/disk.h"
#include "net/network.h"

namespace sg::broker {

// The references outlive the broker.
struct Env {
  Scheduler& scheduler;
  const Clock& clock;
  net::Network& network;
  disk::Disk& disk;
  Rng rng;
  Log log;
};

}  // namespace sg::broker
