// The operator's word that lets the only voter of a cluster lead again although something that Raft had promised is missing
// (`stormglassd accept-damage`): its log ends before the first entry that cannot be read, and goes on from there.
//
// Why it is safe: nobody else votes, so what cannot be read here is nowhere, and nobody else acts upon it. What the lost entries may have
// given out (streams, producer ids, leader epochs) is not given out again: a HistoryCut record says so. And the cluster is another history
// from there on (Configuration::lineage). All of it is one commit of the journal; a crash before it leaves everything as it was.
#pragma once

#include <string>
#include <vector>

#include "broker/metadata/catalogue.h"
#include "broker/wal/journal.h"

namespace sg::broker {

struct AcceptedDamage {
  LogIndex kept_to;                 // the last entry that is kept
  LogIndex lost_to;                 // the last one that is known to have been there
  bool end_unknown = false;         // entries may have been lost of which nothing is left
  bool partitions_suspect = false;  // partitions lack something, too: that is not accepted here
  std::vector<std::string> topics;  // that are still known
  std::vector<StreamId> unnamed{};  // streams that hold records of topics which are not: they are dropped at the next start
};

// Durable when it returns. `opened` was opened and not started.
// Errc::invalid: there is nothing to accept, others vote or are known, or nothing is left to go on from; nothing is changed then.
Result<AcceptedDamage> accept_damage(Task& task, const wal::OpenResult& opened, NodeId self);

}  // namespace sg::broker
