// Who leads a partition, for answers that refuse because another node does (KIP-951).
#pragma once

#include <string_view>
#include <vector>

#include "broker/kafka/leader_hints.h"
#include "broker/metadata/catalogue.h"

namespace sg::broker {

// Fills in the leader that the catalogue names, and its endpoint once per response. Nothing if there is none.
inline void add_leader_hint(const metadata::Catalogue& catalogue, std::string_view topic, int32_t index, kafka::LeaderIdAndEpoch& leader,
                            std::vector<kafka::NodeEndpoint>& endpoints) {
  const metadata::Topic* known = catalogue.topic(topic);
  if (!known || index < 0 || static_cast<size_t>(index) >= known->partitions.size()) return;
  const metadata::Partition* partition = catalogue.partition(known->partitions[static_cast<size_t>(index)]);
  if (!partition || partition->leader == kNoNode) return;
  leader = {partition->leader, partition->leader_epoch};
  for (const kafka::NodeEndpoint& e : endpoints)
    if (e.node_id == partition->leader) return;
  const metadata::Broker* broker = catalogue.broker(partition->leader);
  if (!broker) return;
  endpoints.push_back(
      {broker->node, broker->kafka.host, broker->kafka.port, broker->rack.empty() ? std::nullopt : std::optional(broker->rack)});
}

}  // namespace sg::broker
