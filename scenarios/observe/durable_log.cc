#include "scenarios/observe/durable_log.h"

#include <algorithm>

#include "base/ensure.h"

namespace sg::scenario {

const LogEntry* DurableLog::ending_at(int64_t position) const {
  if (!entries_.empty() && entries_.back().next == position) return &entries_.back();  // what is asked for most
  auto at = std::ranges::lower_bound(entries_, position, {}, &LogEntry::next);
  return at != entries_.end() && at->next == position ? &*at : nullptr;
}

std::optional<uint64_t> DurableLog::chain_at(int64_t position) const {
  if (const LogEntry* entry = ending_at(position)) return entry->chain;
  if (position == start_ && (entries_.empty() || entries_.front().first >= start_)) return start_chain_;
  return std::nullopt;
}

void DurableLog::append(const LogEntry& entry) {
  ENSURE(entry.first >= end() && entry.next > entry.first, "[{}, {}) after {}", entry.first, entry.next, end());
  entries_.push_back(entry);
}

void DurableLog::truncate(int64_t position) {
  while (!entries_.empty() && entries_.back().next > position) entries_.pop_back();
}

void DurableLog::advance_start(int64_t position, uint64_t base_chain) {
  if (position < start_) return;
  bool dropped = false;
  uint64_t chain = start_chain_;
  while (!entries_.empty() && entries_.front().next <= position) {
    chain = entries_.front().chain;
    dropped = entries_.front().next == position;
    entries_.pop_front();
  }
  start_chain_ = dropped || position == start_ ? chain : base_chain;
  start_ = position;
}

void DurableLog::replace_start(int64_t position, uint64_t chain) {
  if (position < start_) return;
  advance_start(position, chain);
  start_chain_ = chain;
}

void DurableLog::begin_anew(int64_t position, uint64_t chain) {
  entries_.clear();
  start_ = position;
  start_chain_ = chain;
}

}  // namespace sg::scenario
