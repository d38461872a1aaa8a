#include "broker/accept_damage.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/probe.h"
#include "broker/raft_recovery.h"

namespace sg::broker {
namespace {

// The voters as the log names them, or as a log of the older format is understood: this node alone.  Errc::invalid: there are others.
Result<raft::Configuration> only_voter(const KeptRaft& kept, const metadata::Catalogue& catalogue, const raft::Voter& self) {
  raft::Configuration c = raft::newest_configuration(kept.raft);
  if (!c.known()) {
    c.voters = {self};
    c.founders = {self.node};
  }
  std::vector<NodeId> others = c.members();
  for (const auto& [node, broker] : catalogue.brokers()) others.push_back(node);
  std::ranges::sort(others);
  others.erase(std::unique(others.begin(), others.end()), others.end());
  std::erase(others, self.node);
  if (!others.empty())
    return fail(Errc::invalid, fmt::format("this is not the only node of its cluster, which has the nodes {} as well: start it as ever, it "
                                           "comes back as another voter by itself once the others are a majority",
                                           fmt::join(others, ",")));
  if (!c.votes(self))
    return fail(Errc::invalid, fmt::format("this directory is voter {}, and the metadata knows {}: it was adopted since, and does not vote",
                                           self, to_string(c)));
  return c;
}

void describe_partitions(const wal::OpenResult& opened, const metadata::Catalogue& catalogue, AcceptedDamage& out) {
  out.partitions_suspect = opened.unattributed_damage;
  for (const auto& [name, topic] : catalogue.topics()) out.topics.push_back(name);
  for (const wal::StreamState& s : opened.streams) {
    if (wal::is_metadata(s.stream)) continue;
    out.partitions_suspect |= s.damaged;
    if (!catalogue.partition(s.stream)) out.unnamed.push_back(s.stream);
  }
}

metadata::HistoryCut history_cut(const wal::OpenResult& opened) {
  metadata::HistoryCut cut;
  for (const wal::StreamState& s : opened.streams) {
    if (wal::is_metadata(s.stream)) continue;
    cut.next_stream = std::max(cut.next_stream, s.stream + 1);
    cut.leader_epoch = std::max(cut.leader_epoch, LeaderEpoch(static_cast<int32_t>(s.last_epoch)));
  }
  return cut;
}

}  // namespace

Result<AcceptedDamage> accept_damage(Task& task, const wal::OpenResult& opened, NodeId self) {
  wal::Journal& journal = *opened.journal;
  TRY(const KeptRaft kept, read_raft(task, journal, opened));
  if (!kept.damaged())
    return fail(Errc::invalid,
                "nothing that the metadata of this directory had promised is known to be missing: there is nothing to accept");
  if (kept.snapshot_lost || (!kept.raft.snapshot && kept.raft.entries.empty()))
    return fail(Errc::invalid,
                "nothing of this directory's metadata is left to go on from: put back a good copy of it, or start with an empty directory");
  TRY(const metadata::Catalogue catalogue, catalogue_of(kept.raft));
  const raft::Voter voter{self, journal.voter()};
  TRY(raft::Configuration configuration, only_voter(kept, catalogue, voter));
  configuration.lineage = opened.run.nonce;

  REACHED("raft: an operator accepts damage");
  AcceptedDamage out{.kept_to = kept.raft.entries.empty() ? kept.raft.snapshot->index : kept.raft.entries.back().index,
                     .lost_to = LogIndex(journal.end_of(wal::kRaftLog) - 1),
                     .end_unknown = kept.suspect && !kept.lost_from,
                     .topics = {}};
  describe_partitions(opened, catalogue, out);
  const Term term = kept.raft.term + 1;
  const LogIndex next = out.kept_to + 1;
  journal.set_hard_state({term, voter.node, voter.id});
  if (kept.lost_from) journal.truncate(wal::kRaftLog, kept.lost_from->v, term.v);
  if (journal.end_of(wal::kRaftLog) != next.v) journal.advance_start(wal::kRaftLog, next.v);  // the log is empty behind its snapshot
  journal.append(to_append({term, next, raft::EntryKind::configuration, raft::encode(configuration)}));
  const ByteVec cut = metadata::encode(history_cut(opened));
  journal.append(to_append({term, next + 1, raft::EntryKind::command, SharedBytes::copy_of(cut)}));
  for (StreamId stream : {wal::kRaftLog, wal::kRaftSnapshots}) journal.heal(stream);
  TRY_DO(journal.settle(task));
  return out;
}

}  // namespace sg::broker
