#include "tests/raft/cluster.h"

#include <algorithm>

#include "base/crc32c.h"
#include "tests/base/nth_run.h"

namespace sg::raft::test {
namespace {

uint64_t hash_of(ByteSpan bytes) { return crc32c(bytes) + (static_cast<uint64_t>(bytes.size()) << 32); }

uint64_t fold(uint64_t state, const Entry& e) {
  uint64_t parts[] = {state, static_cast<uint64_t>(e.index.v), static_cast<uint64_t>(e.term.v), hash_of(e.data)};
  for (uint64_t part : parts) state = (state ^ part) * 0x9E3779B97F4A7C15u + (state >> 29);
  return state;
}

SharedBytes pack_state(uint64_t state) {
  uint8_t bytes[8];
  store_le(bytes, state);
  return SharedBytes::copy_of(bytes);
}

}  // namespace

Cluster::Cluster(uint64_t seed, int voters, int observers) : rng_(seed) {
  for (int i = 1; i <= voters + observers; ++i) {
    ids_.push_back(NodeId(i));
    nodes_[NodeId(i)].voter = VoterId(++voters_drawn_);
    if (i > voters) {
      founding_.observers.push_back(NodeId(i));
    } else {
      founding_.voters.push_back({NodeId(i), VoterId(voters_drawn_)});
    }
  }
  // The founders hold the same first entry; observers and whoever is wiped begin with nothing.
  Persist formed{.sequence = 0, .hard_state = HardState{Term(1), kNoVoter}, .snapshot = {}, .truncate_from = {}, .entries = {}};
  formed.entries.push_back({Term(1), LogIndex(1), EntryKind::configuration, encode(founding_)});
  for (const Voter& v : founding_.voters) nodes_.at(v.node).disk.write(formed);
  for (NodeId id : ids_) restart(id);
}

void Cluster::at(Time time, std::function<void()> run) { queue_.push({time, sequence_++, std::move(run)}); }

void Cluster::run_until(Time until) {
  while (violation.empty() && !queue_.empty() && queue_.top().at <= until) {
    Event event = queue_.top();
    queue_.pop();
    now_ = event.at;
    event.run();
  }
  now_ = until;
}

bool Cluster::run_until_true(const std::function<bool()>& condition, Duration limit) {
  Time end = now_ + limit;
  while (!condition()) {
    if (!violation.empty() || queue_.empty() || queue_.top().at > end) return false;
    run_until(queue_.top().at);
  }
  return true;
}

void Cluster::restart(NodeId id, bool wipe) {
  Node& n = node(id);
  ENSURE(!n.raft && n.in_flight.empty());
  if (wipe) {
    n.disk = ShadowDisk{};
    n.voter = VoterId(++voters_drawn_);
    n.run = {};
  }
  Recovered recovered = n.disk.recover();
  n.run = sg::test::nth_run(n.run.counter.v + 1, n.voter.v);
  n.applied = LogIndex{};
  n.state = 0;
  n.disk_free = now_;
  Config config;
  config.self = id;
  config.voter = n.voter;
  config.run = n.run;
  config.voter_silence = 300ms;
  config.kept_behind_snapshot = 3;
  config.limits = {4, 64, 3, 128};
  n.invariants = std::make_unique<Invariants>(recovered);
  Rng rng = rng_.split(fmt::format("raft {}", id), n.run.counter.v);
  n.raft = std::make_unique<Raft>(std::move(config), std::move(recovered), rng);
  step(id, [this](Raft& r) { return r.start(now_); });
  tell_registration(id);
}

// What applying the catalogue's registrations does on every node, after a while.
void Cluster::tell_registration(NodeId id) {
  const Voter voter{id, node(id).voter};
  for (NodeId other : ids_) {
    if (!up(other)) continue;
    at(now_ + 50ms, [this, other, voter] { step(other, [&](Raft& r) { return r.registered(now_, voter); }); });
    at(now_ + 50ms, [this, id, v = Voter{other, node(other).voter}] { step(id, [&](Raft& r) { return r.registered(now_, v); }); });
  }
}

void Cluster::crash(NodeId id) {
  Node& n = node(id);
  if (!n.raft) return;
  uint64_t survive = rng_.below(n.in_flight.size() + 1);
  for (uint64_t i = 0; i < survive; ++i) n.disk.write(n.in_flight[i]);
  n.in_flight.clear();
  n.raft.reset();
  n.invariants.reset();
  timeline.push_back(fmt::format("{:>8} us  node {} crashes", now_.ns / 1000, id));
}

void Cluster::suspect_everywhere(NodeId suspect) {
  for (NodeId id : ids_) {
    if (id == suspect || !up(id)) continue;
    // A link ends behind what it has carried; traffic after the suspicion would cancel it.
    Duration delay = faults.delay_max + Duration(rng_.between(0, 2'000'000));
    Run run = node(suspect).run;
    at(now_ + delay, [this, id, suspect, run] { step(id, [&](Raft& r) { return r.suspect(now_, suspect, run); }); });
  }
}

void Cluster::partition(const std::vector<NodeId>& group) { cut_off_ = group; }
bool Cluster::cut(NodeId a, NodeId b) const {
  bool a_in = std::ranges::find(cut_off_, a) != cut_off_.end();
  bool b_in = std::ranges::find(cut_off_, b) != cut_off_.end();
  return a_in != b_in;
}

bool Cluster::propose(NodeId id, std::string command) {
  SharedBytes bytes = SharedBytes::copy_of(as_bytes(command));
  bool accepted = false;
  step(id, [&](Raft& r) {
    Output out = r.propose(now_, {&bytes, 1});
    accepted = out.proposed.has_value();
    return out;
  });
  return accepted;
}

void Cluster::snapshot(NodeId id) {
  if (!up(id) || raft(id).applied() <= raft(id).snapshot().index) return;
  step(id, [&](Raft& r) { return r.snapshot_taken(now_, node(id).applied, pack_state(node(id).state)); });
}

void Cluster::transfer(NodeId id) {
  step(id, [&](Raft& r) { return r.transfer_leadership(now_); });
}

void Cluster::change(NodeId id, const Configuration& target) {
  step(id, [&](Raft& r) { return r.change(now_, target); });
}

NodeId Cluster::leader() const {
  NodeId best = kNoNode;
  for (const auto& [id, n] : nodes_) {
    if (n.raft && n.raft->is_leader() && (best == kNoNode || n.raft->term() > raft(best).term())) best = id;
  }
  return best;
}

bool Cluster::all_vote() const {
  for (const auto& [id, n] : nodes_) {
    if (!n.raft) return false;
    const Configuration& c = n.raft->configuration();
    if (c.joint() || !c.known()) return false;
    for (const Voter& v : c.voters)
      if (nodes_.at(v.node).voter != v.id) return false;
  }
  return true;
}

bool Cluster::converged(LogIndex index) const {
  for (const auto& [id, n] : nodes_) {
    if (n.raft && (n.applied < index || n.applied < committed())) return false;
  }
  return true;
}

void Cluster::step(NodeId id, const std::function<Output(Raft&)>& event) {
  Node& n = node(id);
  if (!n.raft || !violation.empty()) return;
  bool led = n.raft->is_leader();
  Output output = event(*n.raft);
  if (Result<> r = n.invariants->check(*n.raft, output); !r) return violate(fmt::format("node {}: {}", id, r.error().what));
  for (const StateChange& c : output.changes) {
    std::string state = fmt::format("{} t{} leader {}: {}", to_string(c.role), c.term, c.leader, c.reason);
    timeline.push_back(fmt::format("{:>8} us  node {} {}", now_.ns / 1000, id, state));
  }
  if (!led && n.raft->is_leader()) check_new_leader(id);
  handle(id, std::move(output));
  schedule_tick(id);
}

void Cluster::handle(NodeId id, Output output) {
  Node& n = node(id);
  if (output.persist) {
    check_entries(id, *output.persist);
    n.in_flight.push_back(*output.persist);
    Duration duration(rng_.between(0, faults.disk_max.count()));
    n.disk_free = std::max(n.disk_free, now_) + duration;
    uint64_t sequence = output.persist->sequence;
    at(n.disk_free, [this, id, sequence, run = n.run] {
      Node& m = node(id);
      if (!m.raft || m.run != run) return;
      while (!m.in_flight.empty() && m.in_flight.front().sequence <= sequence) {
        m.disk.write(m.in_flight.front());
        m.in_flight.pop_front();
      }
      step(id, [&](Raft& r) { return r.durable(now_, sequence); });
    });
  }
  for (Message& m : output.messages) deliver(std::move(m));
  if (output.restore) {
    n.applied = output.restore->index;
    n.state = load_le<uint64_t>(output.restore->data.data());
    auto known = ghost_.find(n.applied);
    if (known == ghost_.end() || known->second.state != n.state) violate(fmt::format("node {}: a wrong snapshot at {}", id, n.applied));
  }
  for (const Entry& e : output.committed) apply(id, e);
}

void Cluster::schedule_tick(NodeId id) {
  Time deadline = raft(id).deadline();
  if (deadline == Time::never()) return;
  Time when = std::max(deadline, now_);
  at(when, [this, id, deadline, run = node(id).run] {
    Node& n = node(id);
    if (!n.raft || n.run != run || n.raft->deadline() != deadline) return;
    step(id, [&](Raft& r) { return r.tick(now_); });
  });
}

void Cluster::deliver(Message m) {
  ++messages_;
  uint64_t copies = 1;
  if (rng_.chance(faults.drop_percent, 100)) copies = 0;
  if (rng_.chance(faults.duplicate_percent, 100)) ++copies;
  if (cut(m.from, m.to)) return;
  for (uint64_t i = 0; i < copies; ++i) {
    Duration delay(rng_.between(1000, faults.delay_max.count()));
    at(now_ + delay, [this, m] {
      if (!cut(m.from, m.to)) step(m.to, [&](Raft& r) { return r.receive(now_, m); });
    });
  }
}

void Cluster::apply(NodeId id, const Entry& e) {
  Node& n = node(id);
  n.applied = e.index;
  n.state = fold(n.state, e);
  auto [known, first] = ghost_.try_emplace(e.index, Committed{e.term, hash_of(e.data), n.state});
  const Committed& committed = known->second;
  if (committed.term != e.term || committed.data != hash_of(e.data) || committed.state != n.state) {
    return violate(fmt::format("state machine safety: node {} applies {}/{}, committed: {}", id, e.index, e.term, committed.term));
  }
  if (!first) return;
  // The acknowledgement of a voter that was wiped since then may have been under way: it held the entry when it said so.
  const Configuration& c = raft(id).configuration();
  if (!reached_by_majority(c, [&](const Voter& v) { return node(v.node).voter != v.id || node(v.node).disk.holds(e.index, e.term); })) {
    violate(fmt::format("node {} takes {}/{} for committed, but no majority holds it durably", id, e.index, e.term));
  }
}

void Cluster::check_new_leader(NodeId id) {
  const Raft& r = raft(id);
  auto [known, first] = leaders_.try_emplace(r.term(), id);
  if (!first) violate(fmt::format("election safety: nodes {} and {} lead in term {}", known->second, id, r.term()));
  for (const auto& [index, committed] : ghost_) {
    if (index > r.log().base_index() && r.log().term_at(index) != committed.term) {
      return violate(fmt::format("leader completeness: node {} leads term {} without {}/{}", id, r.term(), index, committed.term));
    }
  }
}

void Cluster::check_entries(NodeId id, const Persist& step) {
  for (const Entry& e : step.entries) {
    Written w{raft(id).log().term_at(e.index - 1).value_or(Term{}), hash_of(e.data)};
    auto [known, first] = written_.try_emplace({e.index, e.term}, w);
    if (!first && (known->second.prev_term != w.prev_term || known->second.data != w.data)) {
      violate(fmt::format("log matching: node {} writes another {}/{}", id, e.index, e.term));
    }
  }
}

void Cluster::violate(std::string text) {
  if (violation.empty()) violation = fmt::format("at {} us: {}", now_.ns / 1000, text);
}

}  // namespace sg::raft::test
