// The logical log as the fold of all commits in order of sequence. Pure.
//
// Invariant: without damage, every stream comes out exactly as the journal knew it when it composed the last commit.
#pragma once

#include <map>
#include <vector>

#include "broker/wal/format.h"
#include "broker/wal/stream.h"

namespace sg::wal {

class Fold {
 public:
  // One commit; `unreadable` names the records (by index) whose payload is lost.
  void apply(const CommitHeader& commit, const std::vector<size_t>& unreadable = {});
  // A part of the log about which nothing is known: it counts for every stream.
  void lose_everything() { unattributed_ = true; }

  std::map<StreamId, StreamFacts> take();  // after lose_everything() every stream is suspect
  const HardState& hard_state() const { return hard_state_; }

 private:
  void apply(const Record& record, const CommitHeader& commit, bool unreadable);
  StreamFacts& stream(StreamId id) { return streams_.try_emplace(id, id).first->second; }
  static void apply_append(StreamFacts& s, const Record& record, const CommitHeader& commit, bool unreadable);
  static void apply_start(StreamFacts& s, const Record& record, uint64_t generation);
  static void apply_base(StreamFacts& s, const Record& record, uint64_t generation);

  std::map<StreamId, StreamFacts> streams_;
  HardState hard_state_;
  bool unattributed_ = false;
};

}  // namespace sg::wal
