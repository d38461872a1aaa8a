// Where the replicas of a new topic go: leaders and replicas spread evenly over nodes, the replicas of one partition over distinct racks
// as far as there are racks. The controller decides and writes the decision into the record; apply never places.
//
// A broker that is down, or about to stop, gets replicas too, where the live ones do not suffice: last in the list and out of the ISR
// (Catalogue::on(CreateTopic) leaves it out), so a topic can be made while a broker is away, and the broker copies it when it returns.
// Invariant: equal input gives equal output; never fewer replicas than asked for; no replica on a broker that is not live stands before one
// on a live broker.
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
  bool live = true;      // unfenced and not draining: may lead, and be in sync from the beginning
  int64_t leaders = 0;   // partitions whose preferred leader it is
  int64_t replicas = 0;  // including those
};

// Every broker that has ever registered, with its load, ascending by node.
std::vector<Candidate> candidates(const Catalogue& catalogue);

// Counts `assignment` into the load of `brokers`: for topics that are decided and not yet in the catalogue.
void add_load(std::vector<Candidate>& brokers, const std::vector<std::vector<NodeId>>& assignment);

// Replica lists for `partitions` partitions, the preferred leader first; `brokers` is left with the new load. Each leader is the live
// broker with the fewest leaderships, each further replica the one with the fewest replicas: first among the live ones, then among racks
// that this partition does not use yet. Ties go round robin from `rotation`. Errc::unavailable: fewer brokers than `replication_factor`, or
// fewer live ones than `min_live` (>= 1), which are in sync from the beginning. Errc::invalid: a count below 1. After an error the load is
// as before.
Result<std::vector<std::vector<NodeId>>> place(std::vector<Candidate>& brokers, int32_t partitions, int32_t replication_factor,
                                               int32_t min_live, uint64_t rotation);

}  // namespace sg::metadata
