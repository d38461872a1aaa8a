#include "broker/metadata/catalogue.h"

#include <algorithm>

#include "base/archive.h"
#include "broker/metadata/snapshot1.h"
#include "broker/metadata/topic_rules.h"

namespace sg::metadata {

namespace {

constexpr uint8_t kSnapshotVersion = 2;

template <class Map, class Key>
auto* find_in(Map& map, const Key& key) {
  auto at = map.find(key);
  return at == map.end() ? nullptr : &at->second;
}

}  // namespace

bool Partition::has_replica(NodeId node) const { return std::ranges::find(replicas, node) != replicas.end(); }

const Copy* Partition::member(NodeId node) const {
  auto at = std::ranges::find(isr, node, &Copy::node);
  return at == isr.end() ? nullptr : &*at;
}

bool Partition::is_damaged(const Copy& copy) const { return std::ranges::binary_search(damaged, copy); }

std::vector<NodeId> Partition::isr_nodes() const {
  std::vector<NodeId> nodes;
  for (const Copy& copy : isr) nodes.push_back(copy.node);
  return nodes;
}

Result<Applied> Catalogue::apply(LogIndex index, const Record& record) {
  skip(index);
  Applied out;
  TRY_DO(std::visit([&](const auto& r) { return on(r, out); }, record));
  ENSURE(std::ranges::is_sorted(out.partitions), "touched partitions of {}", describe(record));
  return out;
}

void Catalogue::skip(LogIndex index) {
  ENSURE(index > state_.applied, "entry {} after {}", index, state_.applied);
  state_.applied = index;
}

const Broker* Catalogue::broker(NodeId node) const { return find_in(state_.brokers, node); }
const Topic* Catalogue::topic(std::string_view name) const { return find_in(state_.topics, std::string(name)); }
const Topic* Catalogue::topic(const Uuid& id) const {
  const std::string* name = find_in(topic_names_, id);
  return name ? topic(*name) : nullptr;
}
const Partition* Catalogue::partition(StreamId stream) const { return find_in(state_.partitions, stream); }

const Topic* Catalogue::colliding_topic(std::string_view name) const {
  if (name.find_first_of("._") == std::string_view::npos) return nullptr;
  for (const auto& [other, topic] : state_.topics) {
    if (other != name && names_collide(other, name)) return &topic;
  }
  return nullptr;
}

bool Catalogue::intact(const Partition& p, const Copy& copy) const {
  const Broker* b = broker(copy.node);
  return b && b->run.directory == copy.directory && !p.is_damaged(copy);
}

bool Catalogue::may_join(const Partition& p, NodeId node) const {
  const Broker* b = broker(node);
  return b && !b->fenced && intact(p, {node, b->run.directory});
}

bool Catalogue::has_place(const Copy& copy) const {
  return std::ranges::any_of(state_.partitions, [&](const auto& entry) {
    const Copy* member = entry.second.member(copy.node);
    return member && *member == copy;
  });
}

ByteVec Catalogue::snapshot() const {
  ByteVec out{kSnapshotVersion};
  pack(out, state_);
  return out;
}

Result<> Catalogue::restore(ByteSpan snapshot) {
  if (snapshot.empty()) return fail(Errc::corrupt, "a catalogue snapshot is never empty");
  if (snapshot[0] != kSnapshotVersion && snapshot[0] != 1) {
    return fail(Errc::unsupported,
                fmt::format("catalogue snapshot of version {}, this release knows up to {}", snapshot[0], kSnapshotVersion));
  }
  State state;
  if (snapshot[0] == 1) {
    TRY(snapshot1::State old, unpack<snapshot1::State>(snapshot.subspan(1)));
    state = {old.applied,     old.cluster_id,      snapshot1::brokers(old), std::move(old.topics), snapshot1::partitions(old),
             old.next_stream, old.next_producer_id};
  } else {
    TRY(state, unpack<State>(snapshot.subspan(1)));
  }

  // The parts must fit together: the rest of the code relies on every name that one part gives to be found in the other.
  auto misfit = [](const std::string& what) { return fail(Errc::invalid, "catalogue snapshot: " + what); };
  std::map<Uuid, std::string> names;
  size_t partitions = 0;
  for (const auto& [node, broker] : state.brokers) {
    if (broker.node != node) return misfit(fmt::format("broker {} is stored under {}", broker.node, node));
  }
  for (const auto& [name, topic] : state.topics) {
    if (topic.name != name || !names.emplace(topic.id, name).second) return misfit("topic " + name + " has no unique name and id");
    for (size_t i = 0; i < topic.partitions.size(); ++i) {
      const Partition* p = find_in(std::as_const(state.partitions), topic.partitions[i]);
      bool fits = p && p->stream == topic.partitions[i] && p->topic_id == topic.id && p->index == static_cast<int32_t>(i);
      if (!fits || p->stream >= state.next_stream || p->isr.empty()) return misfit(fmt::format("partition {}-{}", name, i));
      if (p->leader != kNoNode && !p->in_isr(p->leader))
        return misfit(fmt::format("partition {}-{}: its leader is not in its ISR", name, i));
      for (const std::vector<Copy>* copies : {&p->isr, &p->damaged})
        for (const Copy& copy : *copies) {
          if (!p->has_replica(copy.node)) return misfit(fmt::format("partition {}-{}: a copy is on none of its replicas", name, i));
        }
      if (!std::ranges::is_sorted(p->damaged)) return misfit(fmt::format("partition {}-{}: damaged copies are out of order", name, i));
      for (NodeId replica : p->replicas) {
        if (!state.brokers.contains(replica)) return misfit(fmt::format("partition {}-{} names unknown broker {}", name, i, replica));
      }
      ++partitions;
    }
  }
  if (partitions != state.partitions.size()) return misfit("a partition that belongs to no topic");

  state_ = std::move(state);
  topic_names_ = std::move(names);
  return {};
}

}  // namespace sg::metadata
