#include "scenarios/checks/liveness.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sg::scenario {
namespace {

std::string seconds(Duration d) { return fmt::format("{}.{:03} s", d.count() / 1'000'000'000, d.count() / 1'000'000 % 1000); }

// Remembers since when something has held in every view.
void hold(std::optional<Time>& since, bool holds, Time now) {
  if (!holds) {
    since.reset();
  } else if (!since) {
    since = now;
  }
}

bool contains(const std::vector<NodeId>& nodes, NodeId node) { return std::ranges::find(nodes, node) != nodes.end(); }

template <class Is>
std::vector<NodeId> those(const ClusterView& view, Is&& is) {
  std::vector<NodeId> out;
  for (const ClusterView::Node& n : view.nodes)
    if (is(n)) out.push_back(n.id);
  return out;
}

}  // namespace

bool ClusterView::hear_each_other(NodeId a, NodeId b) const {
  return std::ranges::none_of(
      cut, [&](const auto& pair) { return (pair.first == a && pair.second == b) || (pair.first == b && pair.second == a); });
}

bool ClusterView::takes_part(NodeId node) const {
  auto at = std::ranges::find(nodes, node, &Node::id);
  if (at == nodes.end() || at->away) return false;
  auto controllers = std::ranges::find_if(nodes, [](const Node& n) { return n.controller && !n.away; });
  return controllers == nodes.end() || hear_each_other(node, controllers->id);
}

bool ClusterView::is_electable(const Partition& p) const {
  return !p.damaged && std::ranges::any_of(p.isr, [&](NodeId member) { return takes_part(member); });
}

bool ClusterView::is_served(const Partition& p) const {
  return !p.damaged && takes_part(p.leader) && std::cmp_greater_equal(p.isr.size(), p.min_insync) &&
         std::ranges::all_of(p.isr, [&](NodeId member) { return takes_part(member) && hear_each_other(p.leader, member); });
}

LivenessBounds bounds_of(const ClusterTiming& timing) {
  LivenessBounds out;
  out.controller = 3 * timing.election_max + kLostDial;
  out.leaders = timing.session_timeout + 2s;
  return out;
}

// It has been owed for longer than its bound and is not there.
bool LivenessChecks::overdue(const std::optional<Time>& since, const std::optional<Time>& reason, Duration bound, Time now) const {
  return !since && (now > healed_ + bounds_.everything || (reason && now > *reason + bound));
}

std::optional<Violation> LivenessChecks::look(const ClusterView& view) {
  const std::vector<NodeId> down = those(view, [](const auto& n) { return !n.up && !n.away; });
  const std::vector<NodeId> running = those(view, [](const auto& n) { return n.up && !n.away; });
  hold(majority_since_, running.size() > view.nodes.size() / 2, view.now);
  hold(up_since_, down.empty(), view.now);
  if (overdue(up_since_, healed_, bounds_.up, view.now))
    return Violation{"L8", fmt::format("the nodes {} are not up {} after everything was healed; expected: recovered within {}", list(down),
                                       seconds(view.now - healed_), seconds(bounds_.up))};
  quorum_destroyed_ = view.quorum_destroyed;
  if (quorum_destroyed_) return std::nullopt;
  if (auto v = look_at_controller(view)) return v;
  return look_at_partitions(view);
}

std::optional<Violation> LivenessChecks::look_at_controller(const ClusterView& view) {
  const std::vector<NodeId> controllers = those(view, [](const auto& n) { return n.controller && !n.away; });
  hold(controller_since_, controllers.size() == 1, view.now);
  hold(ready_since_, controller_since_ && up_since_, view.now);
  if (overdue(controller_since_, majority_since_, bounds_.controller, view.now))
    return Violation{"L1", fmt::format("the controllers are {} at {} after everything was healed; expected: exactly one within {} of a "
                                       "majority of the nodes being up",
                                       list(controllers), seconds(view.now - healed_), seconds(bounds_.controller))};
  if (!majority_since_ || view.now <= *majority_since_ + bounds_.controller) return std::nullopt;
  if (!settled_term_) settled_term_ = view.term;
  if (view.term == *settled_term_) return std::nullopt;
  return Violation{"L1", fmt::format("term {} has begun {} after everything was healed; expected: no election any more once a controller "
                                     "was due, {} after a majority of the nodes was up; the term was {} then",
                                     view.term, seconds(view.now - healed_), seconds(bounds_.controller), *settled_term_)};
}

// Or offline, where nobody has what was promised: both are for the controller to find out.
bool LivenessChecks::is_led(const ClusterView& view, const ClusterView::Partition& p) {
  if (p.damaged) return p.leader == kNoNode;
  return !view.is_electable(p) || view.takes_part(p.leader);
}

// In sync are those, and only those, who can be.
bool LivenessChecks::is_full(const ClusterView& view, const ClusterView::Partition& p) {
  if (!view.is_electable(p)) return true;
  return std::ranges::all_of(p.replicas, [&](NodeId replica) {
    auto node = std::ranges::find(view.nodes, replica, &ClusterView::Node::id);
    const bool can_be = view.takes_part(replica) && view.hear_each_other(p.leader, replica);
    return contains(p.isr, replica) ? can_be : !can_be || node == view.nodes.end() || !node->up || node->spoiled;
  });
}

std::optional<Violation> LivenessChecks::look_at_partitions(const ClusterView& view) {
  auto hidden = std::ranges::find_if(view.partitions, [](const auto& p) { return p.damaged && p.leader != kNoNode; });
  if (hidden != view.partitions.end() && overdue(led_since_, ready_since_, bounds_.leaders, view.now))
    return Violation{"L2", fmt::format("{} is led by node {}, although its last copy was destroyed; expected: it is offline", hidden->name,
                                       hidden->leader)};
  auto unled = std::ranges::find_if_not(view.partitions, [&](const auto& p) { return is_led(view, p); });
  hold(led_since_, ready_since_ && unled == view.partitions.end(), view.now);
  if (unled != view.partitions.end() && overdue(led_since_, ready_since_, bounds_.leaders, view.now))
    return Violation{
        "L2", fmt::format("{} has no leader {} after everything was healed (ISR {} of the replicas {}); expected: one within "
                          "{} of all nodes being up with a controller",
                          unled->name, seconds(view.now - healed_), list(unled->isr), list(unled->replicas), seconds(bounds_.leaders))};
  auto partial = std::ranges::find_if_not(view.partitions, [&](const auto& p) { return is_full(view, p); });
  hold(in_sync_since_, led_since_ && partial == view.partitions.end(), view.now);
  if (partial != view.partitions.end() && overdue(in_sync_since_, led_since_, bounds_.in_sync, view.now))
    return Violation{"L3", fmt::format("{} has the ISR {} of the replicas {} at {} after everything was healed (leader {}, epoch {}); "
                                       "expected: every live one within {} of all partitions being led",
                                       partial->name, list(partial->isr), list(partial->replicas), seconds(view.now - healed_),
                                       partial->leader, partial->leader_epoch, seconds(bounds_.in_sync))};
  if (!in_sync_since_ && view.now > healed_ + bounds_.rejoined)
    return Violation{
        "L3", fmt::format("{} at {} after everything was healed; expected: everything led and in sync within {}, however long "
                          "it was cut, since a majority went on",
                          partial != view.partitions.end()
                              ? fmt::format("{} has the ISR {} of the replicas {} (leader {}, epoch {})", partial->name, list(partial->isr),
                                            list(partial->replicas), partial->leader, partial->leader_epoch)
                          : unled != view.partitions.end() ? unled->name + " has no leader"
                                                           : std::string("there is not one controller"),
                          seconds(view.now - healed_), seconds(bounds_.rejoined))};
  return std::nullopt;
}

std::vector<Violation> check_idle(const std::vector<IdlePartition>& partitions) {
  std::vector<Violation> out;
  for (const IdlePartition& p : partitions) {
    auto leader = std::ranges::find(p.replicas, p.leader, &IdleReplica::node);
    if (leader == p.replicas.end()) continue;
    if (p.is_told && leader->durable_end != p.high_watermark)
      out.push_back({"L5", fmt::format("{}: nothing is written any more, and the high watermark is {}; expected: {}, the end of the log of "
                                       "its leader, node {}",
                                       p.name, p.high_watermark, leader->durable_end, p.leader)});
    for (const IdleReplica& r : p.replicas)
      if (r.durable_end != leader->durable_end && (r.in_sync || !r.spoiled))
        out.push_back({"L8", fmt::format("{}: nothing is written any more, and the log of node {} ({} the ISR) durably ends at {}; "
                                         "expected: {}, as on its leader, node {}",
                                         p.name, r.node, r.in_sync ? "in" : "outside", r.durable_end, leader->durable_end, p.leader)});
  }
  return out;
}

}  // namespace sg::scenario
