// What each record does to the catalogue. Every function first checks everything that it relies on, then changes the state: an error
// leaves no trace. The order of iteration is that of ordered maps, so every node does the same in the same order.
#include <algorithm>
#include <limits>

#include "broker/metadata/catalogue.h"
#include "broker/metadata/topic_rules.h"

namespace sg::metadata {

namespace {

constexpr int32_t kMaxProducerIdsAtOnce = 1'000'000;

bool distinct(std::vector<NodeId> nodes) {
  std::ranges::sort(nodes);
  return std::ranges::adjacent_find(nodes) == nodes.end();
}

bool contains(const std::vector<StreamId>& streams, StreamId stream) { return std::ranges::find(streams, stream) != streams.end(); }

}  // namespace

// --- The rules by which leadership and ISR follow ------------------------------------------------------------------------------------

// Once per record, however much of the partition it changes.
void Catalogue::touch(Partition& p, Applied& out) {
  ENSURE(p.partition_epoch.v < std::numeric_limits<int32_t>::max());
  ENSURE(!p.isr.empty() && (p.leader == kNoNode || p.in_isr(p.leader)), "stream {}", p.stream);
  if (!out.partitions.empty() && out.partitions.back() == p.stream) return;
  ++p.partition_epoch;
  out.partitions.push_back(p.stream);
}

// A new leader, from the ISR only: the first in the order of the replicas, those that are about to stop last, `avoid` (a process that has
// only just started) after the others. A new leader epoch even if the leader is the same: it is another leadership.
void Catalogue::elect(Partition& p, NodeId avoid) {
  NodeId best = kNoNode;
  int best_rank = std::numeric_limits<int>::max();
  for (const Copy& copy : p.isr) {
    const Broker& b = state_.brokers.at(copy.node);
    if (b.fenced || !intact(p, copy)) continue;
    int rank = (b.draining ? 2 : 0) + (copy.node == avoid ? 1 : 0);
    if (rank < best_rank) {
      best = copy.node;
      best_rank = rank;
    }
  }
  if (best == kNoNode && p.leader == kNoNode) return;
  ENSURE(p.leader_epoch.v < std::numeric_limits<int32_t>::max());
  p.leader = best;
  ++p.leader_epoch;
}

// The copy of `node` leaves the ISR, or stays as its last member.
void Catalogue::leave_isr(Partition& p, NodeId node, Applied& out) {
  if (!p.in_isr(node)) return;
  if (p.isr.size() > 1) {
    std::erase_if(p.isr, [&](const Copy& copy) { return copy.node == node; });
  } else if (p.leader == kNoNode) {
    return;
  }
  if (p.leader == node) elect(p);
  touch(p, out);
}

// The copy lacks records that it had acknowledged, and is known to from now on.
void Catalogue::lose_copy(Partition& p, const Copy& copy, Applied& out) {
  if (!p.has_replica(copy.node) || p.is_damaged(copy)) return;
  p.damaged.insert(std::ranges::lower_bound(p.damaged, copy), copy);
  const Copy* member = p.member(copy.node);
  if (member && *member == copy) {
    if (p.isr.size() > 1) std::erase(p.isr, copy);
    if (p.leader == copy.node) elect(p);
  }
  touch(p, out);
}

// A node has registered anew. A copy in its directory that is intact, and was not fenced in between, keeps its place: only durable bytes
// were ever acknowledged, so what it had promised is still there. Any other leaves, unless it is the last: what the catalogue knows of
// another directory of this node stays as true as it was. If the node led, that leadership ended with its process.
void Catalogue::restarted(Partition& p, const RegisterBroker& r, bool kept, Applied& out) {
  const Copy copy{r.node, r.run.directory};
  if (!r.clean || contains(r.damaged, p.stream)) lose_copy(p, copy, out);
  const Copy* member = p.member(r.node);
  if (!member) return;
  const bool stays = (kept && intact(p, *member)) || p.isr.size() == 1;
  const bool led = p.leader == r.node;
  if (stays && !led) return;
  if (!stays) std::erase_if(p.isr, [&](const Copy& c) { return c.node == r.node; });
  if (led) elect(p, r.node);
  touch(p, out);
}

void Catalogue::forget_former(Broker& broker) {
  std::erase_if(broker.former, [&](const Run& run) { return !has_place({broker.node, run.directory}); });
}

Result<Broker*> Catalogue::current_broker(NodeId node, BrokerEpoch epoch) {
  auto at = state_.brokers.find(node);
  if (at == state_.brokers.end()) return fail(Errc::not_found, fmt::format("broker {} is not registered", node));
  if (at->second.epoch != epoch) {
    return fail(Errc::stale, fmt::format("broker {} has epoch {}, the request is of epoch {}", node, at->second.epoch, epoch));
  }
  return &at->second;
}

// --- Cluster and brokers -------------------------------------------------------------------------------------------------------------

Result<> Catalogue::on(const SetCluster& r, Applied&) {
  if (r.cluster_id.is_zero()) return fail(Errc::invalid, "a cluster id is not zero");
  if (!state_.cluster_id.is_zero()) return fail(Errc::exists, fmt::format("the cluster is {}", state_.cluster_id));
  state_.cluster_id = r.cluster_id;
  return {};
}

Result<> Catalogue::on(const RegisterBroker& r, Applied& out) {
  if (r.node.v < 0) return fail(Errc::invalid, fmt::format("node id {}", r.node));
  const Broker* before = broker(r.node);
  const bool same_directory = before && before->run.directory == r.run.directory;
  std::vector<Run> former;
  if (before) {
    former = before->former;
    former.push_back(before->run);
  }
  if (auto last = std::ranges::find(former, r.run.directory, &Run::directory); last != former.end()) {
    if (!r.run.newer_than(*last)) {
      return fail(Errc::stale,
                  fmt::format("broker {}: run {} of this directory has registered already, the request is of {}", r.node, *last, r.run));
    }
    former.erase(last);
  }
  const bool kept = same_directory && !before->fenced;

  state_.brokers[r.node] = Broker{.node = r.node,
                                  .epoch = BrokerEpoch(state_.applied.v),
                                  .run = r.run,
                                  .voter = r.voter,
                                  .kafka = r.kafka,
                                  .peer = r.peer,
                                  .rack = r.rack,
                                  .fenced = !kept,
                                  .draining = false,
                                  .since = state_.applied,
                                  .former = std::move(former)};
  out.broker_epoch = BrokerEpoch(state_.applied.v);
  out.brokers.push_back(r.node);
  for (auto& [stream, p] : state_.partitions) restarted(p, r, kept, out);
  forget_former(state_.brokers[r.node]);
  return {};
}

Result<> Catalogue::on(const FenceBroker& r, Applied& out) {
  TRY(Broker * broker, current_broker(r.node, r.broker_epoch));
  if (broker->fenced) return fail(Errc::stale, fmt::format("broker {} is fenced already", r.node));
  broker->fenced = true;
  broker->since = state_.applied;
  out.brokers.push_back(r.node);
  for (auto& [stream, p] : state_.partitions) leave_isr(p, r.node, out);
  return {};
}

Result<> Catalogue::on(const UnfenceBroker& r, Applied& out) {
  TRY(Broker * broker, current_broker(r.node, r.broker_epoch));
  if (!broker->fenced) return fail(Errc::stale, fmt::format("broker {} is not fenced", r.node));
  broker->fenced = false;
  broker->since = state_.applied;
  out.brokers.push_back(r.node);
  for (auto& [stream, p] : state_.partitions) {
    if (p.leader != kNoNode || !p.in_isr(r.node)) continue;
    elect(p);
    if (p.leader != kNoNode) touch(p, out);
  }
  return {};
}

Result<> Catalogue::on(const DrainBroker& r, Applied& out) {
  TRY(Broker * broker, current_broker(r.node, r.broker_epoch));
  broker->draining = true;
  out.brokers.push_back(r.node);
  for (auto& [stream, p] : state_.partitions) {
    bool replaceable = std::ranges::any_of(p.isr, [&](const Copy& copy) { return !state_.brokers.at(copy.node).draining; });
    if (replaceable) leave_isr(p, r.node, out);
  }
  return {};
}

Result<> Catalogue::on(const ReportDamage& r, Applied& out) {
  TRY(Broker * broker, current_broker(r.node, r.broker_epoch));
  for (auto& [stream, p] : state_.partitions) {
    if (contains(r.damaged, stream)) lose_copy(p, {r.node, broker->run.directory}, out);
  }
  return {};
}

Result<> Catalogue::on(const Healed& r, Applied& out) {
  TRY(Broker * broker, current_broker(r.node, r.broker_epoch));
  for (auto& [stream, p] : state_.partitions) {
    if (!contains(r.streams, stream) || std::erase(p.damaged, Copy{r.node, broker->run.directory}) == 0) continue;
    if (p.leader == kNoNode) elect(p);
    touch(p, out);
  }
  return {};
}

// Each leadership begins anew, behind all that the lost records may have begun.
Result<> Catalogue::on(const HistoryCut& r, Applied& out) {
  const bool too_far = r.leader_epoch.v == std::numeric_limits<int32_t>::max();
  if (too_far || state_.next_producer_id.v > std::numeric_limits<int64_t>::max() - kLostProducerIds)
    return fail(Errc::invalid, fmt::format("leader epochs up to {}, producer ids from {}", r.leader_epoch, state_.next_producer_id));
  state_.next_stream = std::max(state_.next_stream, r.next_stream);
  state_.next_producer_id = state_.next_producer_id + kLostProducerIds;
  for (auto& [stream, p] : state_.partitions) {
    const int32_t begun = std::max(0, r.leader_epoch.v - p.leader_epoch.v);  // as many changes, at least, are not known any more
    p.leader_epoch.v += begun;
    p.partition_epoch.v += begun;
    elect(p);
    touch(p, out);
  }
  return {};
}

// --- Topics and partitions -----------------------------------------------------------------------------------------------------------

Result<> Catalogue::on(const CreateTopic& r, Applied& out) {
  TRY_DO(check_topic_name(r.name));
  if (topic(r.name)) return fail(Errc::exists, fmt::format("topic '{}' exists", r.name));
  if (const Topic* other = colliding_topic(r.name)) {
    return fail(Errc::invalid, fmt::format("topic '{}' collides with existing topic '{}'", r.name, other->name));
  }
  if (r.topic_id.is_zero() || topic(r.topic_id)) return fail(Errc::invalid, fmt::format("topic id {} is zero or in use", r.topic_id));
  if (r.partitions.empty() || r.min_insync_replicas < 1) return fail(Errc::invalid, "a topic has at least 1 partition and min ISR 1");

  std::vector<std::vector<Copy>> isrs;
  for (const std::vector<NodeId>& replicas : r.partitions) {
    if (replicas.empty() || replicas.size() != r.partitions[0].size() || !distinct(replicas)) {
      return fail(Errc::invalid, fmt::format("topic '{}': replica lists are distinct nodes and equally long", r.name));
    }
    std::vector<Copy>& isr = isrs.emplace_back();
    for (NodeId node : replicas) {
      const Broker* b = broker(node);
      if (!b) return fail(Errc::not_found, fmt::format("topic '{}': broker {} is not registered", r.name, node));
      if (!b->fenced && !b->draining) isr.push_back({node, b->run.directory});
    }
    if (isr.empty()) return fail(Errc::unavailable, fmt::format("topic '{}': a partition has no live replica", r.name));
  }

  Topic& created = state_.topics[r.name];
  created = Topic{.name = r.name, .id = r.topic_id, .min_insync_replicas = r.min_insync_replicas, .configs = r.configs, .partitions = {}};
  topic_names_[r.topic_id] = r.name;
  for (size_t i = 0; i < r.partitions.size(); ++i) {
    StreamId stream = state_.next_stream;
    ++state_.next_stream;
    created.partitions.push_back(stream);
    NodeId leader = isrs[i][0].node;
    state_.partitions[stream] = Partition{.stream = stream,
                                          .topic_id = r.topic_id,
                                          .index = static_cast<int32_t>(i),
                                          .replicas = r.partitions[i],
                                          .isr = std::move(isrs[i]),
                                          .leader = leader,
                                          .leader_epoch = LeaderEpoch(0),
                                          .partition_epoch = PartitionEpoch(0),
                                          .min_isr = std::min(r.min_insync_replicas, static_cast<int32_t>(r.partitions[i].size())),
                                          .damaged = {}};
    out.partitions.push_back(stream);
  }
  out.topic_id = r.topic_id;
  return {};
}

Result<> Catalogue::on(const DeleteTopic& r, Applied& out) {
  const Topic* found = topic(r.topic_id);
  if (!found) return fail(Errc::not_found, fmt::format("no topic has id {}", r.topic_id));
  out.topic_id = r.topic_id;
  out.partitions = found->partitions;
  for (StreamId stream : found->partitions) state_.partitions.erase(stream);
  state_.topics.erase(topic_names_.at(r.topic_id));
  topic_names_.erase(r.topic_id);
  for (auto& [node, broker] : state_.brokers) forget_former(broker);
  return {};
}

Result<> Catalogue::on(const ChangeIsr& r, Applied& out) {
  auto at = state_.partitions.find(r.stream);
  if (at == state_.partitions.end()) return fail(Errc::not_found, fmt::format("no partition has stream {}", r.stream));
  Partition& p = at->second;
  TRY_DO(current_broker(r.leader, r.leader_broker_epoch));
  if (p.leader != r.leader || p.leader_epoch != r.leader_epoch || p.partition_epoch != r.partition_epoch) {
    return fail(Errc::stale,
                fmt::format("stream {} is led by {} in leader epoch {}, partition epoch {}; the request is of {}, {}, {}", r.stream,
                            p.leader, p.leader_epoch, p.partition_epoch, r.leader, r.leader_epoch, r.partition_epoch));
  }
  std::vector<Copy> isr;
  for (NodeId node : p.replicas) {
    auto wished = std::ranges::find(r.isr, node, &IsrMember::node);
    if (wished == r.isr.end()) continue;
    if (const Copy* member = p.member(node)) {
      isr.push_back(*member);
      continue;
    }
    const Broker* b = broker(node);
    if (!b || b->epoch != wished->broker_epoch || b->draining || !may_join(p, node)) {
      return fail(Errc::unavailable, fmt::format("stream {}: broker {} (epoch {}) is fenced, draining, damaged, or has another epoch",
                                                 r.stream, node, wished->broker_epoch));
    }
    isr.push_back({node, b->run.directory});
  }
  if (isr.size() != r.isr.size()) return fail(Errc::invalid, fmt::format("stream {}: an ISR is distinct replicas", r.stream));
  if (std::ranges::find(isr, r.leader, &Copy::node) == isr.end())
    return fail(Errc::invalid, fmt::format("stream {}: the leader stays", r.stream));
  p.isr = std::move(isr);
  touch(p, out);
  return {};
}

Result<> Catalogue::on(const AllocateProducerIds& r, Applied& out) {
  TRY_DO(current_broker(r.node, r.broker_epoch));
  if (r.count < 1 || r.count > kMaxProducerIdsAtOnce) return fail(Errc::invalid, fmt::format("{} producer ids at once", r.count));
  if (state_.next_producer_id.v > std::numeric_limits<int64_t>::max() - r.count) return fail(Errc::invalid, "producer ids are used up");
  out.first_producer_id = state_.next_producer_id;
  state_.next_producer_id = state_.next_producer_id + r.count;
  return {};
}

}  // namespace sg::metadata
