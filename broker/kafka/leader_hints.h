// What Produce and Fetch responses say about a leader that has moved, so that a client need not ask for metadata (KIP-951).
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"

namespace sg::kafka {

struct LeaderIdAndEpoch {
  NodeId leader_id = kNoNode;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;

  bool operator==(const LeaderIdAndEpoch&) const = default;
  template <class Io>
  void describe(Io& io) {
    io.field(leader_id);
    io.field(leader_epoch);
    io.end();
  }
};

struct NodeEndpoint {
  NodeId node_id;
  std::string host;
  int32_t port = 0;
  std::optional<std::string> rack;

  bool operator==(const NodeEndpoint&) const = default;
  template <class Io>
  void describe(Io& io) {
    io.field(node_id);
    io.field(host);
    io.field(port);
    io.field(rack);
    io.end();
  }
};

}  // namespace sg::kafka
