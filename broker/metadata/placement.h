// Where the replicas of a new topic go: leaders and replicas spread evenly over nodes, the replicas of one partition over distinct racks
// as far as there are racks. The controller decides and writes the decision into the record; apply never places.
// Invariant: equal input gives equal output, and never fewer replicas than asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "broker/metadata/catalogue.h"

namespace sg::metadata {

// A broker that may get replicas, and what it carries already.
struct Candidate {
  NodeId node{-1};
  std::string rack;      // empty: a rack of its own
  int64_t leaders = 0;   // partitions whose preferred leader it is
  int64_t replicas = 0;  // including those
};

// The brokers that are unfenced and not draining, with their load, ascending by node.
std::vector<Candidate> candidates(const Catalogue& catalogue);

// Counts `assignment` into the load of `brokers`: for topics that are decided and not yet in the catalogue.
void add_load(std::vector<Candidate>& brokers, const std::vector<std::vector<NodeId>>& assignment);

// Replica lists for `partitions` partitions, the preferred leader first; `brokers` is left with the new load. Each leader is the broker
// with the fewest leaderships, each further replica the one with the fewest replicas, first among racks that this partition does not use
// yet. Ties go round robin from `rotation`.
// Errc::unavailable: fewer brokers than `replication_factor`. Errc::invalid: a count below 1.
Result<std::vector<std::vector<NodeId>>> place(std::vector<Candidate>& brokers, int32_t partitions, int32_t replication_factor,
                                               uint64_t rotation);

}  // namespace sg::metadata
