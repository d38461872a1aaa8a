#include "scenarios/observe/catalogue_fold.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "broker/metadata/topic_rules.h"

namespace sg::scenario {
namespace {

using Disk = CatalogueFacts::Disk;

// The place of a node in an ISR; its end if it has none.
template <class Isr>
auto place_of(Isr& isr, NodeId node) {
  return std::ranges::find(isr, node, &Disk::first);
}
bool is_member(const CatalogueFacts::Partition& p, NodeId node) { return place_of(p.isr, node) != p.isr.end(); }

template <class Disks>
std::string list(const Disks& disks) {
  std::string out;
  for (const auto& [node, directory] : disks) out += fmt::format("{}{} on {}", out.empty() ? "" : ", ", node, directory);
  return out;
}

std::string line(const CatalogueFacts::Partition& p) {
  return fmt::format("leader {} epoch {} partition epoch {} ISR [{}] replicas [{}] min {} spoiled [{}]", p.leader, p.leader_epoch,
                     p.partition_epoch, list(p.isr), fmt::join(p.replicas, ","), p.min_isr, list(p.spoiled));
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
  for (const auto& [stream, p] : catalogue.partitions()) {
    CatalogueFacts::Partition& facts = out.partitions[stream];
    facts = {p.replicas, {}, p.leader, p.leader_epoch, p.partition_epoch, p.min_isr};
    for (const metadata::Copy& copy : p.isr) facts.isr.emplace_back(copy.node, copy.directory);
    for (const metadata::Copy& copy : p.damaged) facts.spoiled.emplace(copy.node, copy.directory);
  }
  return out;
}

std::vector<NodeId> CatalogueFacts::Partition::isr_nodes() const {
  std::vector<NodeId> nodes;
  for (const auto& [node, directory] : isr) nodes.push_back(node);
  return nodes;
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

bool CatalogueFold::is_whole(const Partition& p, const Disk& member) const {
  auto it = facts_.brokers.find(member.first);
  return it != facts_.brokers.end() && it->second.run.directory == member.second && !p.spoiled.contains(member);
}

// In the order of the replicas: those that stay; then those that are about to stop; in each group `last_choice` comes last.
void CatalogueFold::elect(Partition& p, std::optional<NodeId> last_choice) {
  NodeId chosen = kNoNode;
  for (bool draining : {true, false})
    for (bool is_last_choice : {true, false})
      for (auto member = p.isr.rbegin(); member != p.isr.rend(); ++member) {
        const Broker& b = facts_.brokers.at(member->first);
        const bool can = !b.fenced && is_whole(p, *member);
        if (can && b.draining == draining && (member->first == last_choice) == is_last_choice) chosen = member->first;
      }
  if (chosen == kNoNode && p.leader == kNoNode) return;
  p.leader = chosen;
  ++p.leader_epoch;
}

// The last member stays named, and then nobody leads.
void CatalogueFold::remove(Partition& p, NodeId node) {
  if (!is_member(p, node)) return;
  const Partition before = p;
  if (p.isr.size() > 1) p.isr.erase(place_of(p.isr, node));
  if (p.leader == node) elect(p);
  if (p != before) ++p.partition_epoch;
}

void CatalogueFold::spoil(Partition& p, const Disk& disk) {
  if (std::ranges::find(p.replicas, disk.first) == p.replicas.end() || !p.spoiled.insert(disk).second) return;
  const auto place = std::ranges::find(p.isr, disk);
  const bool led = place != p.isr.end() && p.leader == disk.first;
  if (place != p.isr.end() && p.isr.size() > 1) p.isr.erase(place);
  if (led) elect(p);
  ++p.partition_epoch;
}

// Is it known how often this disk was started: is it in use, or is something on it that counts?
bool CatalogueFold::is_last_known(const Disk& disk) const {
  auto it = facts_.brokers.find(disk.first);
  if (it != facts_.brokers.end() && it->second.run.directory == disk.second) return true;
  return std::ranges::any_of(facts_.partitions,
                             [&](const auto& entry) { return std::ranges::find(entry.second.isr, disk) != entry.second.isr.end(); });
}

// --- Brokers -------------------------------------------------------------------------------------------------------------------------

CatalogueFold::Broker* CatalogueFold::current(NodeId node, BrokerEpoch epoch) {
  auto it = facts_.brokers.find(node);
  return it != facts_.brokers.end() && it->second.epoch == epoch ? &it->second : nullptr;
}

bool CatalogueFold::on(const metadata::RegisterBroker& r) {
  const Disk disk{r.node, r.run.directory};
  if (r.node.v < 0 || (is_last_known(disk) && r.run.counter <= starts_.at(disk))) return false;
  auto it = facts_.brokers.find(r.node);
  // A run that follows a live one on the same disk keeps its places; one that was fenced, or has another disk, is heard of first.
  const bool fenced = it == facts_.brokers.end() || it->second.run.directory != disk.second || it->second.fenced;
  starts_[disk] = r.run.counter;
  facts_.brokers[r.node] = {BrokerEpoch(index_.v), r.run, fenced, false};
  for (auto& [stream, p] : facts_.partitions) {
    const Partition before = p;
    const bool named = std::ranges::find(r.damaged, stream) != r.damaged.end();
    if ((named || !r.clean) && std::ranges::find(p.replicas, r.node) != p.replicas.end()) p.spoiled.insert(disk);
    const auto place = place_of(p.isr, r.node);
    if (place != p.isr.end() && p.isr.size() > 1 && (fenced || !is_whole(p, *place))) p.isr.erase(place);
    if (p.leader == r.node) elect(p, r.node);
    if (p != before) ++p.partition_epoch;
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
    if (p.leader != kNoNode || !is_member(p, r.node)) continue;
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
    if (std::ranges::any_of(p.isr, [&](const Disk& d) { return !facts_.brokers.at(d.first).draining; })) remove(p, r.node);
  return true;
}

bool CatalogueFold::on(const metadata::ReportDamage& r) {
  const Broker* b = current(r.node, r.broker_epoch);
  if (!b) return false;
  for (auto& [stream, p] : facts_.partitions)
    if (std::ranges::find(r.damaged, stream) != r.damaged.end()) spoil(p, {r.node, b->run.directory});
  return true;
}

bool CatalogueFold::on(const metadata::Healed& r) {
  const Broker* b = current(r.node, r.broker_epoch);
  if (!b) return false;
  for (StreamId stream : std::set<StreamId>(r.streams.begin(), r.streams.end())) {
    auto it = facts_.partitions.find(stream);
    if (it == facts_.partitions.end() || it->second.spoiled.erase({r.node, b->run.directory}) == 0) continue;
    if (it->second.leader == kNoNode) elect(it->second);
    ++it->second.partition_epoch;
  }
  return true;
}

bool CatalogueFold::on(const metadata::HistoryCut& r) {
  next_stream_ = std::max(next_stream_, r.next_stream);
  for (auto& [stream, p] : facts_.partitions) {
    for (; p.leader_epoch < r.leader_epoch; ++p.leader_epoch) ++p.partition_epoch;
    elect(p);
    ++p.partition_epoch;
  }
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
      if (may_join(replicas[i])) p.isr.emplace_back(replicas[i], facts_.brokers.at(replicas[i]).run.directory);
    }
    valid = valid && replicas.size() == r.partitions[0].size() && !p.isr.empty();
    if (valid) p.leader = p.isr[0].first;
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
  std::vector<Disk> isr;
  for (NodeId node : p.replicas) {
    auto wanted = std::ranges::find(r.isr, node, &metadata::IsrMember::node);
    if (wanted == r.isr.end()) continue;
    auto place = place_of(p.isr, node);
    if (place == p.isr.end() && (!may_join(node) || !current(node, wanted->broker_epoch))) return false;
    isr.push_back(place == p.isr.end() ? Disk{node, facts_.brokers.at(node).run.directory} : *place);
    if (!is_whole(p, isr.back())) return false;
  }
  if (isr.size() != r.isr.size() || place_of(isr, r.leader) == isr.end()) return false;
  p.isr = std::move(isr);
  ++p.partition_epoch;
  return true;
}

}  // namespace sg::scenario
