// The segment preparer: keeps one segment full of zeros ahead of the writer, so that a commit changes no file metadata; writes the
// index of sealed segments; removes files that are not needed.
#include <algorithm>

#include "base/probe.h"
#include "broker/wal/journal.h"

namespace sg::wal {
namespace {
constexpr size_t kChunkBytes = 256 << 10;

constexpr size_t kMaxFreeSegments = 2;
constexpr Duration kRetryFullDisk = 1s;

// What segments are filled with: one block for all journals of the process, aligned for any device.
ByteSpan zeros_for_filling() {
  static const SharedBytes zeros = [] {
    SharedBytes bytes = SharedBytes::allocate(kChunkBytes, kChunkBytes);
    std::ranges::fill(bytes.writable(), uint8_t{0});
    return bytes;
  }();
  return zeros;
}

}  // namespace

void Journal::run_preparer(Task& task) {
  while (!failure_ && !closing_ && !task.stopping()) {
    uint64_t rolls = stats_.rolls;
    auto done = write_indexes(task);
    if (done) done = remove_surplus(task);
    if (done && !segments_.has_free()) done = prepare_segment(task);
    if (done.is(Errc::no_space)) {
      REACHED("wal: no space for the next segment");
      if (!disk_full_) log_.warn("journal-disk-full what=\"{}\": partitions refuse writes until there is space", done.error().what);
      disk_full_ = true;
    } else if (done) {
      disk_full_ = false;
    } else if (!done.is(Errc::stopped)) {
      fail_with(done.error());
      work_.notify_all();
    }
    if (done && stats_.rolls != rolls) continue;  // the writer did not wait for us
    auto woken = rolled_.wait(task, disk_full_ ? task.now() + kRetryFullDisk : Time::never(), "the next roll");
    if (woken.is(Errc::stopped)) break;
  }
}

Result<> Journal::prepare_segment(Task& task) {
  preparing_ = true;
  auto segment = segments_.create(task);
  Result<> done;
  if (!segment) done = std::unexpected(segment.error());
  if (done) done = zero_fill(task, **segment, options_.segment_bytes, true);
  preparing_ = false;
  if (done) {
    segments_.add_free(std::move(*segment));
  } else if (segment && done.is(Errc::no_space)) {
    (void)segments_.remove(task, std::move(*segment));  // gives back what it took of the full disk
  }
  prepared_.notify_all();
  return done;
}

Result<> Journal::zero_fill(Task& task, Segment& segment, uint64_t bytes, bool paced) {
  size_t chunk = std::min<size_t>(kChunkBytes, round_up(bytes, options_.block_bytes));
  const ByteSpan zeros = zeros_for_filling();
  auto pause = Duration(static_cast<int64_t>(chunk * 1'000'000'000 / options_.prepare_bytes_per_second));
  uint64_t target = round_up(bytes, options_.block_bytes);
  while (segment.file_bytes < target) {
    size_t size = static_cast<size_t>(std::min<uint64_t>(chunk, target - segment.file_bytes));
    TRY_DO(segment.file->write(task, segment.file_bytes, zeros.first(size), disk::Durability::buffered));
    segment.file_bytes += size;
    if (!paced) continue;
    if (roll_waits_) break;  // the rest is appended
    if (segment.file_bytes < target) TRY_DO(task.sleep_for(pause));
  }
  return segment.file->sync(task);
}

Result<> Journal::write_indexes(Task& task) {
  for (;;) {
    auto wanted =
        std::ranges::find_if(segments_.used(), [this](const SegmentPtr& s) { return s->index_wanted && s != segments_.active_ptr(); });
    if (wanted == segments_.used().end()) return {};
    SegmentPtr segment = *wanted;
    segment->index_wanted = false;
    ByteVec encoded =
        encode_index(segment->header.directory_id, segment->generation(), segment->last_sequence, segment->headers, options_.block_bytes);
    segment->headers = {};
    SharedBytes index = SharedBytes::copy_of(encoded, options_.block_bytes);
    ++segment->pins;  // the file is not written again for another generation while this is under way
    auto done = segment->file->write(task, segment->position, index.span(), disk::Durability::synced);
    --segment->pins;
    segments_.free_retired();
    TRY_DO(std::move(done));
    segment->file_bytes = std::max<uint64_t>(segment->file_bytes, segment->position + index.size());
  }
}

Result<> Journal::remove_surplus(Task& task) {
  while (segments_.free_count() > kMaxFreeSegments) TRY_DO(segments_.remove(task, segments_.take_free()));
  return {};
}

}  // namespace sg::wal
