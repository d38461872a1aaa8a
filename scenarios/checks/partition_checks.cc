#include "scenarios/checks/partition_checks.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::scenario {
namespace {

std::string to_string(const PartitionState& s) {
  return fmt::format("leader {} epoch {} ISR {} min {} (catalogue index {})", s.leader, s.leader_epoch, list(s.isr), s.min_isr, s.since);
}

// Whoever registers under a node's id later: these are the machines that were meant when it was committed.
PartitionState state_of(const CatalogueFacts::Partition& p, LogIndex since, const Ledgers& ledgers) {
  PartitionState out{.since = since,
                     .leader = ledgers.machine_of(p.leader),
                     .leader_epoch = p.leader_epoch,
                     .partition_epoch = p.partition_epoch,
                     .isr = {},
                     .disks = {},
                     .min_isr = p.min_isr};
  for (const CatalogueFacts::Disk& member : p.isr) {
    out.isr.push_back(ledgers.holder_of(member.first, member.second));
    out.disks.push_back(member.second);
  }
  return out;
}

}  // namespace

// --- The catalogue ---------------------------------------------------------------------------------------------------------------

void PartitionChecks::on_catalogue_changed(LogIndex index, const metadata::Record& record) {
  if (const auto* r = std::get_if<metadata::RegisterBroker>(&record)) {
    // It may be committed when a fault has taken that disk already, and says nothing of the one that is there now.
    Ledger* ledger = ledgers_.find(ledgers_.registered(r->node, r->run.directory));
    if (ledger && ledger->directory() == r->run.directory) ledger->registered(r->run.counter, r->clean, r->damaged);
  }
  std::set<StreamId> exists;
  for (const auto& [stream, p] : ghost_.fold.facts().partitions) exists.insert(stream);
  damage_.on_committed(record, exists);
  for (auto& [stream, ghost] : ghost_.partitions) ghost.deleted = !exists.contains(stream);
  for (const auto& [stream, p] : ghost_.fold.facts().partitions) {
    PartitionGhost& ghost = ghost_.partitions[stream];
    const PartitionState* newest = ghost.newest();
    if (newest && newest->partition_epoch == p.partition_epoch && newest->leader_epoch == p.leader_epoch) continue;
    const PartitionState was = newest ? *newest : PartitionState{};
    const bool is_first = newest == nullptr;
    ghost.push(state_of(p, index, ledgers_));
    const MachineId now_leader = ghost.newest()->leader;
    if (p.leader != kNoNode) {
      auto [leader, is_new] = ghost.leaders.emplace(p.leader_epoch, now_leader);
      judge_.check(Check::e9, leader->second == now_leader, [&] {
        return fmt::format("{}: node {} becomes leader of epoch {}, which node {} led before", ghost_.name(stream), now_leader,
                           p.leader_epoch, leader->second);
      });
      if (is_new && !is_first) {
        bool from_isr = std::ranges::find(was.isr, now_leader) != was.isr.end();
        judge_.check(Check::e9, from_isr, [&] {
          return fmt::format("{}: node {} becomes leader of epoch {} from outside the ISR; before: {}", ghost_.name(stream), now_leader,
                             p.leader_epoch, to_string(was));
        });
        check_leader(stream, ghost);
      }
    }
    check_isr(stream, ghost);
  }
}

void PartitionChecks::on_newcomer(NodeId node, MachineId registered, MachineId newcomer, std::string_view what, bool is_heard) {
  judge_.check(Check::twin, !is_heard, [&] {
    return fmt::format(
        "machine {} is {} node {} in place of machine {}, which runs and is heard; expected: a second process is "
        "refused while the first lives",
        newcomer, what, node, registered);
  });
}

// E15.
void PartitionChecks::check_leader(StreamId stream, const PartitionGhost& ghost) {
  const PartitionState& s = *ghost.newest();
  const int64_t end = ghost.high_watermark();
  judge_.check(Check::e15, holds(ledgers_.find(s.leader), stream, end, ghost.committed.chain_at(end)), [&] {
    const Ledger* l = ledgers_.find(s.leader);
    return fmt::format(
        "{}: node {} is elected (epoch {}), but its durable log, up to {}, lacks or differs from what was acknowledged up to {}",
        ghost_.name(stream), s.leader, s.leader_epoch, l ? l->durable_end(stream) : 0, end);
  });
}

// E11.
void PartitionChecks::check_isr(StreamId stream, const PartitionGhost& ghost) {
  const PartitionState& s = *ghost.newest();
  const int64_t end = ghost.high_watermark();
  const std::optional<uint64_t> chain = ghost.committed.chain_at(end);
  // A last member that is known to be damaged, or on a disk that is not there, is named without being held to anything: nobody leads.
  const CatalogueFacts::Partition* p = ghost_.fold.partition(stream);
  if (!p) return;  // deleted
  if (!std::ranges::all_of(p->isr, [&](const CatalogueFacts::Disk& member) { return ghost_.fold.is_whole(*p, member); })) return;
  for (size_t i = 0; i < s.isr.size(); ++i) {
    const MachineId member = s.isr[i];
    // A fault has taken the disk that was meant; whatever its machine has now is another copy, and nobody says that it is this one.
    if (const Ledger* l = ledgers_.find(member); l && i < s.disks.size() && l->directory() != s.disks[i]) continue;
    judge_.check(Check::e11, holds(ledgers_.find(member), stream, end, chain), [&] {
      const Ledger* l = ledgers_.find(member);
      return fmt::format(
          "{}: node {} is in the ISR ({}), but does not durably hold the log up to the high watermark {}; its durable end is {}",
          ghost_.name(stream), member, to_string(s), end, l ? l->durable_end(stream) : 0);
    });
  }
}

bool PartitionChecks::holds(const Ledger* copy, StreamId stream, int64_t end, std::optional<uint64_t> chain) {
  if (!copy) return false;
  if (copy->damaged(stream)) return true;  // the simulator took it away
  const DurableLog* log = copy->log(stream);
  if (log && log->start() > end) return true;  // deleted by retention: below it nothing is compared
  return copy->chain_at(stream, end) == chain;
}

const Ledger* PartitionChecks::copy_of(const PartitionState& state, size_t member) const {
  const MachineId machine = state.isr[member];
  return member < state.disks.size() ? ledgers_.copy(machine, state.disks[member]) : ledgers_.find(machine);
}

// --- Journals --------------------------------------------------------------------------------------------------------------------

void PartitionChecks::on_truncate(NodeId node, StreamId stream, int64_t new_end, int64_t old_end) {
  damage_.on_truncate(node, stream);
  auto it = ghost_.partitions.find(stream);
  if (it == ghost_.partitions.end() || !it->second.newest() || it->second.deleted) return;
  const PartitionGhost& ghost = it->second;
  const PartitionState& s = *ghost.newest();
  if (std::ranges::find(s.isr, node) == s.isr.end() || ledgers_.find(node)->damaged(stream)) return;
  const int64_t hw = ghost.high_watermark();
  judge_.check(Check::e16, new_end >= hw || new_end >= old_end, [&] {
    return fmt::format("{}: node {} is in the ISR ({}) and cuts its log from {} to {}, below the high watermark {}", ghost_.name(stream),
                       node, to_string(s), old_end, new_end, hw);
  });
}

// --- What leaves the nodes -------------------------------------------------------------------------------------------------------

bool PartitionChecks::whole_isr_holds(const PartitionState& state, NodeId leader, StreamId stream, int64_t end) const {
  const Ledger* l = ledgers_.find(leader);
  const std::optional<uint64_t> chain = l ? l->chain_at(stream, end) : std::nullopt;
  if (!chain || static_cast<int32_t>(state.isr.size()) < state.min_isr) return false;
  // As its members are, or were when a fault took their disks: the leader may have heard of a copy that is gone by now, and not yet of
  // the registration that says so.
  for (size_t i = 0; i < state.isr.size(); ++i)
    if (!holds(copy_of(state, i), stream, end, chain)) return false;
  return true;
}

std::string PartitionChecks::who_holds(const PartitionState& state, NodeId leader, StreamId stream, int64_t end) const {
  const Ledger* l = ledgers_.find(leader);
  const std::optional<uint64_t> chain = l ? l->chain_at(stream, end) : std::nullopt;
  std::string out;
  for (size_t i = 0; i < state.isr.size(); ++i) {
    const Ledger* m = copy_of(state, i);
    const int64_t durable = m ? m->durable_end(stream) : 0;
    const char* verdict = chain && holds(m, stream, end, chain) ? "" : durable >= end ? " (another log)" : " (short)";
    out += fmt::format("{}node {} to {}{}", out.empty() ? "" : ", ", state.isr[i], durable, verdict);
  }
  return out;
}

bool PartitionChecks::claim(Check check, NodeId from, StreamId stream, int64_t end, std::optional<LeaderEpoch> epoch,
                            std::string_view how) {
  PartitionGhost& ghost = ghost_.partitions[stream];
  const Ledger* ledger = ledgers_.find(from);
  // Who has heard of a deletion has nothing any more; who has not goes on for a moment.
  if (!ledger || ghost.deleted) return true;
  if (ledger->damaged(stream)) {
    advance_by_others(ghost, from, stream, end);
    return true;
  }
  if (end <= ghost.high_watermark()) {
    const std::optional<uint64_t> mine = ledger->chain_at(stream, end);
    const std::optional<uint64_t> committed = ghost.committed.chain_at(end);
    judge_.check(check, true, [] { return std::string(); });
    return judge_.check(Check::e12, !mine || !committed || mine == committed, [&] {
      return fmt::format("{}: node {} {} {}, but its log below that differs from what is committed (up to {})", ghost_.name(stream), from,
                         how, end, ghost.high_watermark());
    });
  }
  const PartitionState* last = nullptr;
  for (auto s = ghost.states.rbegin(); s != ghost.states.rend(); ++s) {
    // A watermark of an earlier leadership of that node, noted in its journal, counts too.
    if (s->leader != from || (epoch && s->leader_epoch > *epoch)) continue;
    if (!last) last = &*s;
    if (!whole_isr_holds(*s, from, stream, end)) continue;
    judge_.check(check, true, [] { return std::string(); });
    advance(ghost, from, stream, end);
    return true;
  }
  return judge_.check(check, false, [&] {
    if (!last)
      return fmt::format("{}: node {} {} {} without ever having been its leader{}", ghost_.name(stream), from, how, end,
                         epoch ? " in that epoch" : "");
    return fmt::format("{}: node {} {} {}; durable copies of it in the ISR: {}; with {}; the high watermark was {}", ghost_.name(stream),
                       from, how, end, who_holds(*last, from, stream, end), to_string(*last), ghost.high_watermark());
  });
}

// Takes over what is committed now, and looks at every member of the ISR.
void PartitionChecks::advance(PartitionGhost& ghost, NodeId from, StreamId stream, int64_t end) {
  const DurableLog& log = *ledgers_.find(from)->log(stream);
  const int64_t before = ghost.high_watermark();
  if (log.start() > before) ghost.committed.advance_start(log.start(), log.chain_at(log.start()).value_or(kEmptyChain));
  const std::optional<uint64_t> mine = log.chain_at(before);
  judge_.check(Check::e12, log.start() > before || mine == ghost.committed.chain_at(before), [&] {
    return fmt::format("{}: node {} moves the high watermark to {} over a log that differs from what was committed up to {}",
                       ghost_.name(stream), from, end, before);
  });
  auto entry = std::ranges::upper_bound(log.entries(), before, {}, &LogEntry::next);
  for (; entry != log.entries().end() && entry->next <= end; ++entry)
    if (entry->first >= ghost.committed.end()) ghost.committed.append(*entry);
  if (ghost.newest()) check_isr(stream, ghost);
}

// What a damaged leader has nobody knows; what all others of its ISR have is committed all the same.
void PartitionChecks::advance_by_others(PartitionGhost& ghost, NodeId leader, StreamId stream, int64_t end) {
  auto state = std::find_if(ghost.states.rbegin(), ghost.states.rend(), [&](const PartitionState& s) { return s.leader == leader; });
  if (end <= ghost.high_watermark() || state == ghost.states.rend() || static_cast<int32_t>(state->isr.size()) < state->min_isr) return;
  std::optional<NodeId> whole;
  for (size_t i = 0; i < state->isr.size(); ++i) {
    const Ledger* copy = copy_of(*state, i);
    if (!copy || copy->durable_end(stream) < end) return;
    if (!copy->damaged(stream)) whole = state->isr[i];
  }
  if (whole) advance(ghost, *whole, stream, end);
}

void PartitionChecks::on_ack(NodeId from, const replica::Ack& ack) {
  auto it = ghost_.partitions.find(ack.stream);
  const PartitionState* newest = it == ghost_.partitions.end() ? nullptr : it->second.newest();
  Ledger* ledger = ledgers_.find(from);
  if (ledger) ledger->check_promise("an acknowledgement to a leader");
  // An acknowledgement of an older epoch may leave after a truncation; it counts for nobody who could commit by it alone.
  if (!ledger || ledger->damaged(ack.stream) || (newest && it->second.deleted) || (newest && ack.leader_epoch < newest->leader_epoch))
    return;
  judge_.check(Check::e10, ack.durable_end.v <= ledger->durable_end(ack.stream), [&] {
    return fmt::format("{}: node {} acknowledges {} to the leader of epoch {}; its disk would keep the log up to {} only",
                       ghost_.name(ack.stream), from, ack.durable_end, ack.leader_epoch, ledger->durable_end(ack.stream));
  });
  if (newest && ack.leader_epoch == newest->leader_epoch) check_content(*newest, from, ack);
}

// What it acknowledges is what its leader has there, durable with that one or not. Where a leader's disk is slow it may have received less
// than the leader has cut and taken from others since: then it holds entries of older epochs there.
void PartitionChecks::check_content(const PartitionState& state, NodeId from, const replica::Ack& ack) {
  const Ledger* leader = ledgers_.find(state.leader);
  const DurableLog* theirs = leader && !leader->damaged(ack.stream) ? leader->written_log(ack.stream) : nullptr;
  if (!theirs) return;
  const std::optional<uint64_t> led = theirs->chain_at(ack.durable_end.v);
  const DurableLog* own = ledgers_.find(from)->log(ack.stream);
  const std::optional<uint64_t> held = own ? own->chain_at(ack.durable_end.v) : std::nullopt;
  if (!led || !held) return;
  const LogEntry* at_leader = theirs->ending_at(ack.durable_end.v);
  const LogEntry* at_follower = own->ending_at(ack.durable_end.v);
  if (at_leader && at_follower && at_leader->epoch < at_follower->epoch && at_follower->epoch <= ack.leader_epoch.v) return;
  judge_.check(Check::e10, *led == *held, [&] {
    return fmt::format("{}: node {} acknowledges {} to node {}, the leader of epoch {}, and holds something else below it than that one",
                       ghost_.name(ack.stream), from, ack.durable_end, state.leader, ack.leader_epoch);
  });
}

void PartitionChecks::on_data(NodeId from, const replica::Data& data) {
  PartitionGhost& ghost = ghost_.partitions[data.stream];
  auto leader = ghost.leaders.find(data.leader_epoch);
  bool leads = leader != ghost.leaders.end() && leader->second == from;
  judge_.check(Check::e9, leads, [&] {
    return fmt::format("{}: node {} sends data as leader of epoch {}; the committed catalogue gives that epoch to {}",
                       ghost_.name(data.stream), from, data.leader_epoch,
                       leader == ghost.leaders.end() ? std::string("nobody") : fmt::format("node {}", leader->second));
  });
  if (leads) claim(Check::e10, from, data.stream, data.high_watermark.v, data.leader_epoch, "tells a follower the high watermark");
}

void PartitionChecks::on_produced(NodeId from, const Produced& p) {
  Ledger* ledger = ledgers_.find(from);
  if (!ledger) return;
  ledger->check_promise("an acknowledgement to a producer");
  if (ledger->damaged(p.stream) || ghost_.partitions[p.stream].deleted) return;
  if (p.acks != -1) {
    const PartitionState* newest = ghost_.partitions[p.stream].newest();
    if (!newest || newest->leader != from) return;  // deposed while the answer was on its way: its copy may be cut already
    const DurableLog* log = ledger->log(p.stream);
    const LogEntry* entry = log ? log->ending_at(p.end) : nullptr;
    judge_.check(Check::e14, entry && entry->first == p.base && entry->body_crc == p.crc, [&] {
      return fmt::format("{}: node {} answers acks={} for [{}, {}), but its disk would not keep it: durable up to {}",
                         ghost_.name(p.stream), from, p.acks, p.base, p.end, ledger->durable_end(p.stream));
    });
    return;
  }
  if (!claim(Check::e14, from, p.stream, p.end, std::nullopt, fmt::format("answers acks=all for [{}, {}): committed up to", p.base, p.end)))
    return;
  const DurableLog& committed = ghost_.partitions[p.stream].committed;
  const LogEntry* entry = committed.ending_at(p.end);
  judge_.check(Check::e14, p.end <= committed.start() || (entry && entry->first == p.base && entry->body_crc == p.crc), [&] {
    return fmt::format(
        "{}: node {} answers acks=all for a batch with checksum {:08x} at [{}, {}); committed there is {}", ghost_.name(p.stream), from,
        p.crc, p.base, p.end,
        entry ? fmt::format("[{}, {}) with {:08x}", entry->first, entry->next, entry->body_crc) : std::string("no such batch"));
  });
}

// L5: the high watermark is the end of the log once nothing is outstanding. Judged where nobody else's acknowledgement can be on its way.
void PartitionChecks::on_timed_out(NodeId from, StreamId stream, uint32_t crc) {
  const PartitionState* newest = ghost_.partitions[stream].newest();
  if (ghost_.partitions[stream].deleted) return;
  const Ledger* ledger = ledgers_.find(from);
  const DurableLog* log = ledger && !ledger->damaged(stream) ? ledger->log(stream) : nullptr;
  if (!newest || newest->leader != from || newest->isr != std::vector<NodeId>{from} || newest->min_isr > 1 || !log) return;
  auto entry = std::ranges::find(log->entries(), crc, &LogEntry::body_crc);
  judge_.check(Check::l5, entry == log->entries().end(), [&] {
    return fmt::format("{}: node {} lets acks=all for [{}, {}) time out; it is on its disk, and nobody else is in the ISR: {}",
                       ghost_.name(stream), from, entry->first, entry->next, to_string(*newest));
  });
}

void PartitionChecks::on_watermark_given(Time now, Time asked, NodeId from, StreamId stream, int64_t high_watermark) {
  claim(Check::e10, from, stream, high_watermark, std::nullopt, "tells a consumer the high watermark");
  const PartitionState* newest = ghost_.partitions[stream].newest();
  given_[stream].add(now, high_watermark);
  if (!newest || newest->leader != from) return;
  Given& given = given_by_leader_[{stream, from, newest->leader_epoch}];
  const int64_t before = given.before(asked);
  judge_.check(Check::e13, high_watermark >= before, [&] {
    return fmt::format("{}: node {}, leader of epoch {}, tells a consumer the high watermark {} after it gave {}", ghost_.name(stream),
                       from, newest->leader_epoch, high_watermark, before);
  });
  given.add(now, high_watermark);
}

void PartitionChecks::on_batch_given(NodeId from, StreamId stream, int64_t base, int64_t end, uint32_t crc) {
  const DurableLog& committed = ghost_.partitions[stream].committed;
  const LogEntry* entry = committed.ending_at(end);
  judge_.check(Check::e17, end <= committed.start() || (entry && entry->first == base && entry->body_crc == crc), [&] {
    return fmt::format("{}: node {} gives a consumer [{}, {}) with checksum {:08x}; committed is the log up to {}{}", ghost_.name(stream),
                       from, base, end, crc, committed.end(),
                       entry ? fmt::format(", and there [{}, {}) with {:08x}", entry->first, entry->next, entry->body_crc) : std::string());
  });
}

void PartitionChecks::on_latest_given(Time now, Time asked, NodeId from, StreamId stream, LeaderEpoch leader_epoch, int64_t offset) {
  claim(Check::e10, from, stream, offset, std::nullopt, "tells a client the latest offset");
  const PartitionState* newest = ghost_.partitions[stream].newest();
  Given& given = given_[stream];
  if (newest && newest->leader == from && newest->leader_epoch == leader_epoch) {
    const int64_t before = given.before(asked);
    judge_.check(Check::e13, offset >= before, [&] {
      return fmt::format("{}: node {}, leader of epoch {}, says that the latest offset is {}; {} was given to a client before",
                         ghost_.name(stream), from, leader_epoch, offset, before);
    });
  }
  given.add(now, offset);
}

void PartitionChecks::finish() {
  for (const auto& [stream, ghost] : ghost_.partitions)
    if (ghost.newest()) check_isr(stream, ghost);
}

std::vector<IdlePartition> PartitionChecks::idle() const {
  std::vector<IdlePartition> out;
  for (const auto& [stream, p] : ghost_.fold.facts().partitions) {
    auto ghost = ghost_.partitions.find(stream);
    IdlePartition& view = out.emplace_back();
    view.name = ghost_.name(stream);
    view.stream = stream;
    view.leader = ledgers_.machine_of(p.leader);
    view.high_watermark = ghost == ghost_.partitions.end() ? 0 : ghost->second.high_watermark();
    const PartitionState* newest = ghost == ghost_.partitions.end() ? nullptr : ghost->second.newest();
    view.is_told = p.isr.size() > 1 || (newest && given_by_leader_.contains({stream, view.leader, newest->leader_epoch}));
    for (NodeId node : p.replicas) {
      const Ledger* l = ledgers_.find(ledgers_.machine_of(node));
      view.replicas.push_back({.node = ledgers_.machine_of(node),
                               .in_sync = std::ranges::find(p.isr, node, &CatalogueFacts::Disk::first) != p.isr.end(),
                               .spoiled = l && l->rotten(),
                               .durable_end = l ? l->durable_end(stream) : 0});
    }
  }
  return out;
}

void PartitionChecks::Given::add(Time now, int64_t value) {
  if (!values_.empty() && values_.back().second >= value) return;
  values_.push_back({now, value});
  if (values_.size() > kKept) values_.pop_front();
}

int64_t PartitionChecks::Given::before(Time time) const {
  auto after = std::ranges::lower_bound(values_, time, {}, &std::pair<Time, int64_t>::first);
  return after == values_.begin() ? -1 : std::prev(after)->second;
}

}  // namespace sg::scenario
