// The logical log as the fold of all commits in order of sequence. Pure.
//
// Invariant: without damage, every stream comes out exactly as the journal knew it when it composed the last commit.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "broker/wal/format.h"
#include "broker/wal/stream.h"

namespace sg::wal {

class Fold {
 public:
  // One commit; `unreadable` names the records (by index) whose payload is lost.
  void apply(const CommitHeader& commit, const std::vector<size_t>& unreadable = {});
  // Here in the log lies a part about which nothing is known. Every stream that is known by now is suspect, and Raft's in any case; one
  // that is met later only if its beginning may lie in that part.
  void lose_everything();
  // Payloads of these positions, as they were written in this segment, cannot be read. False if nothing of them is in the log any more.
  bool add_hole(const Damage& damage);

  std::map<StreamId, StreamFacts> take();
  const HardState& hard_state() const { return hard_state_; }

 private:
  void apply(const Record& record, const CommitHeader& commit, bool unreadable);
  StreamFacts& stream(StreamId id) { return streams_.try_emplace(id, id).first->second; }
  static void apply_append(StreamFacts& s, const Record& record, const CommitHeader& commit, bool unreadable);
  static void apply_start(StreamFacts& s, const Record& record, uint64_t generation);
  void apply_base(StreamFacts& s, const Record& record, uint64_t generation);

  std::map<StreamId, StreamFacts> streams_;
  HardState hard_state_;
  bool lost_ = false;
  std::set<StreamId> begun_anew_;  // dropped since the last loss: all that they hold is known
};

}  // namespace sg::wal
