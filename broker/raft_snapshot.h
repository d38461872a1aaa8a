// How a snapshot of Raft lies in the journal: one entry of kRaftSnapshots whose aux is its version and whose payload is the configuration
// in force at its index, then the state machine's bytes. Version 0 (no aux) is of the older format: the state machine's bytes alone.
#pragma once

#include "broker/raft/messages.h"
#include "broker/wal/types.h"

namespace sg::broker {

wal::Append to_append(const raft::Snapshot& snapshot);
// Errc::corrupt, Errc::invalid: not a snapshot; Errc::unsupported: of a later version.
Result<raft::Snapshot> snapshot_from(const wal::Aux& aux, LogIndex index, Term term, ByteSpan payload);

}  // namespace sg::broker
