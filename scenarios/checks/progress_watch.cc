#include "scenarios/checks/progress_watch.h"

#include <algorithm>

namespace sg::scenario {
namespace {

constexpr Duration kLookEvery = 100ms;

}  // namespace

void ProgressWatch::on_any_event() {
  if (seen_.now < next_look_) return;
  next_look_ = seen_.now + kLookEvery;
  const uint64_t judged = checks_.judged();
  const std::optional<std::string> wrong = checks_.look(view());
  struck_.clear();
  if (checks_.judged() > judged) judge_.check(Check::l9, !wrong, [&] { return *wrong; });
}

bool ProgressWatch::is_whole(const sim::Node& node, MachineId id) const {
  const sim::SimDisk& disk = node.disk();
  return seen_.catalogue_of(id) && !node.stalled() && !struck_.contains(id) && disk.hindered_until() < seen_.now &&
         disk.capacity() == disk.options().capacity_bytes && disk.damages() + disk.exchanges() == 0;
}

bool ProgressWatch::is_whole(const sim::Node& a, const sim::Node& b) const {
  return !world_.network().is_hampered(a.index(), b.index()) && !world_.network().is_hampered(b.index(), a.index());
}

ProgressView ProgressWatch::view() const {
  ProgressView out;
  out.now = seen_.now;
  const std::vector<sim::Node*>& nodes = seen_.cluster.nodes();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const NodeId id = Cluster::broker_id(i);
    out.nodes.push_back(id);
    if (const Ledger* ledger = seen_.ledgers.find(id)) out.term = std::max(out.term, ledger->hard_state().term);
    const broker::Node* broker = seen_.cluster.running(id);
    if (!broker) out.down.insert(id);
    if (broker && !nodes[i]->stalled() && broker->is_controller()) out.controller = id;
    if (!is_whole(*nodes[i], id)) out.hampered.emplace(id, id);
    for (size_t j = 0; j < i; ++j)
      if (!is_whole(*nodes[j], *nodes[i])) out.hampered.emplace(Cluster::broker_id(j), id);
  }
  for (const auto& [stream, ghost] : seen_.ghost.partitions) {
    const PartitionState* newest = ghost.newest();
    const CatalogueFacts::Partition* p = seen_.ghost.fold.partition(stream);
    if (!newest || !p || ghost.deleted) continue;
    const Ledger* leader = seen_.ledgers.find(newest->leader);
    out.partitions.push_back({.name = seen_.ghost.name(stream),
                              .stream = stream,
                              .leader = newest->leader,
                              .leader_epoch = newest->leader_epoch,
                              .isr = newest->isr,
                              .min_insync = newest->min_isr,
                              .log_end = leader ? leader->durable_end(stream) : 0,
                              .high_watermark = ghost.high_watermark()});
  }
  return out;
}

}  // namespace sg::scenario
