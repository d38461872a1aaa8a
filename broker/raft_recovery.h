// What the journal kept of an earlier run of Raft, and what a start makes of it where something is missing.
//
// In the journal a Raft entry is one entry of stream kRaftLog (position = log index, epoch = term, aux = kind, payload = data); a
// snapshot is one entry of kRaftSnapshots (raft_snapshot.h). Term and vote ride in every commit's header.
#pragma once

#include <optional>

#include "broker/metadata/catalogue.h"
#include "broker/raft/raft.h"
#include "broker/wal/journal.h"

namespace sg::broker {

wal::Append to_append(const raft::Entry& entry);

struct KeptRaft {
  raft::Recovered raft;               // what can be read: up to the first entry that cannot, and nothing without the snapshot before it
  bool barred = false;                // a voter of the older format that had been found damaged, and waited to be readmitted
  bool snapshot_lost = false;         // the log goes on behind a snapshot that is gone
  std::optional<LogIndex> lost_from;  // the first entry that cannot be read
  bool suspect = false;               // something that was promised is missing, whatever can be read
  bool damaged() const { return barred || snapshot_lost || lost_from || suspect; }
  // By the log, or where that does not tell by what the operator's list says, this node is the only voter.
  bool of_only_voter(bool listed_alone) const;
};

// Changes nothing.  Errc::io, and those of decoders.
Result<KeptRaft> read_raft(Task& task, wal::Journal& journal, const wal::OpenResult& opened);

// What Raft goes on from. Where something that it had promised is missing, this directory goes on as another voter (journal.voter()), whose
// log is what can still be read: the rest is cut once the new voter id is durable. Not so of the only voter, whose journal nobody else
// could fill again: it cuts nothing and does not lead (accept_damage.h). `listed_alone`: the operator's list names nobody else; it counts
// where the log cannot tell.  Errc::corrupt: of the only voter nothing is left to begin with. The journal has not been started.
Result<raft::Recovered> settle_raft(Task& task, wal::Journal& journal, KeptRaft kept, bool listed_alone);

// What the snapshot and the entries make of the catalogue, also those entries of which it is not known yet whether they are committed.
Result<metadata::Catalogue> catalogue_of(const raft::Recovered& found);

}  // namespace sg::broker
