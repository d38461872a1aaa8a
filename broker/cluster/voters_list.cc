#include "broker/cluster/voters_list.h"

#include <fmt/ranges.h>

#include <algorithm>

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

}  // namespace sg::broker
