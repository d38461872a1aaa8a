#include "broker/raft_recovery.h"

#include "base/probe.h"
#include "broker/raft_snapshot.h"

namespace sg::broker {
namespace {

constexpr size_t kReadBytes = 1 << 20;

// Of directories of the older format: a voter that had been found damaged, and waited to be readmitted.
constexpr NodeId kBarredVote{-2};

bool has_damage(const wal::OpenResult& opened, StreamId stream) {
  for (const wal::StreamState& s : opened.streams)
    if (s.stream == stream) return s.damaged;
  return opened.unattributed_damage;  // nothing is left of it, and something is missing
}

Result<> read_snapshot(Task& task, wal::Journal& journal, KeptRaft& kept) {
  const int64_t end = journal.end_of(wal::kRaftSnapshots);
  if (end > journal.start_of(wal::kRaftSnapshots)) {
    auto read = journal.read(task, wal::kRaftSnapshots, end - 1, kReadBytes, true);
    kept.snapshot_lost = read.is(Errc::corrupt);
    if (!read && !kept.snapshot_lost) return std::unexpected(read.error());
    if (read) {
      ENSURE(read->size() == 1, "{} snapshots at {}", read->size(), end - 1);
      const wal::ReadBatch& s = read->front();
      const wal::Aux& aux = journal.entries(wal::kRaftSnapshots, s.first).begin()->aux;
      TRY(kept.raft.snapshot, snapshot_from(aux, LogIndex(s.first), Term(s.epoch), s.payload));
    }
  }
  // The log goes on behind a snapshot. A younger one may have been lost together with the word that this one is no longer needed.
  const int64_t begins = journal.start_of(wal::kRaftLog);
  if (begins > 1 && (!kept.raft.snapshot || kept.raft.snapshot->index.v + 1 < begins)) {
    REACHED("raft: the snapshot behind which the log goes on is gone");
    kept.raft.snapshot.reset();
    kept.snapshot_lost = true;
  }
  return {};
}

Result<> read_entries(Task& task, wal::Journal& journal, KeptRaft& kept) {
  int64_t position = journal.start_of(wal::kRaftLog);
  const int64_t end = journal.end_of(wal::kRaftLog);
  while (position < end) {
    auto batch = journal.read(task, wal::kRaftLog, position, kReadBytes, true);
    if (batch.is(Errc::corrupt)) {
      kept.lost_from = LogIndex(position);
      return {};
    }
    if (!batch) return std::unexpected(batch.error());
    ENSURE(!batch->empty());
    auto kinds = journal.entries(wal::kRaftLog, position).begin();
    for (const wal::ReadBatch& b : *batch) {
      const wal::Entry& descriptor = *kinds++;
      ENSURE(descriptor.first == b.first && descriptor.aux.size == 1);
      raft::Entry entry{Term(b.epoch), LogIndex(b.first), static_cast<raft::EntryKind>(descriptor.aux.bytes[0]),
                        SharedBytes::copy_of(b.payload)};
      if (entry.kind == raft::EntryKind::configuration) TRY_DO(raft::decode_configuration(entry.data));
      kept.raft.entries.push_back(std::move(entry));
      position = b.next;
    }
  }
  return {};
}

// For each damage of Raft's streams a voter id is drawn, but for that which was answered so before.
Result<> become_another_voter(Task& task, wal::Journal& journal, bool barred) {
  std::vector<wal::Damage> found;
  for (StreamId stream : {wal::kRaftLog, wal::kRaftSnapshots})
    for (const wal::Damage& damage : journal.damage_of(stream)) found.push_back(damage);
  // Barred before, or a log that begins behind nothing: of that the journal knows nothing.
  if (barred || found.empty()) found.push_back({.stream = wal::kRaftLog});
  for (const wal::Damage& damage : found) TRY_DO(journal.draw_voter_id(task, damage));
  return {};
}

}  // namespace

wal::Append to_append(const raft::Entry& e) {
  wal::Append append = wal::Append::whole_payload(wal::kRaftLog, e.index.v, e.index.v + 1, e.term.v, e.data);
  uint8_t kind = static_cast<uint8_t>(e.kind);
  append.aux = wal::Aux({&kind, 1});
  return append;
}

bool KeptRaft::of_only_voter(bool listed_alone) const {
  const raft::Configuration newest = raft::newest_configuration(raft);
  return newest.known() ? newest.members().size() == 1 : listed_alone;
}

Result<KeptRaft> read_raft(Task& task, wal::Journal& journal, const wal::OpenResult& opened) {
  KeptRaft kept;
  kept.barred = opened.hard_state.vote == kBarredVote;
  kept.raft.term = opened.hard_state.term;
  if (!kept.barred) kept.raft.vote = {opened.hard_state.vote, opened.hard_state.vote_id};
  TRY_DO(read_snapshot(task, journal, kept));
  if (!kept.snapshot_lost) TRY_DO(read_entries(task, journal, kept));
  kept.suspect = has_damage(opened, wal::kRaftLog) || has_damage(opened, wal::kRaftSnapshots);
  return kept;
}

Result<raft::Recovered> settle_raft(Task& task, wal::Journal& journal, KeptRaft kept, bool listed_alone) {
  if (!kept.damaged()) return std::move(kept.raft);
  REACHED("raft: recovery finds damage in what was promised");
  const bool alone = kept.of_only_voter(listed_alone);
  raft::Recovered out = std::move(kept.raft);
  if (alone) {
    if (kept.snapshot_lost)
      return fail(
          Errc::corrupt,
          "the snapshot of the metadata cannot be read, and no other voter is known that has it: if this node is one of several "
          "voters, name them (--voters), and it is replaced; else put back a good copy of the directory, or start with an empty one");
    out.may_lead = false;
    return out;
  }
  TRY_DO(become_another_voter(task, journal, kept.barred));
  journal.set_hard_state({out.term, out.vote.node, out.vote.id});
  if (kept.snapshot_lost) {
    journal.drop(wal::kRaftLog);
    journal.drop(wal::kRaftSnapshots);
  }
  if (kept.lost_from) journal.truncate(wal::kRaftLog, kept.lost_from->v, out.term.v);
  TRY_DO(journal.settle(task));
  return out;
}

Result<metadata::Catalogue> catalogue_of(const raft::Recovered& found) {
  metadata::Catalogue out;
  if (found.snapshot && found.snapshot->index.v > 0) TRY_DO(out.restore(found.snapshot->data));
  for (const raft::Entry& entry : found.entries) {
    if (entry.kind != raft::EntryKind::command || entry.index <= out.applied()) continue;
    TRY(metadata::Record record, metadata::decode_record(entry.data));
    (void)out.apply(entry.index, record);  // one that was overtaken changes nothing here, as anywhere
  }
  return out;
}

}  // namespace sg::broker
