#include "scenarios/checks/catalogue_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "broker/metadata/invariants.h"

namespace sg::scenario {
namespace {

// A change of an ISR that rests on a broker epoch, leader epoch or partition epoch which was not the current one.
std::string stale_base(const metadata::Catalogue& before, const metadata::ChangeIsr& r) {
  const metadata::Partition* p = before.partition(r.stream);
  if (!p) return "the partition does not exist";
  if (p->leader != r.leader || p->leader_epoch != r.leader_epoch || p->partition_epoch != r.partition_epoch)
    return fmt::format("node {} changes the ISR in leader epoch {}, partition epoch {}; led by {} in {}, {}", r.leader, r.leader_epoch,
                       r.partition_epoch, p->leader, p->leader_epoch, p->partition_epoch);
  for (const metadata::IsrMember& m : r.isr) {
    const metadata::Broker* b = before.broker(m.node);
    if (p->in_isr(m.node)) continue;
    if (!b || b->epoch != m.broker_epoch)
      return fmt::format("node {} joins the ISR as it was in broker epoch {}; its broker epoch is {}", m.node, m.broker_epoch,
                         b ? b->epoch : kNoBrokerEpoch);
    if (p->is_damaged({m.node, b->run.directory}))
      return fmt::format("node {} joins the ISR with a copy that is known to be damaged", m.node);
  }
  return "";
}

// A controller plans with what it has applied, and may have applied more when its journal receives the plan.
constexpr int64_t kPlanned = 8;

// What is wrong with the places of a new topic's replicas; empty: nothing.
std::string misplaced(const CatalogueFacts& facts, const metadata::CreateTopic& topic) {
  auto is_live = [&](NodeId node) {
    auto b = facts.brokers.find(node);
    return b != facts.brokers.end() && !b->second.fenced && !b->second.draining;
  };
  for (const std::vector<NodeId>& replicas : topic.partitions) {
    const auto live = std::ranges::count_if(replicas, is_live);
    if (live < std::min<int64_t>(std::max(1, topic.min_insync_replicas), static_cast<int64_t>(replicas.size())))
      return fmt::format("of the replicas {} only {} are live, for a min.insync.replicas of {}", fmt::join(replicas, ", "), live,
                         topic.min_insync_replicas);
    if (!std::ranges::is_partitioned(replicas, is_live))
      return fmt::format("of the replicas {} one that is down or about to stop stands before one that is live", fmt::join(replicas, ", "));
    for (const auto& [node, broker] : facts.brokers)
      if (is_live(node) && live < static_cast<int64_t>(replicas.size()) && std::ranges::find(replicas, node) == replicas.end())
        return fmt::format("of the replicas {} one is down or about to stop, and broker {} is live", fmt::join(replicas, ", "), node);
  }
  return "";
}

}  // namespace

// Assigned by clients it might be otherwise; no workload does that.
void CatalogueChecks::on_proposed(MachineId by, LogIndex applied, const metadata::CreateTopic& topic) {
  std::string wrong;
  for (int64_t back = 0; back < kPlanned; ++back) {
    const CatalogueFacts* facts = facts_at(LogIndex(applied.v - back));
    if (!facts) break;
    wrong = misplaced(*facts, topic);
    if (wrong.empty()) break;
  }
  judge_.check(Check::e9, wrong.empty(),
               [&] { return fmt::format("machine {} makes topic {} as of catalogue index {}: {}", by, topic.name, applied, wrong); });
}

bool CatalogueChecks::on_committed(LogIndex index, const std::optional<metadata::Record>& record) {
  metadata::Catalogue& catalogue = ghost_.catalogue;
  bool changed = false;
  if (!record) {
    catalogue.skip(index);
  } else {
    if (const auto* unfenced = std::get_if<metadata::UnfenceBroker>(&*record)) check_unfencing(index, *unfenced);
    const metadata::Catalogue before = catalogue;
    const bool applied = catalogue.apply(index, *record).has_value();  // else it was overtaken: an ordinary outcome, the same everywhere
    if (applied) check_step(before, *record, catalogue);
    changed = ghost_.fold.apply(index, *record) || applied;
    const CatalogueFacts found = facts_of(catalogue);
    judge_.check(Check::e8, found == ghost_.fold.facts(), [&] {
      return fmt::format("catalogue index {} ({}): what the broker makes of the committed records is not what they mean: {}", index,
                         metadata::describe(*record), difference(ghost_.fold.facts(), found));
    });
  }
  if (changed || recent_.empty()) {
    recent_.push_back(std::make_shared<const CatalogueFacts>(ghost_.fold.facts()));
  } else {
    recent_.push_back(recent_.back());
  }
  if (recent_.size() > kKept) recent_.pop_front();
  last_ = index;
  return changed;
}

// Only who has applied what took it out of service is given back to it (metadata/controller.h). A controller beats for itself unheard.
void CatalogueChecks::check_unfencing(LogIndex index, const metadata::UnfenceBroker& r) {
  const metadata::Broker* broker = ghost_.catalogue.broker(r.node);
  if (!broker || !broker->fenced || broker->epoch != r.broker_epoch) return;
  auto told = told_.find(broker->run);
  auto seen = seen_.find(r.node);
  const LogIndex known = std::max(told == told_.end() ? LogIndex(0) : told->second, seen == seen_.end() ? LogIndex(0) : seen->second);
  judge_.check(Check::e9, known >= broker->since, [&] {
    return fmt::format("catalogue index {} takes broker {} for live, whose state index {} has changed; it has told that it had applied {}",
                       index, r.node, broker->since, known);
  });
}

void CatalogueChecks::check_step(const metadata::Catalogue& before, const metadata::Record& record, const metadata::Catalogue& after) {
  std::vector<std::string> wrong;
  if (const auto* r = std::get_if<metadata::ChangeIsr>(&record))
    if (std::string stale = stale_base(before, *r); !stale.empty()) wrong.push_back("an ISR change counts that was overtaken: " + stale);
  std::ranges::copy(metadata::check_state(after), std::back_inserter(wrong));
  std::ranges::copy(metadata::check_transition(before, after), std::back_inserter(wrong));
  judge_.check(Check::e9, wrong.empty(), [&] {
    return fmt::format("catalogue index {} ({}) breaks \"{}\"", after.applied(), metadata::describe(record), wrong.front());
  });
}

const CatalogueFacts* CatalogueChecks::facts_at(LogIndex index) const {
  const int64_t back = last_.v - index.v;
  if (back < 0 || back >= static_cast<int64_t>(recent_.size())) return nullptr;
  return recent_[recent_.size() - 1 - static_cast<size_t>(back)].get();
}

void CatalogueChecks::compare(Check check, NodeId node, LogIndex index, std::string_view what, const metadata::Catalogue& catalogue) {
  judge_.check(check, index <= last_, [&] {
    return fmt::format("node {}: {} is of index {}; expected: nothing beyond {}, which is what is committed", node, what, index, last_);
  });
  const CatalogueFacts* expected = facts_at(index);
  if (!expected) return;
  const CatalogueFacts found = facts_of(catalogue);
  judge_.check(check, found == *expected, [&] {
    return fmt::format("node {}: {} differs from the committed records up to its index, {}: {}", node, what, index,
                       difference(*expected, found));
  });
}

void CatalogueChecks::on_seen(NodeId node, const metadata::Catalogue& catalogue) {
  LogIndex& seen = seen_[node];
  if (catalogue.applied() == seen) return;
  seen = catalogue.applied();
  if (seen.v > 0) compare(Check::e8, node, seen, "its catalogue", catalogue);
}

void CatalogueChecks::on_snapshot(NodeId node, LogIndex index, ByteSpan data) {
  metadata::Catalogue catalogue;
  Result<> restored = catalogue.restore(data);
  const bool is_of_index = restored && catalogue.applied() == index;
  judge_.check(Check::e7, is_of_index, [&] {
    return fmt::format("node {} writes a snapshot of index {} that {}", node, index,
                       restored ? fmt::format("holds the catalogue of index {}", catalogue.applied())
                                : fmt::format("cannot be read: {}", restored.error().what));
  });
  if (is_of_index) compare(Check::e7, node, index, "its snapshot", catalogue);
}

}  // namespace sg::scenario
