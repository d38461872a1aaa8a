#include "broker/metadata/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace sg::metadata {

std::vector<Candidate> candidates(const Catalogue& catalogue) {
  std::map<NodeId, Candidate> load;
  for (const auto& [node, broker] : catalogue.brokers())
    load[node] = Candidate{.node = node, .rack = broker.rack, .live = !broker.fenced && !broker.draining};
  for (const auto& [stream, p] : catalogue.partitions()) {
    for (NodeId node : p.replicas) {
      Candidate& at = load.at(node);
      ++at.replicas;
      if (node == p.replicas[0]) ++at.leaders;
    }
  }
  std::vector<Candidate> result;
  for (auto& [node, candidate] : load) result.push_back(std::move(candidate));
  return result;
}

void add_load(std::vector<Candidate>& brokers, const std::vector<std::vector<NodeId>>& assignment) {
  for (const std::vector<NodeId>& replicas : assignment) {
    for (Candidate& b : brokers) {
      if (std::ranges::find(replicas, b.node) != replicas.end()) ++b.replicas;
      if (!replicas.empty() && replicas[0] == b.node) ++b.leaders;
    }
  }
}

namespace {

// The candidate that is not yet used and least in (rank, distance from `start` round the circle).
template <class Rank>
size_t least(const std::vector<Candidate>& brokers, const std::vector<bool>& used, uint64_t start, Rank rank) {
  size_t best = brokers.size();
  for (size_t step = 0; step < brokers.size(); ++step) {
    size_t i = (start % brokers.size() + step) % brokers.size();
    if (!used[i] && (best == brokers.size() || rank(brokers[i]) < rank(brokers[best]))) best = i;
  }
  ENSURE(best < brokers.size());
  return best;
}

std::vector<NodeId> place_one(std::vector<Candidate>& brokers, int32_t replication_factor, uint64_t rotation) {
  std::vector<NodeId> replicas;
  std::vector<bool> used(brokers.size());
  std::set<std::string> racks;
  auto take = [&](size_t i) {
    used[i] = true;
    if (!brokers[i].rack.empty()) racks.insert(brokers[i].rack);
    ++brokers[i].replicas;
    replicas.push_back(brokers[i].node);
  };

  size_t leader = least(brokers, used, rotation, [](const Candidate& b) { return std::tuple(!b.live, b.leaders, b.replicas); });
  ++brokers[leader].leaders;
  take(leader);
  while (replicas.size() < static_cast<size_t>(replication_factor)) {
    auto rank = [&](const Candidate& b) { return std::tuple(!b.live, racks.contains(b.rack), b.replicas); };
    take(least(brokers, used, rotation + replicas.size(), rank));
  }
  return replicas;
}

}  // namespace

Result<std::vector<std::vector<NodeId>>> place(std::vector<Candidate>& brokers, int32_t partitions, int32_t replication_factor,
                                               int32_t min_live, uint64_t rotation) {
  ENSURE(min_live >= 1);
  if (partitions < 1 || replication_factor < 1) {
    return fail(Errc::invalid, fmt::format("{} partitions with {} replicas", partitions, replication_factor));
  }
  if (static_cast<size_t>(replication_factor) > brokers.size()) {
    return fail(Errc::unavailable,
                fmt::format("replication factor {} needs as many brokers, {} have ever registered", replication_factor, brokers.size()));
  }
  if (auto live = std::ranges::count_if(brokers, &Candidate::live); live < min_live) {
    return fail(Errc::unavailable,
                fmt::format("min.insync.replicas {} needs as many live brokers, {} of {} are live", min_live, live, brokers.size()));
  }
  std::vector<std::vector<NodeId>> assignment;
  for (int32_t i = 0; i < partitions; ++i) {
    assignment.push_back(place_one(brokers, replication_factor, rotation + static_cast<uint64_t>(i)));
    ENSURE(assignment.back().size() == static_cast<size_t>(replication_factor));
  }
  return assignment;
}

}  // namespace sg::metadata
