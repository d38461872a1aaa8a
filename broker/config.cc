#include "broker/config.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::broker {

namespace {

constexpr size_t kOtherDescriptors = 64;    // standard streams, ring, signals, listeners, a file being replaced
constexpr size_t kDescriptorsPerVoter = 8;  // links, and their successors while the old ones end
constexpr size_t kFewestConnections = 16;

}  // namespace

Result<> fit_to_descriptors(Config& c, size_t descriptors) {
  const size_t kept = kOtherDescriptors + kDescriptorsPerVoter * std::max<size_t>(1, c.voters.size()) +
                      static_cast<size_t>(c.journal.budget_bytes / c.journal.segment_bytes);
  if (descriptors < kept + kFewestConnections)
    return fail(Errc::invalid, fmt::format("this process may open {} files; with this journal it needs {}: raise the limit (ulimit -n)",
                                           descriptors, kept + kFewestConnections));
  const size_t left = descriptors - kept;
  c.limits.peer_connections = std::min(c.limits.peer_connections, left / 4);
  c.limits.connections = std::min(c.limits.connections, left - left / 4);
  return {};
}

Result<> validate(const Config& c) {
  auto bad = [](std::string text) -> Result<> { return fail(Errc::invalid, std::move(text)); };
  if (c.node_id.v < 0) return bad(fmt::format("node_id = {}: must not be negative", c.node_id));
  if (c.data_dir.empty()) return bad("data_dir is empty: name a directory for this node's data");
  std::vector<NodeId> ids;
  for (const Voter& v : c.voters) ids.push_back(v.id);
  std::sort(ids.begin(), ids.end());
  if (std::adjacent_find(ids.begin(), ids.end()) != ids.end()) return bad("voters: a node id appears twice");
  if (ids.size() > 7 || (ids.size() > 1 && ids.size() % 2 == 0))
    return bad(fmt::format("voters: {} nodes; use 1, 3, 5 or 7 (further nodes join as observers)", ids.size()));
  if (c.timing.heartbeat <= 0ms) return bad("timing.heartbeat_ms must be above 0");
  if (c.timing.election_min > c.timing.election_max) return bad("timing.election_timeout_ms: the first value must not exceed the second");
  if (c.timing.election_min < 2 * c.timing.heartbeat)
    return bad(
        "timing.election_timeout_ms: must be at least twice timing.heartbeat_ms, or followers take a late heartbeat for a dead leader");
  if (c.timing.session_timeout < 3 * c.timing.heartbeat)
    return bad("timing.session_timeout_ms: must be at least three times timing.heartbeat_ms, or the controller is taken for silent");
  if (c.timing.link_timeout < 3 * c.timing.heartbeat)
    return bad(
        "timing.link_timeout_ms: must be at least three times timing.heartbeat_ms, or a link with a late heartbeat is taken for dead");
  if (c.timing.replica_lag_time_max <= 0ms) return bad("timing.replica_lag_time_max_ms must be above 0");
  if (c.broker.default_replication_factor == 0 || c.broker.default_replication_factor < -1)
    return bad("broker.default.replication.factor: must be -1 (automatic) or at least 1");
  if (c.broker.min_insync_replicas == 0 || c.broker.min_insync_replicas < -1)
    return bad("broker.min.insync.replicas: must be -1 (automatic) or at least 1");
  if (c.broker.num_partitions < 1) return bad("broker.num.partitions must be at least 1");
  if (c.broker.message_max_bytes < 1024) return bad("broker.message.max.bytes must be at least 1024");
  if (c.limits.request_max_bytes < static_cast<size_t>(c.broker.message_max_bytes))
    return bad("broker.socket.request.max.bytes: must not be below broker.message.max.bytes");
  if (c.journal.segment_bytes < 4096 || c.journal.segment_bytes % 4096 != 0) return bad("journal.segment_mib: too small");
  if (c.journal.budget_bytes < 4 * c.journal.segment_bytes)
    return bad("journal.budget_mib: must hold at least four segments (journal.segment_mib)");
  return {};
}

}  // namespace sg::broker
