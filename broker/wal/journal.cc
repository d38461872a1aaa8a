// Requests and questions: nothing here suspends.
#include "broker/wal/journal.h"

#include <algorithm>

#include "base/crc32c.h"

namespace sg::wal {

Stream* Journal::find(StreamId stream) {
  auto at = streams_.find(stream);
  return at == streams_.end() || at->second.dropped ? nullptr : &at->second;
}

const Stream* Journal::find(StreamId stream) const { return const_cast<Journal*>(this)->find(stream); }

const Stream& Journal::get(StreamId stream) const {
  static const Stream kNothing{StreamId(-1)};
  const Stream* s = find(stream);
  return s ? *s : kNothing;
}

Stream& Journal::find_or_add(StreamId stream) {
  Stream& s = streams_.try_emplace(stream, stream).first->second;
  ENSURE(!s.dropped, "stream {} was dropped; ids are not used again", stream);
  return s;
}

uint64_t Journal::enqueue(Request request) {
  uint64_t ticket = queue_.push(std::move(request));
  if (closing_ || failure_)
    queue_.clear();
  else
    work_.notify_one();
  return ticket;
}

void Journal::forget(const Entry& entry) {
  if (entry.generation != 0) segments_.release(entry.generation);
}

uint64_t Journal::append(Append a) {
  Stream& s = find_or_add(a.stream);
  // Raft's log begins at 1 by itself; the position of a snapshot is whatever it includes.
  bool may_begin = a.stream == kRaftSnapshots || (a.stream == kRaftLog && s.log.end() == 0);
  if (a.first > s.log.end() && may_begin && s.log.entries().empty()) s.log.jump(a.first);
  bool continues = a.first == s.log.end() || (a.stream == kRaftSnapshots && a.first > s.log.end());
  ENSURE(continues && a.next > a.first, "stream {}: [{}, {}) does not continue at {}", a.stream, a.first, a.next, s.log.end());
  ENSURE(a.epoch >= s.log.last_epoch(), "stream {}: epoch {} after {}", a.stream, a.epoch, s.log.last_epoch());
  ENSURE(a.prefix_bytes <= a.payload.size() && a.payload.size() < (1u << 30), "prefix {} of {}", a.prefix_bytes, a.payload.size());

  Record r{.kind = RecordKind::append, .stream = a.stream, .first = a.first, .next = a.next, .epoch = a.epoch};
  r.payload_bytes = static_cast<uint32_t>(a.payload.size());
  r.prefix_bytes = a.prefix_bytes;
  r.prefix_crc = crc32c(a.payload.span().first(a.prefix_bytes));
  r.body_crc = a.body_crc;
  r.aux = a.aux;
  s.log.append(Entry{a.first, a.next, a.epoch, 0, 0, r.payload_bytes, r.prefix_bytes, r.prefix_crc, r.body_crc, r.aux});
  s.payloads.push_back({a.payload, 0, 0});
  Request request{.record = std::move(r), .payload = std::move(a.payload)};
  uint64_t ticket = enqueue(std::move(request));
  s.payloads.back().ticket = ticket;
  return ticket;
}

uint64_t Journal::truncate(StreamId stream, int64_t new_end, int64_t epoch) {
  Stream& s = find_or_add(stream);
  int64_t end = s.log.boundary_below(new_end);
  s.log.truncate(end, [&](const Entry& entry) {
    forget(entry);
    if (!s.payloads.empty()) s.payloads.pop_back();
  });
  ENSURE(s.log.end() == end, "stream {}: truncated to {}, not to {}", stream, s.log.end(), end);
  s.trim_holes();
  ++s.truncations;
  s.lowest_truncation = std::min(s.lowest_truncation, end);
  s.durable_end = std::min(s.durable_end, end);
  return enqueue({.record = {.kind = RecordKind::truncate, .stream = stream, .first = end, .epoch = epoch}});
}

uint64_t Journal::advance_start(StreamId stream, int64_t new_start) {
  Stream& s = find_or_add(stream);
  s.log.advance_start(new_start, [&](const Entry& entry) { forget(entry); });
  while (s.payloads.size() > s.log.entries().size()) s.payloads.pop_front();
  s.trim_holes();
  return enqueue({.record = {.kind = RecordKind::advance_start, .stream = stream, .first = s.log.start(), .epoch = s.log.base_epoch()}});
}

uint64_t Journal::set_hard_state(HardState state) { return enqueue({.is_hard_state = true, .hard_state = state}); }

uint64_t Journal::drop(StreamId stream) {
  Stream& s = find_or_add(stream);
  s.log.truncate(std::numeric_limits<int64_t>::min(), [&](const Entry& entry) { forget(entry); });
  s.payloads.clear();
  s.dropped = true;
  return enqueue({.record = {.kind = RecordKind::drop, .stream = stream}});
}

uint64_t Journal::heal(StreamId stream) {
  find_or_add(stream).heal();
  return enqueue({.record = {.kind = RecordKind::healed, .stream = stream}});
}

std::vector<Damage> Journal::damage_of(StreamId stream) const {
  std::vector<Damage> out;
  const Stream& s = get(stream);
  for (const KnownDamage& k : identity().damage.entries()) {
    auto meets = [&](const Hole& hole) { return hole.first < k.what.next && k.what.first < hole.next; };
    if (k.what.is_unattributed() ? s.suspect : k.what.stream == stream && std::ranges::any_of(s.holes, meets)) out.push_back(k.what);
  }
  return out;
}

void Journal::set_mark(StreamId stream, int64_t position) {
  Stream& s = find_or_add(stream);
  if (s.log.mark() == position) return;
  s.log.set_mark(position);
  if (s.mark_is_dirty) return;
  s.mark_is_dirty = true;
  dirty_marks_.push_back(stream);
}

EntryRange Journal::entries(StreamId stream, int64_t from) const { return get(stream).log.from(from); }
int64_t Journal::start_of(StreamId stream) const { return get(stream).log.start(); }
int64_t Journal::end_of(StreamId stream) const { return get(stream).log.end(); }
int64_t Journal::durable_end_of(StreamId stream) const { return get(stream).durable_end; }
int64_t Journal::boundary_below(StreamId stream, int64_t position) const { return get(stream).log.boundary_below(position); }
const std::vector<EpochStart>& Journal::epoch_starts(StreamId stream) const { return get(stream).log.epoch_starts(); }
bool Journal::damaged(StreamId stream) const { return get(stream).damaged(); }

bool Journal::full() const { return disk_full_ || used_bytes_ + queue_.bytes() + options_.reserve_bytes > options_.budget_bytes; }

std::vector<StreamId> Journal::oldest_live_streams() const {
  std::vector<StreamId> pinning;
  if (segments_.used().size() < 2) return pinning;
  uint64_t oldest = segments_.used().front()->generation();
  for (const auto& [id, s] : streams_)
    if (!s.log.entries().empty() && s.log.entries().front().generation == oldest) pinning.push_back(id);
  return pinning;
}

Journal::Stats Journal::stats() const {
  Stats stats = stats_;
  stats.buffers_allocated = cache_.allocated();
  stats.segments = segments_.used().size();
  stats.segment_bytes = used_bytes_;
  return stats;
}

void Journal::start(TaskGroup& group, JournalListener& listener) {
  ENSURE(!started_);
  started_ = true;
  ended_ = false;
  listener_ = &listener;
  group.spawn("journal-commit", [this](Task& task) { run_commits(task); });
  group.spawn("journal-prepare", [this](Task& task) { run_preparer(task); });
  group.spawn("journal-watch", [this](Task& task) { run_watch(task); });
}

}  // namespace sg::wal
