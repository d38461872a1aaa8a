#include "scenarios/checks/metadata_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace sg::scenario {

void MetadataChecks::on_catalogue_changed(LogIndex index, const metadata::Record& record) {
  if (const auto* made = std::get_if<metadata::CreateTopic>(&record)) {
    const metadata::Topic* topic = ghost_.catalogue.topic(made->name);
    if (topic && topic->id == made->topic_id)
      topics_[made->name].push_back({topic->id, index, std::nullopt, topic->partitions, made->partitions});
  } else if (const auto* deleted = std::get_if<metadata::DeleteTopic>(&record)) {
    for (auto& [name, incarnations] : topics_)
      for (Incarnation& i : incarnations)
        if (i.id == deleted->topic_id) i.deleted = index;
  }
  for (const auto& [node, broker] : ghost_.catalogue.brokers()) {
    const BrokerState state{!broker.fenced, broker.kafka, broker.rack};
    auto& states = brokers_[node];
    if (states.empty() || states.back().second != state) states.emplace_back(index, state);
  }
}

const MetadataChecks::Incarnation* MetadataChecks::find(std::string_view name, const Uuid& id) const {
  auto topic = topics_.find(name);
  if (topic == topics_.end()) return nullptr;
  auto it = std::ranges::find(topic->second, id, &Incarnation::id);
  return it == topic->second.end() ? nullptr : &*it;
}

const MetadataChecks::Incarnation* MetadataChecks::only(std::string_view name) const {
  auto topic = topics_.find(name);
  return topic == topics_.end() || topic->second.size() != 1 ? nullptr : &topic->second.front();
}

void MetadataChecks::on_answer(Time now, MachineId by, const Asked& when, Teller self, const kafka::MetadataRequest& asked,
                               const kafka::MetadataResponse& answer) {
  Said<LogIndex>& applied = applied_[by];
  // A run that has not caught up with its predecessor, and has waited long enough, tells what it knows.
  const LogIndex from = std::min(applied.before(when.arrived), self.applied);
  const Moment m{now, by, when.arrived, when.version, self.node, from, self.applied};
  applied.add(now, self.applied);
  judge_cluster(m, answer);
  for (const auto& topic : answer.topics) {
    if (!topic.name) continue;
    if (topic.error_code == kafka::ErrorCode::none) {
      judge_topic(m, topic);
    } else if (topic.error_code == kafka::ErrorCode::unknown_topic_or_partition) {
      judge_absent(m, *topic.name);
    }
  }
  if (asked.topics) return;
  for (const auto& [name, incarnations] : topics_) {
    const bool listed = std::ranges::any_of(answer.topics, [&](const auto& t) { return t.name == name; });
    if (!listed) judge_absent(m, name);
  }
}

template <class Is>
bool MetadataChecks::was_so(const Moment& m, NodeId node, Is&& is) const {
  auto known = brokers_.find(node);
  if (known == brokers_.end()) return is(BrokerState());
  const auto& states = known->second;
  if (m.from < states.front().first && is(BrokerState())) return true;
  for (size_t i = 0; i < states.size(); ++i)
    if (states[i].first <= m.to && (i + 1 == states.size() || states[i + 1].first > m.from) && is(states[i].second)) return true;
  return false;
}

// The brokers that clients may go to, each once and at its own address; who says so leaves itself out where it may not be sure.
void MetadataChecks::judge_cluster(const Moment& m, const kafka::MetadataResponse& answer) {
  std::set<NodeId> told;
  for (const auto& b : answer.brokers) {
    const bool as_registered = was_so(m, b.node_id, [&](const BrokerState& s) {
      return s.open && s.kafka.host == b.host && s.kafka.port == b.port && (s.rack == b.rack.value_or("") || !b.rack);
    });
    judge_.check(Check::h13, told.insert(b.node_id).second && as_registered, [&] {
      return fmt::format(
          "machine {} tells a client of broker {} at {}:{}, rack \"{}\", twice or as it was not registered from entry {} to {}", m.by,
          b.node_id, b.host, b.port, b.rack.value_or(""), m.from, m.to);
    });
  }
  for (const auto& [node, states] : brokers_) {
    if (told.contains(node) || node == m.self) continue;
    judge_.check(Check::h13, was_so(m, node, [](const BrokerState& s) { return !s.open; }), [&] {
      return fmt::format("machine {} does not tell a client of broker {}, which was open from entry {} to {}", m.by, node, m.from, m.to);
    });
  }
  if (m.version == 0) return;
  judge_.check(Check::h13, told.contains(answer.controller_id) || (told.empty() && answer.controller_id == kNoNode), [&] {
    return fmt::format("machine {} names broker {} for the controller's; expected: one of those that it tells of, [{}]", m.by,
                       answer.controller_id, fmt::join(told, ", "));
  });
  const std::string cluster = fmt::format("{}", ghost_.catalogue.cluster_id());
  judge_.check(Check::h13, answer.cluster_id.value_or(cluster) == cluster,
               [&] { return fmt::format("machine {} tells a client of cluster {}; it is {}", m.by, *answer.cluster_id, cluster); });
}

void MetadataChecks::judge_replicas(const Moment& m, const std::string& name, const std::vector<NodeId>& replicas,
                                    const kafka::MetadataResponse::Partition& p) {
  judge_.check(Check::h13, p.replica_nodes == replicas, [&] {
    return fmt::format("machine {} tells a client of replicas {} of {}-{}; it was made with {}", m.by, fmt::join(p.replica_nodes, ", "),
                       name, p.partition_index, fmt::join(replicas, ", "));
  });
  if (m.version < 5) return;
  for (NodeId node : replicas) {
    const bool offline = std::ranges::find(p.offline_replicas, node) != p.offline_replicas.end();
    judge_.check(Check::h13, was_so(m, node, [&](const BrokerState& s) { return s.open == !offline; }), [&] {
      return fmt::format("machine {} tells a client that replica {} of {}-{} is {}, which broker {} was not from entry {} to {}", m.by,
                         node, name, p.partition_index, offline ? "offline" : "not offline", node, m.from, m.to);
    });
  }
}

void MetadataChecks::judge_topic(const Moment& m, const kafka::MetadataResponse::Topic& topic) {
  const std::string& name = *topic.name;
  const bool has_id = !topic.topic_id.is_zero();  // below version 10 there are none
  const Incarnation* incarnation = has_id ? find(name, topic.topic_id) : only(name);
  judge_.check(Check::h13, incarnation != nullptr || (!has_id && topics_.contains(name)), [&] {
    return fmt::format("machine {} tells a client of topic {} with id {}, which was never made under that name", m.by, name,
                       topic.topic_id);
  });
  if (!incarnation) return;
  Said<LogIndex>& said = said_[{m.by, name}];
  const LogIndex known = said.before(m.arrived);
  judge_.check(Check::h13, !incarnation->deleted || known < *incarnation->deleted, [&] {
    return fmt::format(
        "machine {} tells a client of topic {} with id {}, which entry {} deleted; it has said before what came with entry {}", m.by, name,
        topic.topic_id, *incarnation->deleted, known);
  });
  said.add(m.now, incarnation->made);
  judge_.check(Check::h13, topic.partitions.size() == incarnation->partitions.size(), [&] {
    return fmt::format("machine {} tells a client of {} partitions of topic {}; it was made with {}", m.by, topic.partitions.size(), name,
                       incarnation->partitions.size());
  });
  for (const auto& p : topic.partitions)
    if (p.partition_index >= 0 && static_cast<size_t>(p.partition_index) < incarnation->partitions.size()) {
      const auto index = static_cast<size_t>(p.partition_index);
      judge_partition(m, name, incarnation->partitions[index], p);
      judge_replicas(m, name, incarnation->replicas[index], p);
    }
}

void MetadataChecks::judge_partition(const Moment& m, const std::string& name, StreamId stream,
                                     const kafka::MetadataResponse::Partition& p) {
  Said<LeaderEpoch>& epochs = epochs_[{m.by, stream}];
  const LeaderEpoch told = epochs.before(m.arrived);
  const bool has_epoch = p.leader_epoch != kNoLeaderEpoch;  // below version 7 there is none: any will do that it may still tell of
  const auto fits_epoch = [&](LeaderEpoch epoch) { return has_epoch ? epoch == p.leader_epoch : epoch >= told; };
  judge_.check(Check::h13, !has_epoch || p.leader_epoch >= told, [&] {
    return fmt::format("machine {} tells a client leader epoch {} of {}-{}; it has told {} before", m.by, p.leader_epoch, name,
                       p.partition_index, told);
  });
  if (has_epoch) epochs.add(m.now, p.leader_epoch);
  auto partition = ghost_.partitions.find(stream);
  if (partition == ghost_.partitions.end()) return;
  const PartitionGhost& ghost = partition->second;
  if (p.leader_id != kNoNode) {
    const bool led = std::ranges::any_of(
        ghost.leaders, [&](const auto& l) { return fits_epoch(l.first) && (is_spare(l.second) || l.second == p.leader_id); });
    judge_.check(Check::h13, led, [&] {
      const auto leader = ghost.leaders.find(p.leader_epoch);
      return fmt::format("machine {} tells a client that node {} leads {}-{} in epoch {}; committed is {}", m.by, p.leader_id, name,
                         p.partition_index, p.leader_epoch, leader == ghost.leaders.end() ? kNoNode : leader->second);
    });
  }
  // The members of that epoch: of any of its states.
  bool kept = false, fits = ghost.states.size() == PartitionGhost::kKeptStates && !has_epoch;
  for (const PartitionState& s : ghost.states) {
    if (!fits_epoch(s.leader_epoch)) continue;
    kept = true;
    fits = fits || s.isr == p.isr_nodes || std::ranges::any_of(s.isr, is_spare);
  }
  judge_.check(Check::h13, !kept || fits, [&] {
    return fmt::format("machine {} tells a client that {} are in sync for {}-{} in epoch {}, which was never so", m.by,
                       fmt::join(p.isr_nodes, ", "), name, p.partition_index, p.leader_epoch);
  });
}

// A topic that it has shown is gone: then it was deleted.
void MetadataChecks::judge_absent(const Moment& m, std::string_view name) {
  auto topic = topics_.find(name);
  if (topic == topics_.end()) return;
  Said<LogIndex>& said = said_[{m.by, std::string(name)}];
  const LogIndex known = said.before(m.arrived);
  auto it =
      std::ranges::find_if(topic->second, [&](const Incarnation& i) { return i.made <= known && (!i.deleted || *i.deleted > known); });
  if (it == topic->second.end()) return;
  judge_.check(Check::h13, it->deleted.has_value(), [&] {
    return fmt::format("machine {} tells a client that there is no topic {}; it has shown it before (id {}), and nobody has deleted it",
                       m.by, name, it->id);
  });
  if (it->deleted) said.add(m.now, *it->deleted);
}

void MetadataChecks::forget(MachineId machine) {
  std::erase_if(said_, [&](const auto& s) { return s.first.first == machine; });
  std::erase_if(epochs_, [&](const auto& e) { return e.first.first == machine; });
  applied_.erase(machine);
}

}  // namespace sg::scenario
