#include "broker/raft/log.h"

#include <algorithm>

namespace sg::raft {
namespace {

bool term_below(const Entry& e, Term term) { return e.term < term; }
bool term_above(Term term, const Entry& e) { return term < e.term; }

}  // namespace

std::optional<Term> Log::term_at(LogIndex index) const {
  if (index == base_index_) return base_term_;
  if (index < base_index_ || index > last_index()) return std::nullopt;
  return at(index).term;
}

const Entry& Log::at(LogIndex index) const {
  ENSURE(index > base_index_ && index <= last_index(), "entry {} of ({}, {}]", index, base_index_, last_index());
  const Entry& entry = entries_[static_cast<size_t>(index - base_index_ - 1)];
  ENSURE(entry.index == index, "entry {} stands at {}", entry.index, index);
  return entry;
}

std::vector<Entry> Log::slice(LogIndex from, size_t max_entries, size_t max_bytes) const {
  ENSURE(from > base_index_ && from <= last_index() + 1, "slice from {} of ({}, {}]", from, base_index_, last_index());
  std::vector<Entry> out;
  size_t bytes = 0;
  for (LogIndex i = from; i <= last_index() && out.size() < max_entries; ++i) {
    const Entry& entry = at(i);
    bytes += entry.data.size();
    if (bytes > max_bytes && !out.empty()) break;
    out.push_back(entry);
  }
  return out;
}

LogIndex Log::first_of_term_at(LogIndex index) const {
  auto first = std::lower_bound(entries_.begin(), entries_.end(), at(index).term, term_below);
  return first->index;
}

LogIndex Log::last_at_or_below_term(Term term) const {
  auto behind = std::upper_bound(entries_.begin(), entries_.end(), term, term_above);
  return behind == entries_.begin() ? base_index_ : std::prev(behind)->index;
}

void Log::append(Entry entry) {
  ENSURE(entry.index == last_index() + 1, "append {} behind {}", entry.index, last_index());
  ENSURE(entry.term >= last_term(), "append of term {} behind term {}", entry.term, last_term());
  entries_.push_back(std::move(entry));
}

void Log::truncate(LogIndex from) {
  ENSURE(from > base_index_ && from <= last_index() + 1, "truncate from {} of ({}, {}]", from, base_index_, last_index());
  entries_.erase(entries_.begin() + (from - base_index_ - 1), entries_.end());
}

void Log::compact(LogIndex index) {
  std::optional<Term> term = term_at(index);
  ENSURE(term, "compact to {} of [{}, {}]", index, base_index_, last_index());
  entries_.erase(entries_.begin(), entries_.begin() + (index - base_index_));
  base_index_ = index;
  base_term_ = *term;
}

void Log::reset(LogIndex base_index, Term base_term) {
  entries_.clear();
  base_index_ = base_index;
  base_term_ = base_term;
}

}  // namespace sg::raft
