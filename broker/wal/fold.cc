#include "broker/wal/fold.h"

#include <algorithm>

namespace sg::wal {

void Fold::apply_append(StreamFacts& s, const Record& r, const CommitHeader& commit, bool unreadable) {
  StreamLog& log = s.log;
  // What came before may lie below the floor; then the stream begins with its first entry, and a base record says whether that is right.
  bool unknown = log.entries().empty() && s.start_generation == 0;
  if (r.first > log.end()) {
    if (unknown || (r.stream == kRaftSnapshots && log.entries().empty()))
      log.jump(r.first);
    else if (r.stream != kRaftSnapshots)
      s.add_hole(log.end(), r.first);
  } else if (r.first < log.end()) {
    s.suspect = true;  // a truncation is missing
    log.truncate(r.first, [](const Entry&) {});
    if (r.first < log.end()) {
      log.truncate(log.start(), [](const Entry&) {});
      log.jump(r.first);
    }
  }
  if (unreadable) s.add_hole(r.first, r.next);
  log.append(Entry{r.first, r.next, r.epoch, commit.generation, commit.position + r.payload_at, r.payload_bytes, r.prefix_bytes, r.prefix_crc,
                   r.body_crc, r.aux});
}

void Fold::apply_base(StreamFacts& s, const Record& r, uint64_t generation) {
  StreamLog& log = s.log;
  log.advance_start(r.first, [](const Entry&) {});
  if (log.entries().empty()) {
    if (r.first != r.next) s.suspect = true;
    log.jump(r.next);
  } else {
    if (log.end() != r.next) s.suspect = true;
    int64_t begins = log.entries().front().first;
    if (begins > r.first && r.stream != kRaftSnapshots) s.add_hole(r.first, begins);
  }
  log.note_base_epoch(r.epoch);
  log.set_mark(r.mark);
  s.start_generation = s.mark_generation = generation;
}

void Fold::apply(const Record& r, const CommitHeader& commit, bool unreadable) {
  if (r.kind == RecordKind::drop) {
    streams_.erase(r.stream);
    return;
  }
  StreamFacts& s = stream(r.stream);
  auto died = [](const Entry&) {};
  switch (r.kind) {
    case RecordKind::append: apply_append(s, r, commit, unreadable); break;
    case RecordKind::truncate:
      s.log.truncate(r.first, died);
      if (s.log.entries().empty() && s.start_generation == 0) s.log.jump(r.first);
      break;
    case RecordKind::advance_start:
      s.log.advance_start(r.first, died);
      s.log.note_base_epoch(r.epoch);
      s.start_generation = commit.generation;
      break;
    case RecordKind::mark:
      s.log.set_mark(r.first);
      s.mark_generation = commit.generation;
      break;
    case RecordKind::base: apply_base(s, r, commit.generation); break;
    case RecordKind::drop: break;
  }
  s.trim_holes();
}

void Fold::apply(const CommitHeader& commit, const std::vector<size_t>& unreadable) {
  for (size_t i = 0; i < commit.records.size(); ++i) apply(commit.records[i], commit, std::ranges::find(unreadable, i) != unreadable.end());
  hard_state_ = commit.hard_state;
}

bool Fold::damaged() const {
  return unattributed_ || std::ranges::any_of(streams_, [](const auto& s) { return s.second.damaged(); });
}

std::map<StreamId, StreamFacts> Fold::take() {
  if (unattributed_) {
    stream(kRaftLog);  // also when nothing of it was found: a voter must know that its log is suspect
    for (auto& [id, facts] : streams_) facts.suspect = true;
  }
  return std::move(streams_);
}

}  // namespace sg::wal
