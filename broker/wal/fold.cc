#include "broker/wal/fold.h"

#include <algorithm>

namespace sg::wal {

// Entries and facts of a stream may lie below the floor: then they were dead when the floor was raised, and what killed them is folded
// later. So an empty stream goes on wherever its next entry begins, and whether the beginning is missing is asked at the end.
void Fold::apply_append(StreamFacts& s, const Record& r, const CommitHeader& commit, bool unreadable) {
  StreamLog& log = s.log;
  if (log.entries().empty()) {
    if (s.start_generation == 0) {
      log.jump(r.first);
    } else if (r.first < log.start()) {
      s.suspect = true;
      log.jump(r.first);
    }
  } else if (r.first > log.end() && r.stream != kRaftSnapshots) {
    s.add_hole(log.end(), r.first);
  } else if (r.first < log.end()) {
    s.suspect = true;  // a truncation is missing
    log.truncate(r.first, [](const Entry&) {});
    if (log.entries().empty()) log.jump(r.first);
  }
  if (unreadable) s.add_hole(r.first, r.next);
  log.append(Entry{r.first, r.next, r.epoch, commit.generation, commit.position + r.payload_at, r.payload_bytes, r.prefix_bytes,
                   r.prefix_crc, r.body_crc, r.aux});
}

void Fold::apply_start(StreamFacts& s, const Record& r, uint64_t generation) {
  s.log.advance_start(r.first, [](const Entry&) {});
  if (s.start_generation == 0) s.log.set_start(r.first);  // where the stream began so far was a guess
  s.log.note_base_epoch(r.epoch);
  s.start_generation = generation;
}

void Fold::apply_base(StreamFacts& s, const Record& r, uint64_t generation) {
  apply_start(s, r, generation);
  if ((lost_ || !s.log.entries().empty()) && s.log.end() != r.next) s.suspect = true;
  s.log.set_mark(r.mark);
  s.mark_generation = generation;
}

void Fold::apply(const Record& r, const CommitHeader& commit, bool unreadable) {
  if (r.kind == RecordKind::drop) {
    streams_.erase(r.stream);
    if (lost_) begun_anew_.insert(r.stream);
    return;
  }
  const bool met = streams_.contains(r.stream);
  StreamFacts& s = stream(r.stream);
  if (!met && lost_ && !begun_anew_.contains(r.stream)) s.suspect = r.kind != RecordKind::append || r.first > 0;
  switch (r.kind) {
    case RecordKind::append: apply_append(s, r, commit, unreadable); break;
    case RecordKind::truncate:
      s.log.truncate(r.first, [](const Entry&) {});
      if (s.log.entries().empty() && s.start_generation == 0) s.log.jump(r.first);
      break;
    case RecordKind::advance_start: apply_start(s, r, commit.generation); break;
    case RecordKind::mark:
      s.log.set_mark(r.first);
      s.mark_generation = commit.generation;
      break;
    case RecordKind::base: apply_base(s, r, commit.generation); break;
    case RecordKind::healed: s.heal(); break;
    case RecordKind::drop: break;
  }
  s.trim_holes();
}

void Fold::apply(const CommitHeader& commit, const std::vector<size_t>& unreadable) {
  for (size_t i = 0; i < commit.records.size(); ++i) apply(commit.records[i], commit, std::ranges::find(unreadable, i) != unreadable.end());
  hard_state_ = commit.hard_state;
}

std::map<StreamId, StreamFacts> Fold::take() {
  for (auto& [id, s] : streams_) {
    if (s.log.entries().empty() || id == kRaftSnapshots) continue;
    int64_t begins = s.log.entries().front().first;
    // Without a fact, a partition begins at 0, and Raft's log with its first entry.
    if (s.start_generation == 0 && !is_metadata(id)) s.log.set_start(0);
    if (begins > s.log.start()) s.add_hole(s.log.start(), begins);
  }
  return std::move(streams_);
}

void Fold::lose_everything() {
  lost_ = true;
  begun_anew_.clear();
  // Also when nothing of them was found: a voter must know that its log and its vote are suspect.
  stream(kRaftLog);
  stream(kRaftSnapshots);
  for (auto& [id, s] : streams_) s.suspect = true;
}

bool Fold::add_hole(const Damage& damage) {
  auto at = streams_.find(damage.stream);
  if (at == streams_.end()) return false;
  StreamFacts& s = at->second;
  bool there = std::ranges::any_of(s.holes, [&](const Hole& h) { return h.first < damage.next && damage.first < h.next; });
  for (const Entry& e : s.log.from(damage.first)) {
    if (e.first >= damage.next) break;
    if (e.generation != damage.generation) continue;  // written since
    s.add_hole(e.first, e.next);
    there = true;
  }
  return there;
}

}  // namespace sg::wal
