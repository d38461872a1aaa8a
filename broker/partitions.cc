#include "broker/partitions.h"

#include <algorithm>

#include "base/probe.h"
#include "broker/batch_io.h"
#include "broker/stall.h"

namespace sg::broker {
namespace {

replica::Config replica_config(const Config& config) {
  replica::Config out;
  out.lag_time_max = config.timing.replica_lag_time_max;
  out.window_bytes = config.limits.replica_window_bytes;
  return out;
}

replica::PartitionState state_of(const metadata::Catalogue& catalogue, const metadata::Partition& p) {
  replica::PartitionState state;
  state.leader = p.leader;
  state.leader_epoch = p.leader_epoch;
  state.partition_epoch = p.partition_epoch;
  state.isr = p.isr_nodes();
  state.min_isr = p.min_isr;
  for (NodeId node : p.replicas) {
    const metadata::Broker* broker = catalogue.broker(node);
    state.replicas.push_back(
        {node, broker ? broker->epoch : kNoBrokerEpoch, !catalogue.may_join(p, node), broker ? broker->run.directory : Uuid{}});
  }
  return state;
}

}  // namespace

Partitions::Partitions(Env& env, const Config& config, wal::Journal& journal, const std::vector<wal::StreamState>& recovered,
                       ReplicationSink& replication, ControllerSink& controller)
    : env_(env), log_(env.log.with("partition")), config_(config), journal_(journal), replication_(replication), controller_(controller) {
  for (const wal::StreamState& s : recovered)
    if (!wal::is_metadata(s.stream)) recovered_marks_[s.stream] = Offset(s.mark);
}

Partitions::~Partitions() = default;

Replica* Partitions::find(StreamId stream) {
  auto it = replicas_.find(stream);
  return it == replicas_.end() ? nullptr : it->second.get();
}

// --- The catalogue ---------------------------------------------------------------------------------------------------------------

void Partitions::refresh(const metadata::Catalogue& catalogue, BrokerEpoch own, const std::set<StreamId>* touched,
                         const std::set<NodeId>& brokers) {
  // What was deleted goes first: its stream's space may be what the journal needs.
  for (auto it = replicas_.begin(); it != replicas_.end();) {
    const metadata::Partition* p = catalogue.partition(it->first);
    if (p && p->has_replica(config_.node_id)) {
      ++it;
      continue;
    }
    Replica& gone = *it->second;
    log_.info("dropped topic={} partition={} stream={}", gone.topic, gone.index, gone.stream);
    replica::PartitionState nobody;
    nobody.leader_epoch = gone.core.leader_epoch() + 1;
    nobody.partition_epoch = PartitionEpoch(INT32_MAX);
    replica::Output out;
    gone.core.catalogue(env_.clock.now(), own, nobody, out);  // answers everyone who waits
    perform(gone, out);
    notify_readers(gone);
    journal_.drop(gone.stream);
    it = replicas_.erase(it);
  }
  std::set<NodeId> leaders;
  for (const auto& [stream, p] : catalogue.partitions()) {
    if (!p.has_replica(config_.node_id)) continue;
    bool concerned = !touched || touched->contains(stream) ||
                     std::any_of(p.replicas.begin(), p.replicas.end(), [&](NodeId n) { return brokers.contains(n); });
    Replica* replica = find(stream);
    if (!replica) {
      replica = &create(catalogue, p);
      concerned = true;
    }
    if (p.leader != kNoNode && p.leader != config_.node_id && !replica->core.is_damaged()) leaders.insert(p.leader);
    if (!concerned) continue;
    replica::Output out;
    replica->core.catalogue(env_.clock.now(), own, state_of(catalogue, p), out);
    perform(*replica, out);
  }
  replication_.want_sessions(leaders);
  // What recovery found and no topic owns belonged to topics that were deleted while this node was away, or that nobody knows any more
  // since an operator has accepted the loss of metadata.
  for (const auto& [stream, mark] : recovered_marks_) {
    if (stream >= catalogue.next_stream()) continue;
    REACHED("partitions: a stream of a topic that was deleted meanwhile");
    log_.info("dropped stream={} reason=\"no topic owns it\"", stream);
    journal_.drop(stream);
  }
  recovered_marks_.clear();
}

Replica& Partitions::create(const metadata::Catalogue& catalogue, const metadata::Partition& p) {
  StreamId stream = p.stream;
  auto mark = recovered_marks_.extract(stream);
  auto [it, added] =
      replicas_.emplace(stream, std::make_unique<Replica>(config_.node_id, stream, replica_config(config_),
                                                          Offset(journal_.start_of(stream)), mark ? mark.mapped() : Offset(0)));
  ENSURE(added);
  Replica& replica = *it->second;
  const metadata::Topic* topic = catalogue.topic(p.topic_id);
  replica.topic = topic ? topic->name : "";
  replica.topic_id = p.topic_id;
  replica.index = p.index;
  replica::Output out;
  if (journal_.damaged(stream)) {
    replica.core.damaged(Offset(journal_.start_of(stream)), Offset(journal_.end_of(stream)), out);
    perform(replica, out);
    return replica;
  }
  for (const wal::Entry& entry : journal_.entries(stream, journal_.start_of(stream))) replica.core.recover(descriptor_of(entry));
  replica.core.set_log_full(log_full_);
  replica.core.standing(env_.clock.now(), standing_, out);
  for (NodeId node : sessions_) replica.core.session_opened(env_.clock.now(), node, out);
  perform(replica, out);
  return replica;
}

// --- Clients ---------------------------------------------------------------------------------------------------------------------

replica::Outcome Partitions::append(Replica& replica, IncomingBatch batch, replica::Acks acks, Time deadline,
                                    std::shared_ptr<ProduceWaiter> waiter, size_t part) {
  set_log_full();
  replica::Token token = add_wait(std::move(waiter), part);
  replica::Output out;
  replica::Appended appended = replica.core.append(env_.clock.now(), batch.info, acks, token, deadline, out);
  bool waits = appended.outcome == replica::Outcome::ok || appended.outcome == replica::Outcome::duplicate;
  if (!waits) (void)take_wait(token);
  if (appended.outcome == replica::Outcome::ok) {
    stamp(batch, appended.base_offset, appended.leader_epoch);
    append_to_journal(replica, batch, appended.base_offset, appended.leader_epoch, appended.generation);
  }
  perform(replica, out);
  return appended.outcome;
}

void Partitions::append_to_journal(Replica& replica, const IncomingBatch& batch, Offset base, LeaderEpoch epoch, uint64_t generation) {
  wal::Append append;
  append.stream = replica.stream;
  append.first = base.v;
  append.next = base.v + batch.info.last_offset_delta + 1;
  append.epoch = epoch.v;
  append.payload = batch.bytes;
  append.prefix_bytes = kBatchCrcFrom;
  append.body_crc = batch.crc;
  append.aux = to_aux(batch.info);
  Offset end(append.next);
  uint64_t ticket = journal_.append(std::move(append));
  replica.writing.push_back({ticket, generation, end});
}

Result<std::vector<wal::ReadBatch>> Partitions::read(Task& task, StreamId stream, Offset from, Offset bound, size_t max_bytes,
                                                     bool at_least_one) {
  std::vector<wal::ReadBatch> batches;
  if (auto cached = journal_.read_cached(stream, from.v, max_bytes, at_least_one)) {
    batches = std::move(*cached);
  } else {
    auto read = journal_.read(task, stream, from.v, max_bytes, at_least_one);
    if (read.is(Errc::corrupt)) damaged(stream, from, bound, read.error());
    if (!read) return std::unexpected(read.error());
    batches = std::move(*read);
  }
  while (!batches.empty() && batches.back().next > bound.v) batches.pop_back();
  return batches;
}

void Partitions::add_reader(Replica& replica, Signal& signal) { replica.readers.push_back(&signal); }

size_t Partitions::readers() const {
  size_t out = 0;
  for (const auto& [stream, replica] : replicas_) out += replica->readers.size();
  return out;
}

void Partitions::remove_reader(StreamId stream, Signal& signal) {
  if (Replica* r = find(stream)) std::erase(r->readers, &signal);
}

void Partitions::notify_readers(Replica& replica) {
  for (Signal* signal : replica.readers) signal->notify_all();
}

replica::Token Partitions::add_wait(std::shared_ptr<ProduceWaiter> waiter, size_t part) {
  uint32_t slot;
  if (free_waits_.empty()) {
    slot = static_cast<uint32_t>(waits_.size());
    waits_.emplace_back();
  } else {
    slot = free_waits_.back();
    free_waits_.pop_back();
  }
  waits_[slot].waiter = std::move(waiter);
  waits_[slot].part = part;
  return replica::Token((static_cast<uint64_t>(waits_[slot].generation) << 32) | slot);
}

Partitions::Wait Partitions::take_wait(replica::Token token) {
  auto slot = static_cast<uint32_t>(token.v);
  auto generation = static_cast<uint32_t>(token.v >> 32);
  ENSURE(slot < waits_.size() && waits_[slot].generation == generation, "unknown produce token {}", token);
  Wait wait = std::move(waits_[slot]);
  waits_[slot] = Wait{};
  waits_[slot].generation = generation + 1;
  free_waits_.push_back(slot);
  return wait;
}

// --- Events ----------------------------------------------------------------------------------------------------------------------

void Partitions::on_durable(std::span<const wal::StreamEnd> ends, wal::Tickets durable) {
  for (const wal::StreamEnd& e : ends) {
    Replica* replica = find(e.stream);
    if (!replica) continue;
    std::optional<Replica::Writing> last;
    while (!replica->writing.empty() && replica->writing.front().ticket <= durable.data) {
      last = replica->writing.front();
      replica->writing.pop_front();
    }
    if (!last) continue;
    replica::Output out;
    replica->core.durable(env_.clock.now(), last->generation, last->end, out);
    perform(*replica, out);
  }
  set_log_full();
}

void Partitions::set_log_full() {
  if (log_full_ == journal_.full()) return;
  log_full_ = !log_full_;
  REACHED("partitions: the journal's limit was reached or left");
  log_.warn("journal_{}", log_full_ ? "full: writes are refused until space is freed" : "has space again");
  for (auto& [stream, replica] : replicas_) replica->core.set_log_full(log_full_);
}

void Partitions::on_standing(replica::Standing standing) {
  standing_ = standing;
  for (auto& [stream, replica] : replicas_) {
    replica::Output out;
    replica->core.standing(env_.clock.now(), standing, out);
    perform(*replica, out);
  }
}

// What exactly is gone, nobody has said: the whole log is in doubt.
void Partitions::on_damaged(StreamId stream, const Error& what) {
  if (Replica* r = find(stream)) damaged(stream, r->core.log().log_start(), r->core.log().log_end(), what);
}

void Partitions::damaged(StreamId stream, Offset from, Offset to, const Error& what) {
  Replica* r = find(stream);
  if (!r || r->core.is_damaged()) return;
  log_.error("damage topic={} partition={} stream={} {}", r->topic, r->index, stream, what.what);
  with(stream, [&](replica::Partition& core, Time, replica::Output& out) { core.damaged(from, to, out); });
}

void Partitions::on_isr_refused(StreamId stream, PartitionEpoch epoch, replica::IsrRefusal why) {
  with(stream, [&](replica::Partition& core, Time now, replica::Output& out) { core.isr_refused(now, epoch, why, out); });
}

void Partitions::on_session_opened(NodeId leader) {
  sessions_.insert(leader);
  for (auto& [stream, replica] : replicas_) {
    replica::Output out;
    replica->core.session_opened(env_.clock.now(), leader, out);
    perform(*replica, out);
  }
}

void Partitions::on_session_closed(NodeId leader) {
  sessions_.erase(leader);
  for (auto& [stream, replica] : replicas_) {
    replica::Output out;
    replica->core.session_closed(env_.clock.now(), leader, out);
    perform(*replica, out);
  }
}

void Partitions::on_follower_lost(NodeId follower) {
  for (auto& [stream, replica] : replicas_) {
    replica::Output out;
    replica->core.follower_lost(env_.clock.now(), follower, out);
    perform(*replica, out);
  }
}

Result<> Partitions::on_data(NodeId from, const replica::Data& message, std::span<const IncomingBatch> batches,
                             std::span<const replica::Descriptor> descriptors) {
  Replica* replica = find(message.stream);
  if (!replica) return {};
  set_log_full();
  replica::Output out;
  TRY_DO(replica->core.data(env_.clock.now(), from, message, descriptors, out));
  incoming_ = batches;
  perform(*replica, out);
  incoming_ = {};
  return {};
}

// --- Actions ---------------------------------------------------------------------------------------------------------------------

void Partitions::perform(Replica& replica, const replica::Output& out) {
  for (const replica::Action& action : out.actions) act(replica, action);
  arm(replica);
}

void Partitions::act(Replica& replica, const replica::Action& action) {
  std::visit([&](const auto& a) { act(replica, a); }, action);
}

void Partitions::act(Replica& replica, const replica::Write& a) {
  for (const IncomingBatch& batch : incoming_) {
    Offset base = base_offset_of(batch);
    if (base >= a.from && base < a.to) append_to_journal(replica, batch, base, leader_epoch_of(batch), a.generation);
  }
  ENSURE(!replica.writing.empty() && replica.writing.back().end == a.to, "stream {}: the batches do not end at {}", replica.stream, a.to);
}

void Partitions::act(Replica& replica, const replica::Truncate& a) {
  REACHED("partition: truncation");
  log_.info("truncated topic={} partition={} to={} epoch={}", replica.topic, replica.index, a.to, a.epoch);
  uint64_t ticket = journal_.truncate(replica.stream, a.to.v, a.epoch.v);
  replica.writing.push_back({ticket, a.generation, a.to});
}

void Partitions::act(Replica&, const replica::Send& a) { replication_.send(a.to, a.message); }

void Partitions::act(Replica& replica, const replica::WakeSender& a) { replication_.wake_sender(a.to, replica.stream); }

void Partitions::act(Replica&, const replica::Complete& a) {
  Wait wait = take_wait(a.token);
  wait.waiter->completed(wait.part, a.outcome, a.base_offset);
}

void Partitions::act(Replica&, const replica::ProposeIsr& a) { controller_.propose_isr(a.proposal); }

void Partitions::act(Replica& replica, const replica::HighWatermarkMoved& a) {
  journal_.set_mark(replica.stream, a.high_watermark.v);
  notify_readers(replica);
}

void Partitions::act(Replica& replica, const replica::WakeReaders&) { notify_readers(replica); }

void Partitions::act(Replica& replica, const replica::RoleChanged& a) {
  static constexpr const char* kNames[] = {"none", "follower", "leader"};
  log_.info("role={} topic={} partition={} leader_epoch={} leader={} log_end={} high_watermark={}", kNames[static_cast<size_t>(a.role)],
            replica.topic, replica.index, a.leader_epoch, replica.core.leader(), replica.core.log().log_end(),
            replica.core.log().high_watermark());
  notify_readers(replica);
}

void Partitions::act(Replica& replica, const replica::Faulted& a) {
  REACHED("partition: faulted");
  log_.error(
      "out_of_service topic={} partition={} stream={} reason=\"{}\" what=\"where other replicas are in sync: stop this node, move its data "
      "directory away, start it empty; where none is: keep the directory, 'stormglassd inspect {}' of the stopped node says what is "
      "missing\"",
      replica.topic, replica.index, replica.stream, a.why, config_.data_dir);
  controller_.report_damage(replica.stream);
  notify_readers(replica);
}

// --- Time ------------------------------------------------------------------------------------------------------------------------

void Partitions::arm(Replica& replica) {
  Time deadline = replica.core.deadline();
  if (deadline >= replica.armed) return;  // an armed timer that comes too early looks again
  replica.armed = deadline;
  timers_.push({deadline, replica.stream});
  if (deadline < waiting_until_) earlier_.notify_all();
}

void Partitions::run(Task& task) {
  while (!task.stopping()) {
    waiting_until_ = timers_.empty() ? Time::never() : timers_.top().at;
    if (waiting_until_ > task.now()) {
      if (earlier_.wait(task, waiting_until_, "a partition's deadline").is(Errc::stopped)) return;
      continue;
    }
    if (!drain_after_stall(task, waiting_until_)) return;
    Timer due = timers_.top();
    if (due.at > task.now()) continue;
    timers_.pop();
    Replica* replica = find(due.stream);
    if (!replica || replica->armed != due.at) continue;
    replica->armed = Time::never();
    replica::Output out;
    if (replica->core.deadline() <= task.now()) replica->core.wake(task.now(), out);
    perform(*replica, out);
  }
}

}  // namespace sg::broker
