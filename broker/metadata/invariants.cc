#include "broker/metadata/invariants.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <concepts>
#include <set>

namespace sg::metadata {

namespace {

// What a finding shows is built only when there is one.
template <class A>
decltype(auto) shown(A&& a) {
  if constexpr (std::invocable<A>)
    return a();
  else
    return std::forward<A>(a);
}

class Findings {
 public:
  template <class... A>
  void expect(bool holds, std::string_view format, A&&... args) {
    if (!holds) lines_.push_back(fmt::format(fmt::runtime(format), shown(std::forward<A>(args))...));
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  std::vector<std::string> lines_;
};

bool contains(const std::vector<Copy>& copies, const Copy& copy) { return std::ranges::find(copies, copy) != copies.end(); }

std::string list(const std::vector<Copy>& copies) {
  std::string out;
  for (const Copy& c : copies) out += fmt::format("{}{}@{:x}", out.empty() ? "" : ",", c.node, c.directory.high ^ c.directory.low);
  return out;
}

std::string line(const Partition& p) {
  return fmt::format("stream {} replicas=[{}] isr=[{}] damaged=[{}] leader={} leader_epoch={} partition_epoch={}", p.stream,
                     fmt::join(p.replicas, ","), list(p.isr), list(p.damaged), p.leader, p.leader_epoch, p.partition_epoch);
}

void check_partition(const Catalogue& c, const Partition& p, Findings& found) {
  const auto what = [&] { return line(p); };
  std::set<NodeId> replicas(p.replicas.begin(), p.replicas.end());
  std::set<NodeId> isr;
  for (const Copy& copy : p.isr) isr.insert(copy.node);
  found.expect(!p.replicas.empty() && replicas.size() == p.replicas.size(), "replicas are distinct: {}", what);
  found.expect(!p.isr.empty() && isr.size() == p.isr.size(), "the ISR is distinct and not empty: {}", what);
  found.expect(std::ranges::includes(replicas, isr), "ISR within replicas: {}", what);
  found.expect(p.leader == kNoNode || isr.contains(p.leader), "leader in ISR: {}", what);
  found.expect(p.min_isr >= 1 && p.min_isr <= static_cast<int32_t>(p.replicas.size()), "min ISR {} : {}", p.min_isr, what);
  found.expect(p.stream >= kFirstPartitionStream && p.stream < c.next_stream(), "stream id given out: {}", what);
  found.expect(p.leader_epoch.v >= 0 && p.partition_epoch.v >= p.leader_epoch.v, "each leader epoch is a partition epoch: {}", what);
  found.expect(std::ranges::adjacent_find(p.damaged, std::ranges::greater_equal{}) == p.damaged.end(), "damaged copies are distinct: {}",
               what);
  for (const Copy& copy : p.damaged) found.expect(replicas.contains(copy.node), "damaged copies are of replicas: {}", what);

  for (NodeId node : p.replicas) found.expect(c.broker(node) != nullptr, "replica {} is registered: {}", node, what);
  bool electable = true;
  for (const Copy& copy : p.isr) {
    const Broker* b = c.broker(copy.node);
    const bool there = b && b->run.directory == copy.directory;
    const bool damaged = contains(p.damaged, copy);
    found.expect((there && !b->fenced && !damaged) || p.isr.size() == 1,
                 "a copy that is fenced, damaged or in a directory that is not there is in the ISR only as the last: {}", what);
    electable = electable && there && !b->fenced && !damaged;
  }
  found.expect(electable == (p.leader != kNoNode), "online exactly if somebody is electable: {}", what);
}

void check_partition_step(const Catalogue& before, const Catalogue& after, const Partition& was, const Partition& is, Findings& found) {
  auto both = [&] { return line(was) + "  ->  " + line(is); };
  found.expect(was.replicas == is.replicas && was.topic_id == is.topic_id && was.index == is.index, "a stream is one partition: {}", both);
  found.expect(is.partition_epoch >= was.partition_epoch && is.leader_epoch >= was.leader_epoch, "epochs grow: {}", both);
  if (is.partition_epoch == was.partition_epoch) {
    found.expect(is == was, "a change is a new partition epoch: {}", both);
    return;
  }
  // The one record that stands for many: what an operator has accepted as lost.
  const bool cut = after.next_producer_id() == before.next_producer_id() + kLostProducerIds;
  found.expect(cut || is.partition_epoch == was.partition_epoch + 1, "one record is one partition epoch: {}", both);
  found.expect(is.leader == was.leader || is.leader_epoch > was.leader_epoch, "another leader is another epoch: {}", both);
  found.expect(is.leader == kNoNode || was.in_isr(is.leader), "a leader comes from the ISR: {}", both);

  bool one_stays = std::ranges::any_of(is.isr, [&](const Copy& copy) { return contains(was.isr, copy); });
  found.expect(one_stays, "the last member is never removed: {}", both);
  bool grows = std::ranges::any_of(is.isr, [&](const Copy& copy) { return !contains(was.isr, copy); });
  found.expect(!grows || (was.leader != kNoNode && is.leader == was.leader && is.leader_epoch == was.leader_epoch),
               "only a leader adds to its ISR: {}", both);
  for (const Copy& copy : is.isr) {
    if (contains(was.isr, copy)) continue;
    const Broker* b = before.broker(copy.node);
    found.expect(b && !b->fenced && !b->draining && b->run.directory == copy.directory && !contains(was.damaged, copy),
                 "who is added is live, in its registered directory, and not damaged: {}", both);
  }
  // Only a record that says so heals, and it speaks of one broker.
  for (const Copy& copy : was.damaged) {
    if (contains(is.damaged, copy)) continue;
    const Broker* b = before.broker(copy.node);
    found.expect(b && b->run.directory == copy.directory, "only what is registered can be healed: {}", both);
    found.expect(was.damaged.size() == is.damaged.size() + 1, "one broker heals at a time: {}", both);
  }
}

void check_broker_step(const Catalogue& before, const Catalogue& after, const Broker& was, Findings& found) {
  const Broker* is = after.broker(was.node);
  found.expect(is != nullptr, "broker {} stays known", was.node);
  if (!is) return;
  found.expect(is->epoch >= was.epoch && is->since >= was.since, "broker {}: epochs grow", was.node);
  if (is->epoch == was.epoch) {
    found.expect(is->run == was.run, "broker {}: one run has one epoch", was.node);
    return;
  }
  found.expect(is->run.directory != was.run.directory || is->run.newer_than(was.run), "broker {}: a directory does not go back", was.node);
  found.expect(is->epoch.v == after.applied().v, "broker {}: its epoch is the index of its registration", was.node);
  for (const auto& [stream, p] : before.partitions()) {
    const Partition* now = after.partition(stream);
    if (!now) continue;
    const auto what = [&] { return line(*now); };
    if (p.leader == was.node) found.expect(now->leader_epoch > p.leader_epoch, "a leader that registers begins an epoch: {}", what);
    if (is->run.directory != was.run.directory) {
      found.expect(now->leader != was.node, "another directory leads nothing: {}", what);
      found.expect(now->isr.size() == 1 || !now->in_isr(was.node), "another directory is not the member: {}", what);
      found.expect(p.isr.size() != 1 || now->isr == p.isr, "a twin changes nothing about the last member: {}", what);
    }
    for (const Copy& copy : p.damaged) found.expect(contains(now->damaged, copy), "a registration forgets no damage: {}", what);
  }
}

}  // namespace

std::vector<std::string> check_state(const Catalogue& c) {
  Findings found;
  std::set<BrokerEpoch> epochs;
  for (const auto& [node, b] : c.brokers()) {
    found.expect(b.node == node && epochs.insert(b.epoch).second, "broker {}: a broker epoch is of one broker", node);
    for (const Run& former : b.former) {
      found.expect(former.directory != b.run.directory && c.has_place({node, former.directory}),
                   "broker {}: a former directory is remembered while it has a place", node);
    }
    found.expect(b.epoch.v >= 1 && b.epoch.v <= b.since.v && b.since <= c.applied(), "broker {}: epoch {} since {} applied {}", node,
                 b.epoch, b.since, c.applied());
  }
  size_t partitions = 0;
  for (const auto& [name, topic] : c.topics()) {
    found.expect(topic.name == name && c.topic(topic.id) == &topic && !topic.partitions.empty(), "topic {} is found by name and id", name);
    for (size_t i = 0; i < topic.partitions.size(); ++i, ++partitions) {
      const Partition* p = c.partition(topic.partitions[i]);
      found.expect(p && p->topic_id == topic.id && p->index == static_cast<int32_t>(i), "partition {}-{} is found by stream", name, i);
    }
  }
  found.expect(partitions == c.partitions().size(), "each partition is of one topic");
  for (const auto& [stream, p] : c.partitions()) check_partition(c, p, found);
  return found.take();
}

std::vector<std::string> check_transition(const Catalogue& before, const Catalogue& after) {
  Findings found;
  found.expect(after.applied() > before.applied(), "applied grows: {} -> {}", before.applied(), after.applied());
  found.expect(before.cluster_id().is_zero() || after.cluster_id() == before.cluster_id(), "a cluster keeps its id");
  found.expect(after.next_stream() >= before.next_stream(), "stream ids are not given out again");
  found.expect(after.next_producer_id() >= before.next_producer_id(), "producer ids are not given out again");
  for (const auto& [node, broker] : before.brokers()) check_broker_step(before, after, broker, found);
  for (const auto& [stream, is] : after.partitions()) {
    if (const Partition* was = before.partition(stream)) {
      check_partition_step(before, after, *was, is, found);
    } else {
      found.expect(stream >= before.next_stream(), "a new partition has a new stream: {}", [&] { return line(is); });
    }
  }
  return found.take();
}

}  // namespace sg::metadata
