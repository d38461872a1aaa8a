#include "broker/handlers/speaker.h"

#include <algorithm>

#include "broker/handlers/errors.h"

namespace sg::broker {

using kafka::ErrorCode;

namespace {

const metadata::Partition* find(const metadata::Catalogue& catalogue, std::string_view topic, int32_t partition) {
  const metadata::Topic* known = catalogue.topic(topic);
  if (!known || partition < 0 || static_cast<size_t>(partition) >= known->partitions.size()) return nullptr;
  return catalogue.partition(known->partitions[static_cast<size_t>(partition)]);
}

}  // namespace

Addressed address(Services& services, std::string_view topic, int32_t partition, const replica::Asked& asked) {
  // Who is outside does not know what exists either.
  if (replica::is_outside(services.membership.standing())) return {nullptr, ErrorCode::not_leader_or_follower, {}};
  const metadata::Partition* known = find(services.catalogue(), topic, partition);
  if (!known) return {nullptr, ErrorCode::unknown_topic_or_partition, {}};
  Replica* replica = services.partitions.find(known->stream);
  if (!replica) return {nullptr, ErrorCode::not_leader_or_follower, {}};
  const replica::Verdict verdict = replica->core.may(asked);
  if (verdict.speech == replica::Speech::nothing) return {nullptr, to_kafka(verdict.error), {}};
  return {replica, ErrorCode::none, verdict.speech};
}

bool may_claim(Services& services, const metadata::Partition& partition) {
  if (replica::is_outside(services.membership.standing())) return false;
  const Replica* replica = services.partitions.find(partition.stream);
  return replica && replica->core.may({replica::Question::leads}).speech == replica::Speech::as_usual;
}

void add_leader_hint(const Services& services, ErrorCode error, std::string_view topic, int32_t partition, kafka::LeaderIdAndEpoch& leader,
                     std::vector<kafka::NodeEndpoint>& endpoints) {
  const bool fenced = error == ErrorCode::fenced_leader_epoch;
  if (!fenced && error != ErrorCode::not_leader_or_follower) return;
  const metadata::Partition* known = find(services.catalogue(), topic, partition);
  if (!known || known->leader == kNoNode || (!fenced && known->leader == services.identity.node)) return;
  leader = {known->leader, known->leader_epoch};
  if (std::ranges::find(endpoints, known->leader, &kafka::NodeEndpoint::node_id) != endpoints.end()) return;
  const metadata::Broker* broker = services.catalogue().broker(known->leader);
  if (!broker) return;
  endpoints.push_back(
      {broker->node, broker->kafka.host, broker->kafka.port, broker->rack.empty() ? std::nullopt : std::optional(broker->rack)});
}

}  // namespace sg::broker
