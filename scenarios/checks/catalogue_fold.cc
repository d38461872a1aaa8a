#include "scenarios/checks/catalogue_fold.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "broker/metadata/topic_rules.h"

namespace sg::scenario {
namespace {

bool contains(const std::vector<NodeId>& nodes, NodeId node) { return std::ranges::find(nodes, node) != nodes.end(); }

std::string line(const CatalogueFacts::Partition& p) {
  return fmt::format("leader {} epoch {} partition epoch {} ISR [{}] replicas [{}] min {}{}", p.leader, p.leader_epoch, p.partition_epoch,
                     fmt::join(p.isr, ","), fmt::join(p.replicas, ","), p.min_isr, p.last_copy_damaged ? ", last copy damaged" : "");
}
std::string line(const CatalogueFacts::Broker& b) {
  return fmt::format("epoch {} run {}{}{}", b.epoch, b.run, b.fenced ? " fenced" : "", b.draining ? " draining" : "");
}

template <class Map>
std::string first_difference(const char* what, const Map& expected, const Map& found) {
  for (const auto& [key, value] : expected) {
    auto other = found.find(key);
    if (other == found.end()) return fmt::format("{} {} is missing; expected: {}", what, key, line(value));
    if (other->second != value) return fmt::format("{} {} is {}; expected: {}", what, key, line(other->second), line(value));
  }
  for (const auto& [key, value] : found)
    if (!expected.contains(key)) return fmt::format("{} {} is {}; expected: none", what, key, line(value));
  return "";
}

}  // namespace

CatalogueFacts facts_of(const metadata::Catalogue& catalogue) {
  CatalogueFacts out;
  for (const auto& [node, b] : catalogue.brokers()) out.brokers[node] = {b.epoch, b.run, b.fenced, b.draining};
  for (const auto& [stream, p] : catalogue.partitions())
    out.partitions[stream] = {p.replicas, p.isr, p.leader, p.leader_epoch, p.partition_epoch, p.min_isr, p.last_copy_damaged};
  return out;
}

std::string difference(const CatalogueFacts& expected, const CatalogueFacts& found) {
  std::string out = first_difference("broker", expected.brokers, found.brokers);
  return out.empty() ? first_difference("stream", expected.partitions, found.partitions) : out;
}

bool CatalogueFold::apply(LogIndex index, const metadata::Record& record) {
  index_ = index;
  return std::visit([this](const auto& r) { return on(r); }, record);
}

const CatalogueFacts::Partition* CatalogueFold::partition(StreamId stream) const {
  auto it = facts_.partitions.find(stream);
  return it == facts_.partitions.end() ? nullptr : &it->second;
}

// --- Who leads, who is in sync -------------------------------------------------------------------------------------------------------

bool CatalogueFold::may_join(NodeId node) const {
  auto it = facts_.brokers.find(node);
  return it != facts_.brokers.end() && !it->second.fenced && !it->second.draining;
}

// In the order of the replicas: those that stay; then those that are about to stop; in each group `last_choice` comes last.
void CatalogueFold::elect(Partition& p, std::optional<NodeId> last_choice) {
  NodeId chosen = kNoNode;
  for (bool draining : {true, false})
    for (bool is_last_choice : {true, false})
      for (auto node = p.isr.rbegin(); node != p.isr.rend(); ++node) {
        const Broker& b = facts_.brokers.at(*node);
        if (!b.fenced && !p.last_copy_damaged && b.draining == draining && (*node == last_choice) == is_last_choice) chosen = *node;
      }
  if (chosen == kNoNode && p.leader == kNoNode) return;
  p.leader = chosen;
  ++p.leader_epoch;
}

// The last member stays named, and then nobody leads.
void CatalogueFold::remove(Partition& p, NodeId node) {
  if (!contains(p.isr, node)) return;
  const Partition before = p;
  if (p.isr.size() > 1) std::erase(p.isr, node);
  if (p.leader == node) elect(p);
  if (p != before) ++p.partition_epoch;
}

void CatalogueFold::spoil(Partition& p, NodeId node) {
  if (!contains(p.isr, node)) return;
  if (p.isr.size() > 1) return remove(p, node);
  if (p.last_copy_damaged) return;
  p.last_copy_damaged = true;
  elect(p);
  ++p.partition_epoch;
}

// --- Brokers -------------------------------------------------------------------------------------------------------------------------

CatalogueFold::Broker* CatalogueFold::current(NodeId node, BrokerEpoch epoch) {
  auto it = facts_.brokers.find(node);
  return it != facts_.brokers.end() && it->second.epoch == epoch ? &it->second : nullptr;
}

bool CatalogueFold::on(const metadata::RegisterBroker& r) {
  auto it = facts_.brokers.find(r.node);
  const bool known = it != facts_.brokers.end();
  const bool same_disk = known && it->second.run.directory == r.run.directory;
  if (r.node.v < 0 || (same_disk && r.run.counter <= it->second.run.counter)) return false;
  // A run that follows a live one keeps its places; one that was fenced, or has another disk, is heard of first.
  const bool fenced = !same_disk || it->second.fenced;
  facts_.brokers[r.node] = {BrokerEpoch(index_.v), r.run, fenced, false};
  for (auto& [stream, p] : facts_.partitions) {
    if (!contains(p.isr, r.node)) continue;
    const bool intact = same_disk && r.clean && std::ranges::find(r.damaged, stream) == r.damaged.end();
    if (!intact) {
      spoil(p, r.node);
    } else if (fenced) {
      remove(p, r.node);
    } else if (p.leader == r.node) {
      elect(p, r.node);
      ++p.partition_epoch;
    }
  }
  return true;
}

bool CatalogueFold::on(const metadata::FenceBroker& r) {
  Broker* b = current(r.node, r.broker_epoch);
  if (!b || b->fenced) return false;
  b->fenced = true;
  for (auto& [stream, p] : facts_.partitions) remove(p, r.node);
  return true;
}

bool CatalogueFold::on(const metadata::UnfenceBroker& r) {
  Broker* b = current(r.node, r.broker_epoch);
  if (!b || !b->fenced) return false;
  b->fenced = false;
  for (auto& [stream, p] : facts_.partitions) {
    if (p.leader != kNoNode || !contains(p.isr, r.node)) continue;
    elect(p);
    if (p.leader != kNoNode) ++p.partition_epoch;
  }
  return true;
}

bool CatalogueFold::on(const metadata::DrainBroker& r) {
  Broker* b = current(r.node, r.broker_epoch);
  if (!b) return false;
  b->draining = true;
  for (auto& [stream, p] : facts_.partitions)
    if (std::ranges::any_of(p.isr, [&](NodeId n) { return !facts_.brokers.at(n).draining; })) remove(p, r.node);
  return true;
}

bool CatalogueFold::on(const metadata::ReportDamage& r) {
  if (!current(r.node, r.broker_epoch)) return false;
  for (auto& [stream, p] : facts_.partitions)
    if (std::ranges::find(r.damaged, stream) != r.damaged.end()) spoil(p, r.node);
  return true;
}

// --- Topics --------------------------------------------------------------------------------------------------------------------------

bool CatalogueFold::on(const metadata::CreateTopic& r) {
  bool valid = metadata::check_topic_name(r.name).has_value() && !r.topic_id.is_zero() && !topics_.contains(r.topic_id) &&
               !r.partitions.empty() && r.min_insync_replicas >= 1;
  for (const auto& [name, id] : names_) valid = valid && name != r.name && !metadata::names_collide(name, r.name);
  std::vector<Partition> created;
  for (const std::vector<NodeId>& replicas : r.partitions) {
    Partition& p = created.emplace_back();
    p.replicas = replicas;
    p.min_isr = std::min(r.min_insync_replicas, static_cast<int32_t>(replicas.size()));
    for (size_t i = 0; i < replicas.size(); ++i) {
      valid = valid && facts_.brokers.contains(replicas[i]) &&
              std::find(replicas.begin() + static_cast<int64_t>(i) + 1, replicas.end(), replicas[i]) == replicas.end();
      if (may_join(replicas[i])) p.isr.push_back(replicas[i]);
    }
    valid = valid && replicas.size() == r.partitions[0].size() && !p.isr.empty();
    if (valid) p.leader = p.isr[0];
  }
  if (!valid) return false;
  names_[r.name] = r.topic_id;
  for (Partition& p : created) {
    topics_[r.topic_id].push_back(next_stream_);
    facts_.partitions[next_stream_] = std::move(p);
    ++next_stream_;
  }
  return true;
}

bool CatalogueFold::on(const metadata::DeleteTopic& r) {
  auto topic = topics_.find(r.topic_id);
  if (topic == topics_.end()) return false;
  for (StreamId stream : topic->second) facts_.partitions.erase(stream);
  topics_.erase(topic);
  std::erase_if(names_, [&](const auto& entry) { return entry.second == r.topic_id; });
  return true;
}

bool CatalogueFold::on(const metadata::ChangeIsr& r) {
  auto it = facts_.partitions.find(r.stream);
  if (it == facts_.partitions.end() || !current(r.leader, r.leader_broker_epoch)) return false;
  Partition& p = it->second;
  if (p.leader != r.leader || p.leader_epoch != r.leader_epoch || p.partition_epoch != r.partition_epoch) return false;
  std::vector<NodeId> isr;
  for (NodeId node : p.replicas) {
    auto member = std::ranges::find(r.isr, node, &metadata::IsrMember::node);
    if (member == r.isr.end()) continue;
    if (!contains(p.isr, node) && (!may_join(node) || !current(node, member->broker_epoch))) return false;
    isr.push_back(node);
  }
  if (isr.size() != r.isr.size() || !contains(isr, r.leader)) return false;
  p.isr = std::move(isr);
  ++p.partition_epoch;
  return true;
}

}  // namespace sg::scenario
