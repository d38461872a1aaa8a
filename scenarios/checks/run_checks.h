// The checks on a run as a whole: calm, the control against false alarms, and exit, how processes may end.
#pragma once

#include <optional>
#include <string>

#include "broker/node.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

// Between two views, from set-up to the end: no election, no change of a leader or an ISR, every ISR full; and no client that first sent a
// batch after the first view had to send it again or failed with it. The first thing that was otherwise.
// It is for runs without faults, in which nothing has a reason to change.
std::optional<Violation> check_calm(const ClusterView& start, const ClusterView& end, const History& history);

// A broker's process that ended with a code other than 0 without being killed.
struct ProcessEnd {
  std::string node;
  int code = 0;
  std::string why;             // as it said itself
  uint64_t disk_failures = 0;  // how often its disk has failed a write or a sync so far
  std::string mistake{};       // of the operator who started it; empty: none
  bool disk_was_full = false;
};
// Only a disk that fails, or that is full when the process needs space, is a reason, and then the code is broker::kExitDisk; or a mistake
// in its start, which the process refuses with broker::kExitRefused and a line that `refusals` know.
std::optional<Violation> check_exit(const ProcessEnd& end, const std::vector<Refusal>& refusals = {});

// What became of a mistake by the time when its operator noticed it.
struct MistakeEnd {
  std::string node;
  std::string mistake;
  bool refused = false;               // a process that was started so has ended by itself
  std::optional<Duration> running{};  // for how long one has been running, if one does
};
// A mistake that must be refused is, within a second of each start.
std::optional<Violation> check_refused(const MistakeEnd& end, const std::vector<Refusal>& refusals);

// What a node's process holds when all clients have gone and nothing has happened for a while.
struct Holding {
  std::string node;
  size_t others = 0;              // nodes of the cluster beside it
  size_t client_connections = 0;  // that the network still knows at its end: a peer that has vanished is noticed late
  size_t peer_connections = 0;    // likewise, from other nodes: one that gave up dialing may have done so unheard
  std::string tasks{};            // "name: what it waits for", a line each; a number in a name means another node
  broker::Held held{};
  size_t open_files = 0;
  size_t files = 0;  // that there are
};
// Resources are back to the baseline: one of each standing task, one of each that serves another node, none for a client that is gone;
// nothing is held for anybody, and no file is open twice.
std::optional<Violation> check_resources(const Holding& holding);

}  // namespace sg::scenario
