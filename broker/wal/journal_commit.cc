// The commit task: gathers what is queued, lays it out once in one buffer, writes it as one synced write, and tells the listener.
#include <algorithm>

#include "base/probe.h"
#include "broker/wal/journal.h"

namespace sg::wal {

struct Journal::Commit {
  CommitHeader header;
  uint32_t records = 0;
  Tickets upto;
  HardState hard_state;
  SharedBytes buffer;  // all of it; the commit is its first header.commit_bytes
  std::vector<StreamId> touched;
  std::vector<StreamId> cached;  // streams that have payloads in the buffer
};

void Journal::run_commits(Task& task) {
  while (!failure_ && !closing_) {
    if (queue_.empty()) {
      Time deadline = unvouched_ ? task.now() + options_.idle_vouch : Time::never();
      auto woken = work_.wait(task, deadline, "work for the journal");
      if (woken.is(Errc::stopped)) break;
      if (woken) continue;
      ++stats_.vouches;
    }
    if (auto done = commit_once(task, 0); !done) fail_with(done.error());
  }
  ended_ = true;
  ended_signal_.notify_all();
}

Result<> Journal::settle(Task& task) {
  ENSURE(!started_);
  while (!queue_.empty()) TRY_DO(commit_once(task, 0));
  return {};
}

Result<> Journal::close(Task& task) {
  closing_ = true;
  work_.notify_all();
  rolled_.notify_all();
  while (!ended_) TRY_DO(ended_signal_.wait(task, Time::never(), "end of the commit task", Interruptible::no));
  while (!failure_) {
    bool last = queue_.empty();
    if (auto done = commit_once(task, last ? kOrderlyStop : uint16_t{0}); !done) fail_with(done.error());
    if (last) break;
  }
  if (failure_) return std::unexpected(*failure_);
  log_.info("journal-closed sequence={} commits={}", chain_.sequence, stats_.commits);
  return {};
}

void Journal::fail_with(Error error) {
  if (failure_) return;
  failure_ = std::move(error);
  queue_.clear();
  log_.error("journal-failed what=\"{}: {}\": nothing more is promised; restart to recover from the disk", to_string(failure_->code),
             failure_->what);
  if (listener_) listener_->on_failed(*failure_);
}

Result<> Journal::commit_once(Task& task, uint16_t flags) {
  taken_.clear();
  Tickets upto = queue_.take(taken_, options_.max_commit_bytes);
  if (must_roll()) TRY_DO(roll(task));
  Commit commit = compose(flags, upto);
  SegmentPtr segment = segments_.active_ptr();
  ByteSpan bytes = commit.buffer.span().first(commit.header.commit_bytes);
  ENSURE(bytes.size() % options_.block_bytes == 0 && commit.header.position % options_.block_bytes == 0);
  if (segment->commits == 0)
    TRY_DO(write_first(task, *segment, bytes));
  else
    TRY_DO(segment->file->write(task, commit.header.position, bytes, disk::Durability::synced));
  complete(commit);
  return {};
}

// The number of a segment is in the identity before a commit in it is reported, so that a newest segment which is missing is missed. Its
// name and header are durable already, so no crash leaves a number without its segment. Commit and slot are written side by side: either
// of them alone is the same as neither, to everybody who was told nothing. Whichever fails ends the journal at once: what else this node
// would promise does not wait for the other.
Result<> Journal::write_first(Task& task, Segment& segment, ByteSpan commit) {
  identity_file_->edit().newest_segment = segment.generation();
  Result<> noted;
  TaskGroup beside(task.scheduler());
  beside.spawn("journal-note", [&](Task& t) {
    noted = identity_file_->save(t);
    if (!noted) fail_with(noted.error());
  });
  auto written = segment.file->write(task, segment.position, commit, disk::Durability::synced);
  if (!written) fail_with(written.error());
  beside.join(task);
  TRY_DO(std::move(noted));
  ENSURE(!written || identity_file_->noted_segment() == segment.generation(), "segment {} is not noted", segment.generation());
  return written;
}

bool Journal::must_roll() const {
  const Segment& active = segments_.active();
  if (active.commits == 0) return false;  // the least that fits into a segment is one commit, however large
  size_t header = kCommitFixedBytes;
  uint64_t payload = 0;
  for (const Request& request : taken_) {
    header += request.encoded();
    payload += request.payload.size();
  }
  size_t block = options_.block_bytes;
  uint64_t index = round_up(kIndexFixedBytes + active.headers.size() + header, block);
  return active.position + commit_bytes_for(header, payload, block) + index > active.capacity;
}

Result<> Journal::roll(Task& task) {
  Segment& active = segments_.active();
  active.index_wanted = active.commits > 0;
  if (!segments_.has_free() && preparing_) {
    REACHED("wal: the writer caught up with the preparer");
    roll_waits_ = true;
    while (preparing_) TRY_DO(prepared_.wait(task, Time::never(), "the next segment", Interruptible::no));
    roll_waits_ = false;
  }
  TRY_DO(begin_segment(task, active.generation() + 1, options_.segment_bytes));
  ++stats_.rolls;
  rolled_.notify_all();
  return {};
}

// The floor passes a sealed segment without live entries once everything that killed its entries is in this commit or an earlier one.
uint64_t Journal::raise_floor(Tickets upto) {
  uint64_t floor = floor_;
  for (const SegmentPtr& segment : segments_.used()) {
    if (segment->live > 0 || segment == segments_.active_ptr()) break;
    if (!segment->barrier) segment->barrier = queue_.last();
    if (segment->barrier->metadata > upto.metadata || segment->barrier->data > upto.data) break;
    floor = segment->generation() + 1;
  }
  return floor;
}

Journal::Commit Journal::compose(uint16_t flags, Tickets upto) {
  const Segment& active = segments_.active();
  Commit commit;
  commit.upto = upto;
  commit.hard_state = composed_hard_state_;
  CommitHeader& h = commit.header;
  h.flags = flags;
  h.cluster_id = identity().cluster_id;
  h.directory_id = identity().directory_id;
  h.sequence = chain_.sequence + 1;
  h.generation = active.generation();
  h.position = active.position;
  h.incarnation = run_.counter;
  h.previous_crc = chain_.crc;
  h.floor = raise_floor(upto);

  begin_header(header_);
  add_requests(commit);
  add_marks(commit);
  if (h.floor > floor_) add_bases(commit);
  h.header_bytes = static_cast<uint32_t>(finished_bytes(header_));
  h.hard_state = commit.hard_state;
  h.commit_bytes = static_cast<uint32_t>(commit_bytes_for(h.header_bytes, h.payload_bytes, options_.block_bytes));
  h.crc = finish_header(header_, h, commit.records);
  fill(commit);
  return commit;
}

// What the recycled segments told last, as of the end of this commit: the requests that emptied them may be in this very commit.
void Journal::add_bases(Commit& commit) {
  uint64_t floor = commit.header.floor;
  for (auto& [id, s] : streams_) {
    bool told_below = (s.start_generation != 0 && s.start_generation < floor) || (s.mark_generation != 0 && s.mark_generation < floor);
    if (!told_below || s.dropped) continue;
    append_record(header_, {.kind = RecordKind::base,
                            .stream = id,
                            .first = s.composed_start,
                            .next = s.composed_end,
                            .epoch = s.composed_base_epoch,
                            .mark = s.composed_mark});
    ++commit.records;
    s.start_generation = s.mark_generation = commit.header.generation;
  }
}

void Journal::touch(Commit& commit, Stream& stream) {
  if (stream.touched) return;
  stream.touched = true;
  commit.touched.push_back(stream.log.stream());
}

void Journal::add_requests(Commit& commit) {
  for (Request& request : taken_) {
    if (request.is_hard_state) {
      commit.hard_state = request.hard_state;
      continue;
    }
    const Record& r = request.record;
    Stream& s = streams_.at(r.stream);
    if (s.dropped && r.kind != RecordKind::drop) {
      request.payload = {};  // the drop is queued behind it
      continue;
    }
    append_record(header_, r);
    ++commit.records;
    commit.header.payload_bytes += r.payload_bytes;
    touch(commit, s);
    switch (r.kind) {
      case RecordKind::append:
        if (s.composed_start == s.composed_end && r.first > s.composed_end) s.composed_start = r.first;
        s.composed_end = r.next;
        break;
      case RecordKind::truncate:
        s.composed_end = r.first;
        ENSURE(s.truncations > 0);
        --s.truncations;
        break;
      case RecordKind::advance_start:
        s.composed_start = r.first;
        s.composed_end = std::max(s.composed_end, r.first);
        s.composed_base_epoch = r.epoch;
        s.start_generation = commit.header.generation;
        break;
      default: break;
    }
  }
}

void Journal::add_marks(Commit& commit) {
  for (StreamId id : dirty_marks_) {
    Stream* s = find(id);
    if (!s) continue;
    s->mark_is_dirty = false;
    s->composed_mark = s->log.mark();
    s->mark_generation = commit.header.generation;
    append_record(header_, {.kind = RecordKind::mark, .stream = id, .first = s->composed_mark});
    ++commit.records;
  }
  dirty_marks_.clear();
}

// The one copy of a payload between socket and disk. From here on the stream's youngest entries are slices of the commit's buffer.
void Journal::fill(Commit& commit) {
  const CommitHeader& h = commit.header;
  commit.buffer = cache_.take(h.commit_bytes);
  uint8_t* out = commit.buffer.writable().data();
  std::memcpy(out, header_.data(), header_.size());
  size_t at = header_.size();
  for (Request& request : taken_) {
    const Record& r = request.record;
    if (request.is_hard_state || r.kind != RecordKind::append) continue;
    Stream& s = streams_.at(r.stream);
    if (s.dropped) continue;
    if (r.payload_bytes > 0) std::memcpy(out + at, request.payload.data(), r.payload_bytes);
    // The entry may have been truncated away since it was queued.
    size_t index = s.log.index_of(r.first);
    size_t uncached = s.log.entries().size() - s.payloads.size();
    if (index < s.log.entries().size() && index >= uncached && s.payloads[index - uncached].ticket == request.ticket) {
      Entry& entry = s.log.entry(index);
      ENSURE(entry.first == r.first && entry.generation == 0);
      entry.generation = h.generation;
      entry.at = h.position + at;
      segments_.hold(h.generation);
      CachedPayload& cached = s.payloads[index - uncached];
      cached.bytes = commit.buffer.slice(at, r.payload_bytes);
      cached.commit = h.sequence;
      if (commit.cached.empty() || commit.cached.back() != r.stream) commit.cached.push_back(r.stream);
    }
    at += r.payload_bytes;
  }
  ENSURE(at == header_.size() + h.payload_bytes, "{} bytes laid out, {} announced", at, header_.size() + h.payload_bytes);
  size_t trailer = h.commit_bytes - kFooterBytes - header_.size();
  std::memset(out + at, 0, trailer - at);
  write_trailer({out, h.commit_bytes}, header_);
}

void Journal::complete(Commit& commit) {
  const CommitHeader& h = commit.header;
  Segment& active = segments_.active();
  active.position += h.commit_bytes;
  active.file_bytes = std::max(active.file_bytes, active.position);
  active.last_sequence = h.sequence;
  ++active.commits;
  active.headers.insert(active.headers.end(), header_.begin(), header_.end());
  chain_ = h.end();
  composed_hard_state_ = h.hard_state;
  durable_ = commit.upto;
  unvouched_ = !taken_.empty();
  ++stats_.commits;
  stats_.commit_bytes += h.commit_bytes;

  if (h.floor > floor_) {
    floor_ = h.floor;
    stats_.recycled += segments_.retire_below(floor_);
    used_bytes_ = segments_.used_bytes();
  }
  segments_.free_retired();
  cache_.keep({h.sequence, std::move(commit.buffer), std::move(commit.cached)});
  evict();

  ends_.clear();
  for (StreamId id : commit.touched) {
    auto at = streams_.find(id);
    Stream& s = at->second;
    s.touched = false;
    if (s.truncations == 0) s.lowest_truncation = Stream::kNone;
    s.durable_end = std::min(s.composed_end, s.lowest_truncation);
    if (!s.dropped) ends_.push_back({id, s.durable_end});
  }
  // A dropped stream is forgotten once its drop is durable.
  for (const Request& request : taken_)
    if (!request.is_hard_state && request.record.kind == RecordKind::drop) streams_.erase(request.record.stream);
  taken_.clear();
  if (listener_) listener_->on_durable(ends_, durable_);
}

void Journal::evict() {
  while (cache_.over_limit()) {
    TailCache::Kept oldest = cache_.take_oldest();
    for (StreamId id : oldest.streams) {
      auto at = streams_.find(id);
      if (at == streams_.end()) continue;
      auto& payloads = at->second.payloads;
      while (!payloads.empty() && payloads.front().commit != 0 && payloads.front().commit <= oldest.commit) payloads.pop_front();
    }
    cache_.give_back(std::move(oldest.buffer));
  }
}

}  // namespace sg::wal
