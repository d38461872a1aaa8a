#include "broker/raft_driver.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/raft_recovery.h"
#include "broker/raft_snapshot.h"
#include "broker/stall.h"

namespace sg::broker {
namespace {

constexpr int64_t kLeastSnapshotEntries = 8;  // between two snapshots that are taken to free a segment

}  // namespace

RaftDriver::RaftDriver(Env& env, raft::Config config, raft::Recovered recovered, wal::Journal& journal, peer::ControlLinks& links,
                       RaftMachine& machine, int64_t snapshot_every)
    : env_(env),
      log_(env.log.with("raft")),
      journal_(journal),
      links_(links),
      machine_(machine),
      snapshot_every_(snapshot_every),
      raft_(std::move(config), std::move(recovered), env.rng.split("raft")) {}

void RaftDriver::start() { feed(raft_.start(env_.clock.now())); }

void RaftDriver::run(Task& task) {
  while (!task.stopping()) {
    armed_ = raft_.deadline();
    if (armed_ > task.now()) {
      Result<> woken = earlier_.wait(task, armed_, "Raft's deadline");
      if (woken.is(Errc::stopped)) return;
      continue;
    }
    // A node whose loop stalled drains its inbox before it judges silence (architecture §5).
    if (!drain_after_stall(task, armed_)) return;
    if (raft_.deadline() <= task.now()) feed(raft_.tick(task.now()));
  }
}

Result<raft::Proposed> RaftDriver::propose(std::span<const SharedBytes> commands) {
  raft::Output output = raft_.propose(env_.clock.now(), commands);
  std::optional<raft::Proposed> proposed = output.proposed;
  feed(std::move(output));
  if (!proposed) return fail(Errc::unavailable, "this node does not lead");
  return *proposed;
}

Result<> RaftDriver::on_frame(NodeId from, const peer::Frame& frame) {
  TRY(auto message, unpack<raft::Message>(frame.metadata));
  if (message.from != from) return fail(Errc::invalid, "a Raft message in another node's name");
  feed(raft_.receive(env_.clock.now(), std::move(message)));
  return {};
}

void RaftDriver::on_durable(uint64_t metadata_ticket) {
  uint64_t sequence = 0;
  while (!steps_.empty() && steps_.front().ticket <= metadata_ticket) {
    sequence = steps_.front().sequence;
    steps_.pop_front();
  }
  if (sequence > 0) feed(raft_.durable(env_.clock.now(), sequence));
}

void RaftDriver::on_link_up(NodeId node, Run run) { feed(raft_.link_up(env_.clock.now(), node, run)); }

void RaftDriver::suspect(NodeId node, Run run) { feed(raft_.suspect(env_.clock.now(), node, run)); }

void RaftDriver::bootstrap(const raft::Configuration& configuration) { feed(raft_.bootstrap(env_.clock.now(), configuration)); }

void RaftDriver::assume(const raft::Configuration& configuration) { feed(raft_.assume(env_.clock.now(), configuration)); }

void RaftDriver::registered(const raft::Voter& voter) { feed(raft_.registered(env_.clock.now(), voter)); }

void RaftDriver::transfer_leadership() { feed(raft_.transfer_leadership(env_.clock.now())); }

void RaftDriver::feed(raft::Output output) {
  outputs_.push_back(std::move(output));
  if (feeding_) return;  // an event from inside of apply(): the loop below takes it in its turn
  feeding_ = true;
  bool applied = false;
  while (!outputs_.empty()) {
    raft::Output next = std::move(outputs_.front());
    outputs_.pop_front();
    perform(next);
    applied = applied || !next.committed.empty();
  }
  feeding_ = false;
  if (raft_.configuration_index() != configuration_index_ || raft_.configuration().known() != configuration_known_) {
    configuration_index_ = raft_.configuration_index();
    configuration_known_ = raft_.configuration().known();
    machine_.on_configuration();
  }
  if (applied) maybe_snapshot();
  if (raft_.deadline() < armed_) earlier_.notify_all();
}

void RaftDriver::perform(raft::Output& output) {
  if (output.persist) persist(*output.persist);
  for (const raft::Message& message : output.messages) {
    ByteVec metadata;
    pack(metadata, message);
    links_.send(message.to, peer::FrameKind::raft, metadata);
  }
  if (output.restore) machine_.restore(*output.restore);
  for (const raft::Entry& entry : output.committed) machine_.apply(entry);
  for (const raft::StateChange& change : output.changes) {
    const bool alone = change.role == raft::Role::pre_candidate;
    log_.info("role={} term={} leader={} reason=\"{}\"{}", to_string(change.role), change.term, change.leader, change.reason,
              alone ? fmt::format(" not_heard=\"{}\"", links_.unheard()) : "");
    machine_.on_raft_change(change);
  }
  if (output.restore || !output.committed.empty()) machine_.applied_all();
  if (output.distrusted) machine_.on_distrusted();
}

void RaftDriver::persist(const raft::Persist& step) {
  if (step.hard_state)
    last_ticket_ = journal_.set_hard_state({step.hard_state->term, step.hard_state->vote.node, step.hard_state->vote.id});
  if (step.snapshot) {
    const raft::Snapshot& s = *step.snapshot;
    journal_.append(to_append(s));
    last_ticket_ = journal_.advance_start(wal::kRaftSnapshots, s.index.v);
  }
  if (step.truncate_from && step.truncate_from->v < journal_.end_of(wal::kRaftLog))
    last_ticket_ = journal_.truncate(wal::kRaftLog, step.truncate_from->v, raft_.term().v);
  if (step.snapshot) last_ticket_ = journal_.advance_start(wal::kRaftLog, step.snapshot->index.v + 1);
  for (const raft::Entry& entry : step.entries) {
    if (journal_.end_of(wal::kRaftLog) == 0) journal_.advance_start(wal::kRaftLog, 1);  // the first log index is 1
    last_ticket_ = journal_.append(to_append(entry));
  }
  steps_.push_back({step.sequence, last_ticket_});
}

void RaftDriver::maybe_snapshot() {
  const LogIndex applied = raft_.applied();
  const int64_t behind = applied - raft_.snapshot().index;
  bool due = behind >= snapshot_every_;
  if (!due && behind >= kLeastSnapshotEntries && journal_.stats().segments > 2) {
    // Nothing but metadata keeps the oldest segment: a snapshot sets it free.
    std::vector<StreamId> pinned = journal_.oldest_live_streams();
    due = !pinned.empty() && pinned.back() < wal::kFirstPartitionStream;
    if (due) REACHED("raft: snapshot to free the oldest segment");
  }
  if (due) feed(raft_.snapshot_taken(env_.clock.now(), applied, SharedBytes::copy_of(machine_.take_snapshot())));
}

}  // namespace sg::broker
