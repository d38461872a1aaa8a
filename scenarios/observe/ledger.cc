#include "scenarios/observe/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sg::scenario {
namespace {

std::string describe(const wal::HardState& h) { return fmt::format("term {} vote {}", h.term, h.vote); }

}  // namespace

// --- What the disk receives ------------------------------------------------------------------------------------------------------

void Ledger::write(uint64_t op, std::string_view path, uint64_t offset, ByteSpan bytes) {
  Pending pending;
  pending.op = op;
  pending.path = path;
  pending.offset = offset;
  pending.length = bytes.size();
  if (offset == 0) {
    auto header = wal::decode_segment_block(bytes);
    if (header) recovered_to(*header);  // first: a commit that recovery accepted may have freed this very file
    check_rewrite(path, offset, bytes.size());
    if (!header) return;  // zeros, ahead of use
    pending.segment = std::move(*header);
    receive_segment(std::move(pending));
    return;
  }
  check_rewrite(path, offset, bytes.size());
  auto header = wal::decode_header(bytes);
  if (!header || header->position != offset) return;  // zeros, or the index of a sealed segment
  pending.is_commit = true;
  pending.header = std::move(*header);
  receive_commit(std::move(pending), bytes);
}

void Ledger::written(uint64_t op, bool ok, bool synced) {
  for (Pending& p : pending_)
    if (p.op == op) p.landed = ok;
  drain();
  if (!ok || !synced) return;  // one that came too late for its process vouches for nothing
  auto header = std::ranges::find_if(pending_, [&](const Pending& p) { return p.op == op && !p.is_commit; });
  judge_->check(Check::e24, header == pending_.end(), [&] {
    const Pending& first = pending_.front();
    return fmt::format(
        "node {}: segment {} is written, and vouches for the log before it, but {} at {} of {} would not survive a power cut", node_,
        header->segment.generation, first.is_commit ? fmt::format("commit {}", first.header.sequence) : std::string("a segment's header"),
        first.offset, first.path);
  });
}

void Ledger::failed(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

// A disk that has lied once may have lost what it says it kept: only a recovery knows what is there.
void Ledger::check_promise(std::string_view what) {
  judge_->check(Check::e23, failure_.empty(), [&] {
    return fmt::format("node {} sends {} after {} has failed; expected: the process promises nothing more and ends", node_, what, failure_);
  });
}

void Ledger::check_rewrite(std::string_view path, uint64_t offset, size_t length) {
  auto file = files_.find(path);
  if (file == files_.end()) return;
  const FileUse& use = file->second;
  // A segment that cannot be told any more, and in which nobody was promised anything.
  const bool unknown = use.header_unreadable && use.commits <= 1;
  const bool live = use.generation >= floor_ && offset < use.end && !unknown;
  judge_->check(Check::e21, !live, [&] {
    return fmt::format(
        "node {} writes {} bytes at {} of {}, where segment {} holds synced commits up to byte {}; expected: such a block is never written "
        "again before the floor (now {}) has durably passed its segment",
        node_, length, offset, path, use.generation, use.end, floor_);
  });
}

void Ledger::receive_segment(Pending pending) {
  check_hard_state(head_hard_state(), pending.segment.hard_state, "a segment's header");
  generation_ = pending.segment.generation;
  directory_ = pending.segment.directory_id;
  must_open_ = false;
  pending_.push_back(std::move(pending));
}

// A segment's header names where the log before it ends: after a crash, that is what recovery found.
void Ledger::recovered_to(const wal::SegmentHeader& header) {
  const wal::ChainEnd& found = header.previous;
  auto who = [&] {
    return fmt::format("node {}: segment {} continues the log behind commit {}", node_, header.generation, found.sequence);
  };
  if (found.sequence < sequence_) {
    recovered_short(found, who());
    pending_.clear();
    return rewind();
  }
  const bool nothing_lost = found.sequence == head_sequence();
  if (found.sequence == sequence_) {
    judge_->check(Check::e22, found.crc == crc_, [&] {
      return fmt::format("{} with header checksum {:08x}; the durable commit {} has {:08x}: another commit came back", who(), found.crc,
                         sequence_, crc_);
    });
    pending_.clear();
    if (!nothing_lost) rewind();
    return;
  }
  auto last = std::ranges::find_if(pending_, [&](const Pending& p) { return p.is_commit && p.header.sequence == found.sequence; });
  bool known = last != pending_.end() && last->header.crc == found.crc;
  judge_->check(Check::e22, known, [&] {
    return fmt::format("{} with header checksum {:08x}; durable up to {}, written up to {}: that commit is none of this log", who(),
                       found.crc, sequence_, head_sequence());
  });
  if (!known) {
    pending_.clear();
    return rewind();
  }
  // What recovery accepted beyond what was durable must be there, whole. It counts as durable only once it is.
  pending_.erase(last + 1, pending_.end());
  std::erase_if(pending_, [](const Pending& p) { return !p.is_commit; });
  for (Pending& p : pending_) {
    p.landed = p.landed || on_disk(p);
    judge_->check(Check::e22, p.landed, [&] {
      return fmt::format("{}; but commit {} at {} of {} is not on the disk as it was written", who(), p.header.sequence, p.offset, p.path);
    });
  }
  if (!nothing_lost) rewind();
  drain();
}

// A commit that was durable is not there any more: damage that the simulator did explains it, nothing else. A tear and a flipped bit look
// the same where no later commit vouches for the place (docs/formats/journal.md, Limits); everywhere else the damage has to be reported.
void Ledger::recovered_short(const wal::ChainEnd& found, const std::string& who) {
  auto text = [&] {
    return fmt::format("{}; the disk keeps all up to commit {}, with {}: commits {} to {} and what was promised on them are lost", who,
                       sequence_, describe(hard_state_), found.sequence + 1, sequence_);
  };
  const bool rotten = std::ranges::any_of(places_, &Place::hit);
  judge_->check(Check::e21, damaged() || rotten, text);
  bool excused = true;
  for (const Place& p : places_) excused = excused && (p.sequence <= found.sequence || p.hit);
  excused = excused && !places_.empty() && places_.front().sequence <= found.sequence + 1;
  forget_places_behind(found.sequence);
  if (rotten && !excused && !damaged()) unreported_ = text();
  exempt_ = true;
  begun_since_.clear();
  sequence_ = found.sequence;
  crc_ = found.crc;
}

// What recovery has cut may be written over.
void Ledger::forget_places_behind(uint64_t sequence) {
  while (!places_.empty() && places_.back().sequence > sequence) {
    const Place& place = places_.back();
    auto file = files_.find(place.path);
    if (file != files_.end() && file->second.generation == place.generation) {
      file->second.end = std::min(file->second.end, place.offset);
      file->second.commits -= 1;
    }
    places_.pop_back();
  }
}

void Ledger::registered(Incarnation run, bool clean, std::span<const StreamId> damaged) {
  if (run <= ended_) return;
  damaged_ = false;
  const std::string lost = std::exchange(unreported_, "");
  judge_->check(Check::e21, lost.empty() || !clean || !damaged.empty(), [&] { return lost + "; and the node does not report any damage"; });
  for (StreamId stream : std::exchange(hurt_, {}))
    judge_->check(Check::e21, !clean || std::ranges::find(damaged, stream) != damaged.end(),
                  [&] { return fmt::format("{}; and the node does not report stream {}, which had entries there", lost, stream); });
}

void Ledger::flipped(std::string_view path, uint64_t offset) {
  rotten_ = true;
  for (Place& p : places_)
    if (p.path == path && offset >= p.offset && offset - p.offset < p.length) p.hit = true;
}

void Ledger::spoiled(std::string_view path, uint64_t offset) {
  flipped(path, offset);
  auto file = files_.find(path);
  if (file != files_.end() && offset < file->second.header_bytes) file->second.header_unreadable = true;
}

// The first commit of a segment is reported once the segment's number is noted beside it. A second one proves that this has happened.
void Ledger::file_lost(std::string_view path) {
  // What was on its way there when the process died has nowhere to land any more.
  if (std::erase_if(pending_, [&](const Pending& p) { return p.path == path; }) > 0) rewind();
  auto file = files_.find(path);
  if (file == files_.end()) return;
  const FileUse use = file->second;
  files_.erase(file);
  rotten_ = true;
  for (Place& p : places_)
    if (p.path == path) p.hit = true;
  if (use.generation < floor_ || use.commits == 0) return;
  exempt_ = true;
  begun_since_.clear();
  hard_state_ = {};  // the youngest commits told it
  if (use.commits <= 1) return;
  for (const auto& [stream, log] : logs_)
    if (!wal::is_metadata(stream) && std::ranges::find(log.entries(), use.generation, &LogEntry::generation) != log.entries().end())
      hurt_.insert(stream);
  unreported_ = fmt::format("node {}: {} is gone, which held {} durable commits of segment {}", node_, path, use.commits, use.generation);
}

// What is believed to be written becomes what is durable, and what is still pending. Costs as much as the logs are long, so it is for
// what a crash took away; a roll takes nothing away.
void Ledger::rewind() {
  written_ = logs_;
  for (const Pending& p : pending_) {
    size_t appends = 0;
    for (const wal::Record& r : p.header.records) fold(written_, r, r.kind == wal::RecordKind::append ? &p.appends[appends++] : nullptr);
  }
}

bool Ledger::on_disk(const Pending& p) const {
  ByteVec bytes = disk_->contents(p.path, p.offset, p.length);
  if (bytes.size() < p.length) return false;
  // The header stands at both ends of a commit, and one good copy is enough: that is what it is repeated for.
  auto header = wal::decode_header(bytes);
  if (!header || header->crc != p.header.crc) {
    auto size = wal::peek_footer(ByteSpan(bytes).first(p.length));
    if (!size || *size + wal::kFooterBytes > p.length) return false;
    header = wal::decode_header(ByteSpan(bytes).subspan(p.length - wal::kFooterBytes - *size, *size));
    if (!header || header->crc != p.header.crc) return false;
  }
  return std::ranges::all_of(header->records, [&](const wal::Record& r) {
    return r.kind != wal::RecordKind::append || wal::payload_matches(r, ByteSpan(bytes).subspan(r.payload_at, r.payload_bytes));
  });
}

void Ledger::receive_commit(Pending pending, ByteSpan bytes) {
  wal::CommitHeader& h = pending.header;
  // A commit that was being written when the process died, and a commit of the next process, may both be pending; only a chain counts.
  judge_->check(Check::e21, !must_open_ && h.generation == generation_, [&] {
    return fmt::format(
        "node {} puts commit {} into segment {} after a crash; expected: a new segment (after {}) whose header says where the old log ends",
        node_, h.sequence, h.generation, generation_);
  });
  judge_->check(Check::e22, h.sequence == head_sequence() + 1, [&] {
    return fmt::format("node {} writes commit {} behind commit {}; expected: {}", node_, h.sequence, head_sequence(), head_sequence() + 1);
  });
  check_hard_state(head_hard_state(), h.hard_state, fmt::format("commit {}", h.sequence));
  for (const wal::Record& r : h.records) {
    if (r.kind == wal::RecordKind::truncate) {
      const DurableLog* log = written_log(r.stream);
      events_->on_truncate(node_, r.stream, r.first, log ? log->end() : 0, h.hard_state);
    }
    if (r.kind == wal::RecordKind::drop && wal::is_metadata(r.stream))
      judge_->check(Check::e21, rotten_,
                    [&] { return fmt::format("node {} drops stream {}, Raft's own, from an undamaged journal", node_, r.stream); });
    if (r.kind == wal::RecordKind::drop && r.stream == wal::kRaftLog)
      events_->on_truncate(node_, r.stream, 0, durable_end(r.stream), h.hard_state);
    if (r.kind != wal::RecordKind::append) {
      fold(written_, r, nullptr);
      continue;
    }
    if (exempt_ && r.first == 0 && !written_log(r.stream)) begun_since_.insert(r.stream);
    ByteSpan payload = bytes.subspan(r.payload_at, r.payload_bytes);
    LogEntry entry = check_append(pending, r, payload);
    fold(written_, r, &entry);
    pending.appends.push_back(entry);
    events_->on_append(node_, r.stream, entry, r.aux.span(), payload, h.hard_state);
  }
  pending_.push_back(std::move(pending));
}

// What an append record says of the log that the node believes to have.
LogEntry Ledger::check_append(const Pending& pending, const wal::Record& r, ByteSpan payload) {
  const DurableLog* log = written_log(r.stream);
  const int64_t end = log ? log->end() : 0;
  judge_->check(Check::e21, wal::payload_matches(r, payload), [&] {
    return fmt::format("node {}, stream {}: the entry [{}, {}) of epoch {} is written with a checksum that its bytes do not have", node_,
                       r.stream, r.first, r.next, r.epoch);
  });
  const bool may_be_short = may_be_short_.erase(r.stream) > 0 && r.first < end;
  if (r.stream != wal::kRaftSnapshots && !damaged() && !may_be_short) {
    judge_->check(Check::e21, r.first >= end, [&] {
      return fmt::format("node {}, stream {}: an entry is appended at {}, but the log reaches to {}: [{}, {}) is gone without a truncation",
                         node_, r.stream, r.first, end, r.first, end);
    });
    judge_->check(Check::e22, r.first <= end, [&] {
      return fmt::format("node {}, stream {}: an entry is appended at {}, but the log ends at {}: the node believes to hold [{}, {})",
                         node_, r.stream, r.first, end, end, r.first);
    });
  }
  // A node whose file was taken goes on before the end that this ledger remembers, perhaps before its start: then it had what was
  // committed.
  std::optional<uint64_t> before = log ? log->chain_at(std::min(end, r.first)) : std::nullopt;
  if (!before && log && r.first < log->start()) before = events_->committed_chain(r.stream, r.first);
  const uint64_t chain = before.value_or(kEmptyChain);
  return {r.first,
          r.next,
          r.epoch,
          r.body_crc,
          extend(chain, r.first, r.next, r.epoch, r.prefix_crc, r.body_crc),
          pending.header.generation,
          pending.header.hard_state.term.v};
}

void Ledger::check_hard_state(const wal::HardState& before, const wal::HardState& after, std::string_view where) {
  bool kept = after == before || after.term > before.term || (after.term == before.term && (before.vote == kNoNode || damaged()));
  judge_->check(Check::e2, kept, [&] {
    return fmt::format("node {}: {} says {} after {}; expected: the term never goes back, and one vote per term", node_, where,
                       describe(after), describe(before));
  });
}

// --- Where the written log stands ------------------------------------------------------------------------------------------------

uint64_t Ledger::head_sequence() const {
  for (auto p = pending_.rbegin(); p != pending_.rend(); ++p)
    if (p->is_commit) return p->header.sequence;
  return sequence_;
}

const DurableLog* Ledger::log(StreamId stream) const {
  auto it = logs_.find(stream);
  return it == logs_.end() ? nullptr : &it->second;
}

const DurableLog* Ledger::written_log(StreamId stream) const {
  auto it = written_.find(stream);
  return it == written_.end() ? nullptr : &it->second;
}

int64_t Ledger::durable_end(StreamId stream) const {
  const DurableLog* l = log(stream);
  return l ? l->end() : 0;
}

std::optional<uint64_t> Ledger::chain_at(StreamId stream, int64_t position) const {
  const DurableLog* l = log(stream);
  if (!l) return position == 0 ? std::optional(kEmptyChain) : std::nullopt;
  return l->chain_at(position);
}

int64_t Ledger::snapshot_index() const {
  const DurableLog* l = log(wal::kRaftSnapshots);
  return l && !l->entries().empty() ? l->entries().back().first : 0;
}

// --- What is durable -------------------------------------------------------------------------------------------------------------

// A commit is recoverable when it, all before it, and the header of its segment would survive.
void Ledger::drain() {
  while (!pending_.empty()) {
    const Pending& p = pending_.front();
    if (!p.landed || !disk_->survives(p.path, p.offset, p.length)) return;
    Pending durable = std::move(pending_.front());
    pending_.pop_front();
    apply(durable);
  }
}

void Ledger::apply(const Pending& p) {
  hard_state_ = p.hard_state();
  const uint64_t generation = p.is_commit ? p.header.generation : p.segment.generation;
  FileUse& use = files_[p.path];
  if (!p.is_commit) use = {.generation = generation, .header_bytes = p.length};
  if (use.generation != generation) use = {.generation = generation};
  use.end = p.offset + p.length;
  use.commits += p.is_commit ? 1 : 0;
  if (!p.is_commit) return check_floor(p.segment.floor);
  sequence_ = p.header.sequence;
  crc_ = p.header.crc;
  places_.push_back({sequence_, p.path, p.offset, p.length, generation});
  if (places_.size() > kKeptPlaces) places_.pop_front();
  orderly_ = (p.header.flags & wal::kOrderlyStop) != 0;
  size_t appends = 0;
  std::set<StreamId> longer;
  for (const wal::Record& r : p.header.records) {
    fold(logs_, r, r.kind == wal::RecordKind::append ? &p.appends[appends++] : nullptr);
    if (r.kind == wal::RecordKind::append) longer.insert(r.stream);
  }
  check_floor(p.header.floor);
  for (StreamId stream : longer) events_->on_durable(node_, stream);
}

void Ledger::fold(std::map<StreamId, DurableLog>& logs, const wal::Record& r, const LogEntry* entry) {
  if (r.kind == wal::RecordKind::drop) {
    logs.erase(r.stream);
    return;
  }
  DurableLog& log = logs[r.stream];
  switch (r.kind) {
    case wal::RecordKind::append:
      if (entry->first < log.start()) log.begin_anew(entry->first, events_->committed_chain(r.stream, entry->first));
      if (entry->first < log.end()) log.truncate(entry->first);  // reported already
      if (entry->first >= log.end()) log.append(*entry);
      break;
    case wal::RecordKind::truncate: log.truncate(r.first); break;
    case wal::RecordKind::advance_start:
    case wal::RecordKind::base: {
      const bool beyond = log.end() < r.first;
      const bool installed = r.stream == wal::kRaftLog && events_->installed(node_, r.first);
      const uint64_t committed = beyond || installed ? events_->committed_chain(r.stream, r.first) : kEmptyChain;
      // A snapshot that a leader has sent stands for the committed log. The entries that it takes the place of may have been others.
      if (installed && committed != kEmptyChain) {
        log.replace_start(r.first, committed);
      } else {
        log.advance_start(r.first, committed);
      }
      break;
    }
    case wal::RecordKind::mark:
    case wal::RecordKind::healed:
    case wal::RecordKind::drop: break;
  }
}

// Segments below the floor may be written again: no live entry may rest on them.
void Ledger::check_floor(uint64_t floor) {
  if (floor <= floor_) return;
  floor_ = floor;
  for (const auto& [stream, log] : logs_) {
    if (log.entries().empty()) continue;
    const LogEntry& oldest = log.entries().front();
    judge_->check(Check::e21, oldest.generation >= floor, [&] {
      return fmt::format("node {}, stream {}: [{}, {}) is live and rests on segment {}, which is free to be recycled below the floor {}",
                         node_, stream, oldest.first, oldest.next, oldest.generation, floor);
    });
  }
}

// --- Death -----------------------------------------------------------------------------------------------------------------------

void Ledger::died(sim::Death death) {
  failure_.clear();
  ended_ = run_;
  if (death == sim::Death::wipe) {
    logs_.clear();
    written_.clear();
    pending_.clear();
    files_.clear();
    places_.clear();
    hard_state_ = {};
    sequence_ = generation_ = floor_ = 0;
    crc_ = 0;
    directory_ = {};
    run_ = ended_ = {};
    unreported_.clear();
    hurt_.clear();
    damaged_ = true;
  }
  if (death == sim::Death::power_cut)
    for (Pending& p : pending_) p.landed = false;  // the disk has decided; recovery will say what it found
  must_open_ = death != sim::Death::wipe && !orderly_;
}

// --- People ----------------------------------------------------------------------------------------------------------------------

void Ledger::takes(const Ledger& other) {
  const MachineId machine = node_;
  const DiskView* disk = disk_;
  *this = other;
  node_ = machine;
  disk_ = disk;
  failure_.clear();
  ended_ = run_;
  must_open_ = !orderly_;
  damaged_ = true;
}

void Ledger::becomes(const Ledger& copy) {
  takes(copy);
  // All that a copy has is durable, also what was on its way when it was made.
  std::erase_if(pending_, [&](const Pending& p) { return !p.landed; });
  drain();
  must_open_ = !orderly_;
  directory_ = {};  // it is that directory once a process has taken it for its own
}

void Ledger::is_back(const Ledger& own) { takes(own); }

}  // namespace sg::scenario
