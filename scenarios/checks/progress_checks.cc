#include "scenarios/checks/progress_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace sg::scenario {
namespace {

constexpr Duration kGivenUp = 3s;

int64_t ms(Duration d) { return d / 1ms; }

}  // namespace

ProgressBounds progress_bounds_of(const ClusterTiming& timing) {
  const Duration controller = 3 * timing.election_max + kLostDial + kGivenUp;
  return {.controller = controller,
          .led = controller + timing.session_timeout + 2s,
          .committed = timing.session_timeout + timing.replica_lag_time_max + kGivenUp};
}

std::set<NodeId> ProgressChecks::whole_for(const ProgressView& view, Duration time) const {
  auto is_whole = [&](NodeId a, NodeId b) {
    auto it = whole_since_.find({std::min(a, b), std::max(a, b)});
    return it != whole_since_.end() && view.now >= it->second + time;
  };
  const size_t n = view.nodes.size();
  std::set<NodeId> best;
  for (uint32_t subset = 0; subset < uint32_t{1} << n; ++subset) {
    std::set<NodeId> those;
    for (size_t i = 0; i < n; ++i)
      if (subset >> i & 1) those.insert(view.nodes[i]);
    if (2 * those.size() <= n || those.size() <= best.size()) continue;
    const bool whole =
        std::ranges::all_of(those, [&](NodeId a) { return std::ranges::all_of(those, [&](NodeId b) { return is_whole(a, b); }); });
    if (whole) best = std::move(those);
  }
  return best;
}

std::optional<std::string> ProgressChecks::look(const ProgressView& view) {
  for (NodeId a : view.nodes)
    for (NodeId b : view.nodes) {
      if (b < a) continue;
      if (view.hampered.contains({a, b}))
        whole_since_.erase({a, b});
      else
        whole_since_.try_emplace({a, b}, view.now);
    }
  const std::set<NodeId> whole = whole_for(view, bounds_.controller);
  if (auto wrong = look_at_term(view, whole)) return wrong;
  const std::set<NodeId> long_whole = whole_for(view, bounds_.led);
  for (const ProgressView::Partition& p : view.partitions)
    if (auto wrong = look_at(view, p, long_whole)) return wrong;
  return std::nullopt;
}

std::optional<std::string> ProgressChecks::look_at_term(const ProgressView& view, const std::set<NodeId>& whole) {
  const NodeId before = std::exchange(controller_, whole.contains(view.controller) ? view.controller : kNoNode);
  if (view.controller != kNoNode)
    without_controller_since_.reset();
  else if (!without_controller_since_)
    without_controller_since_ = view.now;
  if (whole.empty()) {
    settled_term_.reset();
    return std::nullopt;
  }
  ++judged_;
  if (without_controller_since_ && view.now > *without_controller_since_ + bounds_.controller)
    return fmt::format(
        "nobody has been the controller for {} ms, and for as long nothing has been wrong with the nodes {}; expected: one of "
        "them is within {} ms",
        ms(view.now - *without_controller_since_), list(whole), ms(bounds_.controller));
  const std::optional<Term> settled = std::exchange(settled_term_, view.term);
  if (before != kNoNode && settled && view.term > *settled && whole.contains(before))
    return fmt::format(
        "term {} has followed term {}, though node {} was the controller and for {} ms at least nothing has been wrong with the "
        "nodes {}; expected: no election",
        view.term, *settled, before, ms(bounds_.controller), list(whole));
  return std::nullopt;
}

std::optional<std::string> ProgressChecks::look_at(const ProgressView& view, const ProgressView::Partition& p,
                                                   const std::set<NodeId>& whole) {
  Seen& seen = partitions_[p.stream];
  const auto in_sync = std::ranges::count_if(p.isr, [&](NodeId member) { return whole.contains(member); });
  // A controller that is none of them, and hampered or cut off from the member, may have no way to give it anything.
  const bool electable = std::ranges::any_of(p.isr, [&](NodeId member) {
    return whole.contains(member) && !view.hampered.contains({view.controller, view.controller}) &&
           !view.hampered.contains(std::minmax(member, view.controller));
  });
  const bool led = p.leader != kNoNode && !view.down.contains(p.leader);
  if (whole.empty() || !electable || led) {
    seen.unled_since.reset();
  } else if (!seen.unled_since) {
    seen.unled_since = view.now;
  }
  const bool can_commit = whole.contains(p.leader) && whole.contains(view.controller) && in_sync >= p.min_insync;
  if (!whole.empty()) ++judged_;
  if (seen.unled_since && view.now > *seen.unled_since + bounds_.led)
    return fmt::format(
        "{} has been led by nobody who runs for {} ms (leader {}, epoch {}, ISR {}), and for longer nothing has been wrong with "
        "the nodes {}; expected: one of its in-sync replicas leads within {} ms",
        p.name, ms(view.now - *seen.unled_since), p.leader, p.leader_epoch, list(p.isr), list(whole), ms(bounds_.led));
  return look_at_log(view, p, seen, can_commit);
}

std::optional<std::string> ProgressChecks::look_at_log(const ProgressView& view, const ProgressView::Partition& p, Seen& seen,
                                                       bool can_commit) {
  if (!can_commit || seen.leader_epoch != p.leader_epoch) {
    seen.leader_epoch = p.leader_epoch;
    seen.ends.clear();
    if (!can_commit) return std::nullopt;
  }
  if (seen.ends.empty() || p.log_end > seen.ends.back().second) seen.ends.emplace_back(view.now, p.log_end);
  while (!seen.ends.empty() && seen.ends.front().second <= p.high_watermark) seen.ends.pop_front();
  if (seen.ends.empty() || view.now <= seen.ends.front().first + bounds_.committed) return std::nullopt;
  return fmt::format(
      "{}: node {}, its leader (epoch {}), has had the log up to {} on its disk for {} ms, and the high watermark is {}; expected: "
      "it is committed within {} ms, since of the in-sync replicas {} enough are whole and so is the controller",
      p.name, p.leader, p.leader_epoch, seen.ends.front().second, ms(view.now - seen.ends.front().first), p.high_watermark,
      ms(bounds_.committed), list(p.isr));
}

}  // namespace sg::scenario
