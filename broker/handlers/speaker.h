// From a request to the replica that may answer it: which partition is meant, whether this node may speak for it now, and how. The rule is
// replica/standing.h; every handler that tells a client something of a partition asks here, again after it has let others run.
#pragma once

#include <string_view>
#include <vector>

#include "broker/handlers/handlers.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/leader_hints.h"

namespace sg::broker {

struct Addressed {
  Replica* replica = nullptr;  // null: `error` is the answer
  kafka::ErrorCode error = kafka::ErrorCode::none;
  replica::Speech speech = replica::Speech::nothing;
};
// Valid until the next event.
Addressed address(Services& services, std::string_view topic, int32_t partition, const replica::Asked& asked);

// Whether this node, which the catalogue names as the partition's leader, may say so.
bool may_claim(Services& services, const metadata::Partition& partition);

// With NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH: the leader that the catalogue names, and its endpoint once per response (KIP-951).
// Nothing if there is none, and never the very node that refuses.
void add_leader_hint(const Services& services, kafka::ErrorCode error, std::string_view topic, int32_t partition,
                     kafka::LeaderIdAndEpoch& leader, std::vector<kafka::NodeEndpoint>& endpoints);

}  // namespace sg::broker
