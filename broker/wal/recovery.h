// What a start finds: the chain of commits from the floor to its end, folded. Reads only; the caller syncs what was accepted and
// opens a new segment before anything is promised, so that a crash in between changes nothing (recovery is idempotent).
//
// Invariant: only the youngest commit, which nothing vouches for, is ever cut; everything else that cannot be read is reported, and so is
// what an earlier run knew to be damaged, unless nothing of it is in the log any more.
#pragma once

#include <map>

#include "base/log.h"
#include "broker/wal/fold.h"
#include "broker/wal/identity.h"
#include "broker/wal/segments.h"

namespace sg::wal {

struct Recovered {
  ChainEnd chain;
  uint64_t floor = 0;
  uint64_t last_generation = 0;  // 0: no segment was found
  Incarnation last_incarnation;
  HardState hard_state;
  bool orderly = false;
  bool torn = false;
  DamageList damage;  // all that is known and still counts
  std::map<StreamId, StreamFacts> streams;
};

// `files` are all segment files, locked. Those of the log go to `segments` as used, the others as free.
// Errc::invalid: a segment of another directory or cluster, or one that was written by a later run than the identity knows of.
Result<Recovered> recover(Task& task, Segments& segments, std::vector<SegmentPtr> files, const Identity& identity, const Log& log);

}  // namespace sg::wal
