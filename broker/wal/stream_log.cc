#include "broker/wal/stream_log.h"

#include <algorithm>

namespace sg::wal {

size_t StreamLog::index_of(int64_t position) const {
  auto at = std::ranges::upper_bound(entries_, position, {}, &Entry::next);  // the first entry with next > position
  return static_cast<size_t>(at - entries_.begin());
}

EntryRange StreamLog::from(int64_t position) const {
  return {entries_.begin() + static_cast<std::ptrdiff_t>(index_of(position)), entries_.end()};
}

int64_t StreamLog::boundary_below(int64_t position) const {
  if (position >= end()) return end();
  size_t keep = index_of(position);  // entries before it end at or below the position
  return keep == 0 ? start_ : entries_[keep - 1].next;
}

void StreamLog::append(Entry entry) {
  ENSURE(entry.first < entry.next && entry.first >= end(), "stream {}: [{}, {}) after {}", stream_, entry.first, entry.next, end());
  if (epoch_starts_.empty() || epoch_starts_.back().epoch != entry.epoch) epoch_starts_.push_back({entry.epoch, entry.first});
  entries_.push_back(std::move(entry));
}

void StreamLog::truncated() {
  while (!epoch_starts_.empty() && epoch_starts_.back().first >= end()) epoch_starts_.pop_back();
}

void StreamLog::set_start(int64_t start) {
  ENSURE(entries_.empty() || start < entries_.front().next, "stream {}: start {} lies behind live entries", stream_, start);
  start_ = start;
  if (!epoch_starts_.empty()) epoch_starts_.front().first = std::max(entries_.front().first, start_);
}

void StreamLog::started(int64_t new_start) {
  // Inside an entry the position counts as it was asked for; the entry stays, since its other positions are alive.
  start_ = std::max(start_, new_start);
  if (entries_.empty()) epoch_starts_.clear();
  size_t covering = 0;
  while (covering + 1 < epoch_starts_.size() && epoch_starts_[covering + 1].first <= start_) ++covering;
  epoch_starts_.erase(epoch_starts_.begin(), epoch_starts_.begin() + static_cast<std::ptrdiff_t>(covering));
  if (!epoch_starts_.empty()) epoch_starts_.front().first = std::max(epoch_starts_.front().first, start_);
}

}  // namespace sg::wal
