#include "broker/cluster/voters_list.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/probe.h"

namespace sg::broker {

JudgedList judge_voters_list(std::vector<NodeId> list, NodeId self, const raft::Configuration& configuration) {
  std::ranges::sort(list);
  const std::vector<NodeId> newest = configuration.voter_nodes();
  if (list.empty() || !configuration.known() || list == newest || list == configuration.founders) return {};
  auto listed = [&](NodeId node) { return std::ranges::binary_search(list, node); };
  const auto common = static_cast<size_t>(std::ranges::count_if(newest, listed));
  const std::string both = fmt::format("--voters names the nodes {}, the voters of this directory's cluster are {}", fmt::join(list, ","),
                                       fmt::join(newest, ","));
  if (listed(self) && 2 * common > newest.size()) return {ListVerdict::warning, both + ": the list only finds peers; bring it up to date"};
  return {ListVerdict::refused,
          both +
              ": this directory belongs to another cluster, or the list is wrong. Correct the list (or leave it out), or "
              "start with the right data directory"};
}

JudgedList judge_first_list(std::vector<NodeId> list, NodeId self, const std::vector<NodeId>& named) {
  std::ranges::sort(list);
  if (!list.empty() && !std::ranges::binary_search(list, self))
    return {ListVerdict::refused, fmt::format("--voters names the nodes {}, and not this node {}: correct the list, or the node's id",
                                              fmt::join(list, ","), self)};
  const bool knows_others = std::ranges::any_of(named, [&](NodeId node) { return node != self; });
  if (list.size() > 1 || !knows_others) return {};
  REACHED("voters: an older log knows others, the list names none");
  return {ListVerdict::refused,
          fmt::format("{}, the catalogue of this directory names the nodes {}, and its log is of an older release, which does not say who "
                      "votes: start this node with --voters and the list that the other nodes have, or with the right data directory",
                      list.empty() ? "--voters is absent" : fmt::format("--voters names the node {} alone", self), fmt::join(named, ","))};
}

}  // namespace sg::broker
