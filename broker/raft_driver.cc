#include "broker/raft_driver.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/stall.h"

namespace sg::broker {
namespace {

constexpr size_t kRecoveryReadBytes = 1 << 20;
constexpr int64_t kLeastSnapshotEntries = 8;  // between two snapshots that are taken to free a segment

wal::Append to_append(const raft::Entry& e) {
  wal::Append append = wal::Append::whole_payload(wal::kRaftLog, e.index.v, e.index.v + 1, e.term.v, e.data);
  uint8_t kind = static_cast<uint8_t>(e.kind);
  append.aux = wal::Aux({&kind, 1});
  return append;
}

bool has_damage(const wal::OpenResult& opened, StreamId stream) {
  for (const wal::StreamState& s : opened.streams)
    if (s.stream == stream) return s.damaged;
  return opened.start == wal::StartKind::damaged;  // nothing is left of it, and something is missing
}

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

Result<raft::Recovered> RaftDriver::recover(Task& task, wal::Journal& journal, const wal::OpenResult& opened, bool only_voter) {
  raft::Recovered out;
  out.term = opened.hard_state.term;
  out.vote = opened.hard_state.vote;
  out.may_vote = !has_damage(opened, wal::kRaftLog) && !has_damage(opened, wal::kRaftSnapshots);
  // What is damaged here is whole at the other voters: this one starts over from what it can still read, barred (raft.h). Its log goes on
  // where the damage begins, so the rest leaves the journal first, together with the word that it is barred.
  auto start_over = [&](auto&& cut) -> Result<> {
    REACHED("raft: recovery stops at damage in the log");
    out.may_vote = false;
    if (only_voter) return {};
    out.vote = raft::kBarredVote;
    journal.set_hard_state({out.term, out.vote});
    cut();
    return journal.settle(task);
  };
  int64_t snapshots_end = journal.end_of(wal::kRaftSnapshots);
  if (snapshots_end > journal.start_of(wal::kRaftSnapshots)) {
    auto read = journal.read(task, wal::kRaftSnapshots, snapshots_end - 1, kRecoveryReadBytes, true);
    if (read.is(Errc::corrupt) && !only_voter) {
      TRY_DO(start_over([&] {
        journal.drop(wal::kRaftLog);
        journal.drop(wal::kRaftSnapshots);
      }));
      return out;
    }
    if (!read) return std::unexpected(read.error());
    ENSURE(read->size() == 1, "{} snapshots at {}", read->size(), snapshots_end - 1);
    const wal::ReadBatch& s = read->front();
    out.snapshot = raft::Snapshot{LogIndex(s.first), Term(s.epoch), SharedBytes::copy_of(s.payload)};
  }
  int64_t position = journal.start_of(wal::kRaftLog);
  const int64_t end = journal.end_of(wal::kRaftLog);
  while (position < end) {
    auto batch = journal.read(task, wal::kRaftLog, position, kRecoveryReadBytes, true);
    if (batch.is(Errc::corrupt)) {
      TRY_DO(start_over([&] { journal.truncate(wal::kRaftLog, position, out.term.v); }));
      break;
    }
    if (!batch) return std::unexpected(batch.error());
    ENSURE(!batch->empty());
    auto kinds = journal.entries(wal::kRaftLog, position).begin();
    for (const wal::ReadBatch& b : *batch) {
      const wal::Entry& descriptor = *kinds++;
      ENSURE(descriptor.first == b.first && descriptor.aux.size == 1);
      out.entries.push_back(
          {Term(b.epoch), LogIndex(b.first), static_cast<raft::EntryKind>(descriptor.aux.bytes[0]), SharedBytes::copy_of(b.payload)});
      position = b.next;
    }
  }
  return out;
}

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

Result<> RaftDriver::on_frame(const peer::Frame& frame) {
  TRY(auto message, unpack<raft::Message>(frame.metadata));
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

void RaftDriver::on_link_up(NodeId node, Incarnation incarnation) { feed(raft_.link_up(env_.clock.now(), node, incarnation)); }

void RaftDriver::suspect(NodeId node, Incarnation incarnation) { feed(raft_.suspect(env_.clock.now(), node, incarnation)); }

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
}

void RaftDriver::persist(const raft::Persist& step) {
  if (step.hard_state) last_ticket_ = journal_.set_hard_state({step.hard_state->term, step.hard_state->vote});
  if (step.snapshot) {
    const raft::Snapshot& s = *step.snapshot;
    journal_.append(wal::Append::whole_payload(wal::kRaftSnapshots, s.index.v, s.index.v + 1, s.term.v, s.data));
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
