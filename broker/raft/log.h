// The log above its base in memory: entries (base, last], contiguous, with terms that never fall. The entry at `base` is gone and only
// its term is known (§3.5 needs it as prev_term). The catalogue is small, so entries stay in memory until compaction (ch. 5).
// Where an index may be asked for is stated per call; anything else is a bug.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "broker/raft/messages.h"

namespace sg::raft {

class Log {
 public:
  Log() = default;
  Log(LogIndex base_index, Term base_term) : base_index_(base_index), base_term_(base_term) {}

  LogIndex base_index() const { return base_index_; }
  Term base_term() const { return base_term_; }
  LogIndex last_index() const { return base_index_ + static_cast<int64_t>(entries_.size()); }
  Term last_term() const { return entries_.empty() ? base_term_ : entries_.back().term; }

  // Of an entry in [base, last]; none outside it.
  std::optional<Term> term_at(LogIndex index) const;
  // An entry in (base, last].
  const Entry& at(LogIndex index) const;

  // Entries from `from` in (base, last + 1]: at most max_entries, and at most max_bytes of data (but one entry always goes).
  std::vector<Entry> slice(LogIndex from, size_t max_entries, size_t max_bytes) const;

  // The first index in (base, last] of the run of equal terms that ends at `index`, an entry in (base, last].
  LogIndex first_of_term_at(LogIndex index) const;
  // The greatest index in [base, last] whose term is at most `term`; base if none is.
  LogIndex last_at_or_below_term(Term term) const;

  // entry.index is last + 1 and its term at least last_term().
  void append(Entry entry);
  // Drops entries >= `from`, in (base, last + 1].
  void truncate(LogIndex from);
  // Drops entries <= `index`, in [base, last].
  void compact(LogIndex index);
  // Empties the log: what follows a snapshot.
  void reset(LogIndex base_index, Term base_term);

 private:
  LogIndex base_index_;
  Term base_term_;
  std::deque<Entry> entries_;
};

}  // namespace sg::raft
