// Reads: from memory where possible, else in few large aligned pieces, verified against the descriptors.
#include <algorithm>

#include "base/probe.h"
#include "broker/wal/journal.h"

namespace sg::wal {
namespace {

constexpr uint64_t kMaxGapBytes = 64 << 10;  // read over and thrown away, rather than asked for separately
constexpr uint64_t kMaxRunBytes = 4 << 20;

bool in_hole(const StreamFacts& s, const Entry& entry) {
  return std::ranges::any_of(s.holes, [&](const Hole& hole) { return hole.first < entry.next && entry.first < hole.next; });
}

bool matches(const Entry& e, ByteSpan payload) {
  Record record{.payload_bytes = e.bytes, .prefix_bytes = e.prefix_bytes, .prefix_crc = e.prefix_crc, .body_crc = e.body_crc};
  return payload_matches(record, payload);
}

}  // namespace

std::optional<std::vector<ReadBatch>> Journal::read_cached(StreamId stream, int64_t position, size_t max_bytes, bool at_least_one) const {
  const Stream* s = find(stream);
  if (!s || position < s->log.start() || position > s->log.end()) return std::nullopt;
  const Entries& entries = s->log.entries();
  size_t index = s->log.index_of(position);
  size_t uncached = entries.size() - s->payloads.size();
  if (index < uncached) return std::nullopt;
  std::vector<ReadBatch> batches;
  size_t bytes = 0;
  for (; index < entries.size(); ++index) {
    const Entry& e = entries[index];
    bool wanted = bytes + e.bytes <= max_bytes || (batches.empty() && at_least_one);
    if (!wanted) break;
    bytes += e.bytes;
    batches.push_back({e.first, e.next, e.epoch, s->payloads[index - uncached].bytes});
  }
  return batches;
}

Result<std::vector<ReadBatch>> Journal::read(Task& task, StreamId stream, int64_t position, size_t max_bytes, bool at_least_one) {
  const Stream* s = find(stream);
  if (!s || position < s->log.start() || position > s->log.end())
    return fail(Errc::not_found,
                fmt::format("stream {} has no position {}; it holds [{}, {})", stream, position, start_of(stream), end_of(stream)));
  if (auto cached = read_cached(stream, position, max_bytes, at_least_one)) return std::move(*cached);

  std::vector<Entry> wanted;
  size_t bytes = 0;
  size_t uncached = s->log.entries().size() - s->payloads.size();
  for (size_t index = s->log.index_of(position); index < uncached; ++index) {
    const Entry& e = s->log.entries()[index];
    if (!wanted.empty() || !at_least_one)
      if (bytes + e.bytes > max_bytes) break;
    // What a lost commit held leaves a gap between intact entries: an answer never reaches over it.
    bool gap = stream != kRaftSnapshots && e.first > (wanted.empty() ? position : wanted.back().next);
    if (in_hole(*s, e) || gap) {
      if (wanted.empty()) return fail(Errc::corrupt, fmt::format("stream {} is damaged at {}", stream, position));
      break;
    }
    bytes += e.bytes;
    wanted.push_back(e);
  }
  if (wanted.empty()) return std::vector<ReadBatch>();
  return read_from_disk(task, stream, std::move(wanted));
}

bool Journal::still_there(StreamId stream, const Entry& entry) const {
  const Stream* s = find(stream);
  if (!s) return false;
  size_t index = s->log.index_of(entry.first);
  if (index >= s->log.entries().size()) return false;
  const Entry& now = s->log.entries()[index];
  return now.first == entry.first && now.generation == entry.generation && now.at == entry.at;
}

Result<std::vector<ReadBatch>> Journal::read_from_disk(Task& task, StreamId stream, std::vector<Entry> wanted) {
  std::vector<ReadBatch> batches;
  for (size_t begin = 0; begin < wanted.size();) {
    // One read for neighbours in one segment.
    size_t end = begin + 1;
    uint64_t run_end = wanted[begin].at + wanted[begin].bytes;
    for (; end < wanted.size(); ++end) {
      const Entry& e = wanted[end];
      bool near = e.generation == wanted[begin].generation && e.at >= run_end && e.at - run_end <= kMaxGapBytes;
      if (!near || e.at + e.bytes - wanted[begin].at > kMaxRunBytes) break;
      run_end = e.at + e.bytes;
    }
    SegmentPtr segment = segments_.find(wanted[begin].generation);
    ENSURE(segment && segment->file, "a live entry in segment {}, which is not in use", wanted[begin].generation);
    uint64_t from = wanted[begin].at / options_.block_bytes * options_.block_bytes;
    SharedBytes buffer = SharedBytes::allocate(static_cast<size_t>(round_up(run_end - from, options_.block_bytes)), options_.block_bytes);
    auto got = segment->file->read(task, from, buffer.writable());
    if (!got && !got.is(Errc::io)) return std::unexpected(got.error());
    size_t size = got.value_or(0);

    for (; begin < end; ++begin) {
      const Entry& e = wanted[begin];
      // While this task waited, the entry may have been truncated or deleted, and its segment written again.
      if (!still_there(stream, e)) {
        REACHED("wal: an entry went away under a read");
        if (!batches.empty()) return batches;
        return fail(Errc::not_found, fmt::format("stream {}: position {} was removed during the read", stream, e.first));
      }
      size_t at = static_cast<size_t>(e.at - from);
      bool intact = at + e.bytes <= size && matches(e, buffer.span().subspan(at, e.bytes));
      if (!intact) {
        REACHED("wal: a read found damage");
        find(stream)->add_hole(e.first, e.next);
        identity_file_->edit().damage.note({stream, e.generation, e.first, e.next});
        log_.error("journal-damage-found stream={} first={} next={} path={} at={}", stream, e.first, e.next, segment->path, e.at);
        // Known to the next run as well, before anybody is told.
        if (auto noted = identity_file_->save(task); !noted) {
          fail_with(noted.error());
          return std::unexpected(noted.error());
        }
        if (!batches.empty()) return batches;
        return fail(Errc::corrupt, fmt::format("stream {}: [{}, {}) at byte {} of {} does not match its checksum", stream, e.first, e.next,
                                               e.at, segment->path));
      }
      batches.push_back({e.first, e.next, e.epoch, buffer.slice(at, e.bytes)});
    }
  }
  return batches;
}

}  // namespace sg::wal
