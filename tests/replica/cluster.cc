// See cluster.h.
#include "tests/replica/cluster.h"

#include <algorithm>
#include <limits>

#include "base/ensure.h"

namespace sg::replica::test {

namespace {
constexpr StreamId kStream{16};
constexpr int32_t kRecords = 3;
constexpr uint32_t kBytes = 100;
constexpr size_t kInFlight = 3;
constexpr int64_t kMax = std::numeric_limits<int32_t>::max();

void apply_op(std::vector<Entry>& log, const JournalOp& op) {
  if (op.entry) {
    log.push_back(*op.entry);
  } else {
    while (!log.empty() && log.back().batch.base >= op.to) log.pop_back();
  }
}
}  // namespace

Cluster::Cluster(uint64_t seed) : rng_(seed) {
  config_.lag_time_max = 300ms;
  config_.isr_retry = 20ms;
  config_.subscribe_retry = 10ms;
  config_.subscribe_timeout = 200ms;
  config_.high_watermark_linger = 3ms;
  config_.window_bytes = kBytes * static_cast<uint64_t>(rng_.between(1, 8));
  state_.min_isr = static_cast<int32_t>(rng_.between(1, 2));
  for (int i = 1; i <= 3; ++i) {
    nodes_.emplace_back();
    nodes_.back().id = NodeId(i);
    state_.replicas.push_back({NodeId(i), kNoBrokerEpoch, true});
    state_.isr.push_back(NodeId(i));
  }
  for (int i = 0; i < 2; ++i) {
    clients_.emplace_back();
    clients_.back().id = ProducerId(i + 1);
    if (i == 1)
      clients_.back().first_sequence = static_cast<int32_t>(rng_.chance(1, 2) ? rng_.between(1, 100) : rng_.between(kMax - 300, kMax - 50));
  }
  publish();
}

// ------------------------------------------------------------------------------------------------------------------------ events

void Cluster::run_until(Time end) {
  while (!queue_.empty() && queue_.begin()->first <= end) {
    auto event = queue_.extract(queue_.begin());
    now_ = event.key();
    event.mapped()();
    check_latest();
  }
  now_ = end;
}

void Cluster::run(Duration faults) {
  for (Node& n : nodes_) start(n);
  for (int i = 0; i < 2; ++i) client_turn(i);
  noise();
  Time end = now_ + faults;
  while (now_ < end) {
    run_until(now_ + some(5'000, 300'000));
    Node& n = nodes_[rng_.below(3)];
    Node& other = nodes_[rng_.below(3)];
    switch (rng_.below(6)) {
      case 0:
      case 1:
        if (n.up) crash(n);
        break;
      case 2:
        if (n.id != other.id) cut(n.id, other.id);
        break;
      case 3: fence(n.id); break;  // the controller errs
      case 4:
        if (!n.up) break;
        stand(n, rng_.chance(1, 4) ? Standing::fenced : Standing::silent);
        at(some(1'000, 2'000'000), [this, &n] { stand(n, Standing::registered); });
        break;
      default: break;
    }
    // Whoever is down comes back, now or later.
    for (Node& d : nodes_)
      if (!d.up && rng_.chance(1, 3)) start(d);
    dial_all();
  }
  healing_ = true;
  for (Node& n : nodes_) {
    if (!n.up) start(n);
    stand(n, Standing::registered);
  }
  producing_ = false;
  Time limit = now_ + 60s;
  while (!quiet()) {
    ENSURE(now_ < limit, "no rest after a minute without faults: {}", describe());
    dial_all();
    run_until(now_ + 50ms);
  }
  run_until(now_ + 1s);
  check_end();
}

// ------------------------------------------------------------------------------------------------------------------------- nodes

void Cluster::start(Node& n) {
  ENSURE(!n.up);
  n.up = true;
  ++n.run;
  n.log = n.disk;
  n.registered = false;
  n.told = 0;
  n.invariants = std::make_unique<Invariants>();
  n.partition = std::make_unique<Partition>(n.id, kStream, config_, Offset(0), n.disk_mark);
  for (const Entry& e : n.disk) n.partition->recover(e.batch);
  at(some(1'000, 50'000), [this, &n, run = n.run] {
    if (n.up && n.run == run) register_broker(n);
  });
}

// A kill or a power cut: of what was not synced, any prefix survives.
void Cluster::crash(Node& n) {
  size_t survives = rng_.below(n.queue.size() + 1);
  for (size_t i = 0; i < survives; ++i) {
    apply_op(n.disk, n.queue[i]);
    n.disk_mark = std::max(n.disk_mark, n.queue[i].mark);
  }
  n.queue.clear();
  n.sync_under_way = false;
  n.up = false;
  ++n.run;
  n.partition.reset();
  for (Node& other : nodes_) {
    if (other.id == n.id) continue;
    cut(n.id, other.id);
    cut(other.id, n.id);
  }
  at(some(1'000, 200'000), [this, id = n.id, run = n.run] {
    if (node(id).run == run) fence(id);
  });
}

void Cluster::step(Node& n, const std::function<void(Partition&, Output&)>& event) {
  if (!n.up) return;
  Output out;
  event(*n.partition, out);
  n.invariants->check(*n.partition);
  perform(n, out);
  arm(n);
}

void Cluster::arm(Node& n) {
  Time deadline = n.partition->deadline();
  if (deadline == Time::never()) return;
  queue_.emplace(std::max(now_, deadline) + some(1, 1000), [this, &n, run = n.run] {
    if (n.up && n.run == run && n.partition->deadline() <= now_) step(n, [&](Partition& p, Output& out) { p.wake(now_, out); });
  });
}

void Cluster::perform(Node& n, Output& out) {
  for (Action& action : out.actions) {
    if (auto* a = std::get_if<Truncate>(&action)) {
      n.queue.push_back({std::nullopt, a->to, a->generation, n.partition->log().high_watermark()});
      apply_op(n.log, n.queue.back());
      start_sync(n);
    } else if (auto* s = std::get_if<Send>(&action)) {
      bool to_leader = s->message.index() <= 2;  // Subscribe, Unsubscribe, Ack
      NodeId dialer = to_leader ? n.id : s->to;
      transmit(dialer, n.id, s->to, [this, from = n.id, m = s->message](Node& to) {
        step(to, [&](Partition& p, Output& o) {
          if (auto* x = std::get_if<Subscribe>(&m)) p.subscribe(now_, from, *x, o);
          if (auto* x = std::get_if<Unsubscribe>(&m)) p.unsubscribe(now_, from, *x, o);
          if (auto* x = std::get_if<Ack>(&m)) ENSURE(p.ack(now_, from, *x, o).has_value());
          if (auto* x = std::get_if<Diverged>(&m)) ENSURE(p.diverged(now_, from, *x, o).has_value());
          if (auto* x = std::get_if<Refused>(&m)) p.refused(now_, from, *x, o);
        });
      });
    } else if (auto* w = std::get_if<WakeSender>(&action)) {
      at(some(1, 200), [this, &n, to = w->to, run = n.run] {
        if (n.up && n.run == run) pump(n, to);
      });
    } else if (auto* c = std::get_if<Complete>(&action)) {
      completed(n, *c);
    } else if (auto* i = std::get_if<ProposeIsr>(&action)) {
      propose(n, i->proposal);
    } else if (auto* h = std::get_if<HighWatermarkMoved>(&action)) {
      on_high_watermark(n, h->high_watermark);
    } else if (auto* f = std::get_if<Faulted>(&action)) {
      ENSURE(false, "node {} gave up: {}", n.id, f->why);
    }
  }
}

void Cluster::start_sync(Node& n) {
  if (n.sync_under_way || n.queue.empty()) return;
  n.sync_under_way = true;
  at(some(50, 20'000), [this, &n, run = n.run, count = n.queue.size()] {
    if (!n.up || n.run != run) return;
    std::vector<JournalOp> done(n.queue.begin(), n.queue.begin() + static_cast<ptrdiff_t>(count));
    n.queue.erase(n.queue.begin(), n.queue.begin() + static_cast<ptrdiff_t>(count));
    n.sync_under_way = false;
    for (const JournalOp& op : done) {
      apply_op(n.disk, op);
      n.disk_mark = std::max(n.disk_mark, op.mark);
    }
    start_sync(n);
    for (const JournalOp& op : done)
      step(n, [&](Partition& p, Output& out) { p.durable(now_, op.generation, op.entry ? op.entry->batch.end() : op.to, out); });
  });
}

void Cluster::pump(Node& n, NodeId to) {
  while (auto plan = n.partition->next_to_send(to)) {
    std::vector<Entry> entries;
    std::vector<uint32_t> sizes;
    uint64_t bytes = 0;
    Offset end = plan->from;
    if (plan->max_bytes > 0) {
      for (const Entry& e : n.log) {
        if (e.batch.base < plan->from) continue;
        if (!entries.empty() && bytes + e.batch.info.bytes > plan->max_bytes) break;
        if (!entries.empty() && rng_.chance(1, 3)) break;
        entries.push_back(e);
        sizes.push_back(e.batch.info.bytes);
        bytes += e.batch.info.bytes;
        end = e.batch.end();
      }
    }
    auto header = n.partition->sent(to, *plan, end, sizes);
    ENSURE(header, "a plan that nothing came between is stale");
    n.invariants->check(*n.partition);
    transmit(to, n.id, to, [this, from = n.id, header = *header, entries](Node& f) {
      step(f, [&](Partition& p, Output& out) {
        std::vector<Descriptor> batches;
        for (const Entry& e : entries) batches.push_back(e.batch);
        Offset before = p.log().log_end();
        ENSURE(p.data(now_, from, header, batches, out).has_value());
        bool written = std::ranges::any_of(out.actions, [](const Action& a) { return std::holds_alternative<Write>(a); });
        ENSURE(written == (p.log().log_end() > before));
        if (!written) return;
        for (const Entry& e : entries) {
          f.log.push_back(e);
          f.queue.push_back({e, {}, p.log().generation(), p.log().high_watermark()});
        }
        start_sync(f);
      });
    });
  }
}

// ----------------------------------------------------------------------------------------------------------------------- network

void Cluster::dial_all() {
  for (Node& n : nodes_)
    for (Node& other : nodes_) {
      if (n.id == other.id || !n.up || !other.up || sessions_.contains({n.id, other.id})) continue;
      if (!healing_ && rng_.chance(1, 2)) continue;
      sessions_[{n.id, other.id}] = {++session_numbers_, now_};
      step(n, [&](Partition& p, Output& out) { p.session_opened(now_, other.id, out); });
    }
}

void Cluster::cut(NodeId dialer, NodeId other) {
  if (sessions_.erase({dialer, other}) == 0) return;
  step(node(dialer), [&](Partition& p, Output& out) { p.session_closed(now_, other, out); });
  step(node(other), [&](Partition& p, Output& out) { p.follower_lost(now_, dialer, out); });
}

void Cluster::transmit(NodeId dialer, NodeId from, NodeId to, std::function<void(Node&)> deliver) {
  NodeId other = dialer == from ? to : from;
  auto session = sessions_.find({dialer, other});
  if (session == sessions_.end()) return;
  uint64_t number = session->second.first;
  // FIFO per direction of a session.
  Time& last = last_delivery_[{NodeId(dialer.v * 10 + other.v), from}];
  Duration delay = rng_.chance(1, 50) ? some(10'000, 800'000) : some(20, 5'000);
  last = std::max(last, now_ + delay);
  queue_.emplace(last, [this, dialer, other, number, to, deliver = std::move(deliver)] {
    auto it = sessions_.find({dialer, other});
    if (it != sessions_.end() && it->second.first == number) deliver(node(to));
  });
}

// --------------------------------------------------------------------------------------------------------------------- catalogue

void Cluster::publish() {
  history_.push_back(state_);
  for (Node& n : nodes_)
    at(some(50, 50'000), [this, &n, run = n.run, upto = history_.size()] {
      if (!n.up || n.run != run) return;
      n.told = std::max(n.told, upto);
      while (n.registered && n.applied < n.told) apply(n);
    });
}

void Cluster::apply(Node& n) {
  const PartitionState& s = history_[n.applied++];
  // Between a registration and its answer a node serves under the older epoch, which the catalogue no longer knows.
  step(n, [&](Partition& p, Output& out) { p.catalogue(now_, n.broker_epoch, s, out); });
}

void Cluster::elect() {
  const ReplicaState* leader = state_.replica(state_.leader);
  if (leader && !leader->fenced) return;
  std::vector<NodeId> electable;
  for (NodeId id : state_.isr)
    if (!state_.replica(id)->fenced) electable.push_back(id);
  NodeId chosen = electable.empty() ? kNoNode : electable[rng_.below(electable.size())];
  if (chosen == state_.leader) return;
  state_.leader = chosen;
  ++state_.leader_epoch;
  ++state_.partition_epoch;
  ++elections_;
}

void Cluster::fence(NodeId id) {
  auto replica = std::ranges::find(state_.replicas, id, &ReplicaState::node);
  if (replica->fenced) return;
  replica->fenced = true;
  if (state_.isr.size() > 1 && state_.in_isr(id)) {
    std::erase(state_.isr, id);
    ++state_.partition_epoch;
  }
  elect();
  publish();
  // A living broker finds out and registers again.
  at(some(1'000, 100'000), [this, id, run = node(id).run] {
    Node& n = node(id);
    if (n.up && n.run == run) register_broker(n);
  });
}

// Clean, always: nothing damages a disk here.
void Cluster::register_broker(Node& n) {
  auto replica = std::ranges::find(state_.replicas, n.id, &ReplicaState::node);
  replica->broker_epoch = next_broker_epoch_;
  replica->fenced = false;
  ++next_broker_epoch_;
  if (state_.leader == n.id) {
    ++state_.leader_epoch;
    ++state_.partition_epoch;
  }
  elect();
  publish();
  at(some(50, 20'000), [this, &n, run = n.run, epoch = replica->broker_epoch, upto = history_.size()] {
    if (!n.up || n.run != run || epoch <= n.broker_epoch) return;
    n.broker_epoch = epoch;
    // From its registration on, and what has come since; what was applied already, once more, under the new epoch.
    n.told = std::max(n.told, upto);
    n.applied = n.registered ? std::min(n.applied, upto - 1) : upto - 1;
    n.registered = true;
    while (n.applied < n.told) apply(n);
  });
}

void Cluster::propose(Node& n, const IsrProposal& proposal) {
  auto answer = [this, &n, run = n.run, epoch = proposal.partition_epoch](IsrRefusal why) {
    at(some(50, 20'000), [this, &n, run, epoch, why] {
      if (n.up && n.run == run) step(n, [&](Partition& p, Output& out) { p.isr_refused(now_, epoch, why, out); });
    });
  };
  // The request and its answer may each be late or lost; a lost one is reported as unknown, and may still take effect.
  bool lost = !healing_ && rng_.chance(1, 10);
  bool silent = !healing_ && rng_.chance(1, 5);
  if (lost || silent) answer(IsrRefusal::unknown);
  if (lost) return;
  Duration delay = silent ? some(100, 500'000) : some(50, 20'000);
  at(delay, [this, proposal, silent, answer] {
    if (proposal.leader_epoch != state_.leader_epoch || proposal.partition_epoch != state_.partition_epoch) {
      if (!silent) answer(IsrRefusal::stale);
      return;
    }
    for (const IsrMember& m : proposal.members) {
      const ReplicaState* r = state_.replica(m.node);
      bool eligible = state_.in_isr(m.node) || (!r->fenced && r->broker_epoch == m.broker_epoch);
      if (!eligible) {
        if (!silent) answer(IsrRefusal::ineligible);
        return;
      }
    }
    state_.isr.clear();
    for (const IsrMember& m : proposal.members) state_.isr.push_back(m.node);
    ++state_.partition_epoch;
    publish();
  });
}

// ----------------------------------------------------------------------------------------------------------------------- clients

void Cluster::client_turn(int which) {
  Client& c = clients_[static_cast<size_t>(which)];
  at(some(500, 20'000), [this, which] { client_turn(which); });
  if (producing_ && c.payloads.size() < c.first_open + kInFlight) c.payloads.push_back(next_payload_++);
  // Mostly the right node, sometimes any.
  Node& n = state_.leader != kNoNode && !rng_.chance(1, 10) ? node(state_.leader) : nodes_[rng_.below(3)];
  if (!n.up) return;
  bool retry_early = rng_.chance(1, 10);  // a lost reply: asks again while the first attempt is under way
  // After a refusal nothing goes out until it is known what became of the rest; then everything unfinished does, oldest first.
  if (c.refused && !c.under_way.empty() && !retry_early) return;
  c.refused = false;
  for (size_t k = c.first_open; k < c.payloads.size(); ++k) {
    if (c.done.contains(k) || (c.under_way.contains(k) && !retry_early)) continue;
    step(n, [&](Partition& p, Output& out) {
      const int32_t sequence = sequence_after(c.first_sequence, static_cast<int32_t>(k) * kRecords);
      BatchInfo batch{kRecords, kRecords - 1, c.id, 0, sequence, -1, kBytes};
      Token token{next_token_++};
      asked_[token] = {which, k, c.payloads[k]};
      Appended r = p.append(now_, batch, Acks::all, token, now_ + some(1'000, 300'000), out);
      if (r.outcome == Outcome::ok) {
        Entry e{{r.base_offset, r.leader_epoch, batch}, c.payloads[k]};
        n.log.push_back(e);
        n.queue.push_back({e, {}, r.generation, p.log().high_watermark()});
        start_sync(n);
      }
      if (r.outcome == Outcome::ok || r.outcome == Outcome::duplicate) {
        c.under_way.insert(k);
      } else {
        c.refused = true;
        asked_.erase(token);
      }
    });
    at(400ms, [this, which, k] {
      Client& late = clients_[static_cast<size_t>(which)];
      if (late.under_way.erase(k) > 0) late.refused = true;
    });
  }
}

void Cluster::noise() {
  at(some(2'000, 50'000), [this] { noise(); });
  if (!producing_ || state_.leader == kNoNode) return;
  Node& n = node(state_.leader);
  step(n, [&](Partition& p, Output& out) {
    BatchInfo batch{1, 0, kNoProducerId, -1, -1, -1, kBytes};
    Token token{next_token_++};
    asked_[token] = {-1, 0, next_payload_};
    Appended r = p.append(now_, batch, Acks::leader, token, now_ + 1s, out);
    if (r.outcome != Outcome::ok) return;
    Entry e{{r.base_offset, r.leader_epoch, batch}, next_payload_++};
    n.log.push_back(e);
    n.queue.push_back({e, {}, r.generation, p.log().high_watermark()});
    start_sync(n);
  });
}

void Cluster::completed(Node& n, const Complete& done) {
  auto it = asked_.find(done.token);
  ENSURE(it != asked_.end(), "node {} answers a question nobody asked", n.id);
  Asked a = it->second;
  asked_.erase(it);
  if (a.client < 0) return;
  Client& c = clients_[static_cast<size_t>(a.client)];
  c.under_way.erase(a.number);
  if (done.outcome != Outcome::ok) c.refused = true;
  if (done.outcome != Outcome::ok) return;
  auto [known, fresh] = acked_.emplace(a.payload, done.base_offset);
  ENSURE(known->second == done.base_offset, "payload {} acknowledged at {} and at {}", a.payload, known->second, done.base_offset);
  c.done.insert(a.number);
  while (c.done.contains(c.first_open)) ++c.first_open;
  // E14: committed means on the disk of every member of the ISR.
  for (NodeId id : state_.isr) {
    const auto& disk = node(id).disk;
    bool there = std::ranges::any_of(disk, [&](const Entry& e) { return e.payload == a.payload && e.batch.base == done.base_offset; });
    ENSURE(there, "payload {} is acknowledged at {} and not on the disk of node {}", a.payload, done.base_offset, id);
  }
}

// ------------------------------------------------------------------------------------------------------------------------ checks

void Cluster::on_high_watermark(Node& n, Offset to) {
  for (const Entry& e : n.log) {
    if (e.batch.base >= to) break;
    auto [it, fresh] = ghost_.emplace(e.batch.base, std::pair{e.batch.epoch, e.payload});
    ENSURE(it->second == std::pair(e.batch.epoch, e.payload), "node {} commits another batch at {}", n.id, e.batch.base);
  }
}

void Cluster::stand(Node& n, Standing standing) {
  step(n, [&](Partition& p, Output& out) { p.standing(now_, standing, out); });
}

void Cluster::check_latest() {
  if (state_.leader == kNoNode) return;
  Node& n = node(state_.leader);
  if (!n.up || n.partition->leader_epoch() != state_.leader_epoch) return;
  OffsetAnswer answer = n.partition->latest();
  if (answer.outcome != Outcome::ok) return;
  ENSURE(answer.offset >= latest_answered_, "latest was {} and is {}", latest_answered_, answer.offset);
  latest_answered_ = answer.offset;
}

bool Cluster::quiet() {
  if (state_.leader == kNoNode || state_.isr.size() < 3) return false;
  for (const Client& c : clients_)
    if (c.first_open < c.payloads.size()) return false;
  const ReplicaLog& log = node(state_.leader).partition->log();
  for (Node& n : nodes_)
    if (n.partition->log().log_end() != log.log_end() || n.partition->log().high_watermark() != log.log_end()) return false;
  return true;
}

std::string Cluster::describe() {
  std::string text =
      fmt::format("leader {} epoch {}.{} isr of {};", state_.leader, state_.leader_epoch, state_.partition_epoch, state_.isr.size());
  for (Node& n : nodes_) {
    PartitionView v = n.partition->view();
    text +=
        fmt::format(" node {}: role {} epoch {}.{} log end {} durable {} high watermark {} applied {}/{};", n.id, static_cast<int>(v.role),
                    v.leader_epoch, v.partition_epoch, v.log_end, v.durable_end, v.high_watermark, n.applied, history_.size());
  }
  for (const Client& c : clients_) text += fmt::format(" client {}: {} of {};", c.id, c.first_open, c.payloads.size());
  return text;
}

void Cluster::check_end() {
  const std::vector<Entry>& log = nodes_[0].disk;
  for (Node& n : nodes_) {
    ENSURE(n.queue.empty() && n.disk.size() == log.size(), "node {} has {} batches, node 1 {}", n.id, n.disk.size(), log.size());
    for (size_t i = 0; i < log.size(); ++i)
      ENSURE(n.disk[i].payload == log[i].payload && n.disk[i].batch.base == log[i].batch.base &&
             n.disk[i].batch.epoch == log[i].batch.epoch);
  }
  std::map<uint64_t, Offset> found;
  std::map<ProducerId, uint64_t> last;
  for (const Entry& e : log) {
    ENSURE(found.emplace(e.payload, e.batch.base).second, "payload {} is there twice", e.payload);
    if (e.batch.info.producer_id == kNoProducerId) continue;
    ENSURE(last[e.batch.info.producer_id] < e.payload, "payload {} out of order", e.payload);
    last[e.batch.info.producer_id] = e.payload;
  }
  for (const auto& [payload, offset] : acked_)
    ENSURE(found.contains(payload) && found[payload] == offset, "payload {} was acknowledged at {} and is lost", payload, offset);
  for (const auto& [offset, what] : ghost_) ENSURE(found.contains(what.second) && found[what.second] == offset);
}

}  // namespace sg::replica::test
