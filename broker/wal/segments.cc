#include "broker/wal/segments.h"

#include <algorithm>
#include <charconv>

#include "broker/wal/file_lock.h"

namespace sg::wal {
namespace {

constexpr std::string_view kSuffix = ".seg";

std::optional<uint64_t> slot_of(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  name.remove_suffix(kSuffix.size());
  uint64_t slot = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), slot, 16);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return slot;
}

}  // namespace

Result<SegmentPtr> Segments::open_one(Task& task, const std::string& name, disk::OpenMode mode, Time give_up) {
  auto segment = std::make_shared<Segment>();
  segment->path = directory_ + "/" + name;
  auto caching = direct_ ? disk::Caching::direct : disk::Caching::cached;
  TRY(auto file, disk_.open(task, segment->path, mode, caching));
  if (block_bytes_ % file->alignment() != 0)
    return fail(Errc::invalid, fmt::format("{}: the device wants blocks of {} bytes, the journal's have {}; set direct = false",
                                           segment->path, file->alignment(), block_bytes_));
  TRY_DO(lock_file(task, *file, segment->path, give_up));
  TRY(disk::FileInfo info, file->info(task));
  segment->file_bytes = info.size;
  segment->inode = info.inode;
  segment->file = std::move(file);
  return segment;
}

Result<std::vector<SegmentPtr>> Segments::open_all(Task& task, Time give_up) {
  TRY(auto names, disk_.list(task, directory_));
  std::vector<SegmentPtr> files;
  for (const std::string& name : names) {
    auto slot = slot_of(name);
    if (!slot) continue;
    next_slot_ = std::max(next_slot_, *slot + 1);
    TRY(auto segment, open_one(task, name, disk::OpenMode::read_write, give_up));
    files.push_back(std::move(segment));
  }
  return files;
}

Result<SegmentPtr> Segments::create(Task& task) {
  TRY(auto segment, open_one(task, fmt::format("{:08x}{}", next_slot_++, kSuffix), disk::OpenMode::create));
  TRY_DO(disk_.sync_directory(task, directory_));
  return segment;
}

Result<> Segments::remove(Task& task, SegmentPtr segment) {
  // Closed before its name goes: the blocks of a file are freed by whoever lets go of it last, and that takes long. disk::Disk::remove may
  // take long, the end of a File may not.
  segment->file.reset();
  TRY_DO(disk_.remove(task, segment->path));
  return disk_.sync_directory(task, directory_);
}

Result<> Segments::activate(Task& task, SegmentPtr segment, const SegmentHeader& header, uint64_t capacity) {
  ENSURE(used_.empty() || header.generation == active().generation() + 1, "generation {} after {}", header.generation,
         active().generation());
  ENSURE(header.block_bytes == block_bytes_);
  ByteVec encoded = encode_segment_block(header);
  SharedBytes block = SharedBytes::copy_of(encoded, block_bytes_);
  TRY_DO(segment->file->write(task, 0, block.span(), disk::Durability::synced));
  segment->header = header;
  segment->capacity = capacity;
  segment->position = block_bytes_;
  segment->file_bytes = std::max<uint64_t>(segment->file_bytes, block_bytes_);
  segment->commits = segment->live = 0;
  segment->last_sequence = header.previous.sequence;
  segment->headers.clear();
  segment->index_wanted = false;
  segment->barrier.reset();
  used_.push_back(std::move(segment));
  return {};
}

void Segments::adopt(SegmentPtr segment) {
  ENSURE(used_.empty() || segment->generation() == active().generation() + 1);
  used_.push_back(std::move(segment));
}

SegmentPtr Segments::take_free() {
  SegmentPtr segment = std::move(free_.front());
  free_.erase(free_.begin());
  return segment;
}

SegmentPtr Segments::find(uint64_t generation) const {
  if (used_.empty() || generation < used_.front()->generation() || generation > used_.back()->generation()) return nullptr;
  return used_[static_cast<size_t>(generation - used_.front()->generation())];
}

void Segments::hold(uint64_t generation) {
  SegmentPtr segment = find(generation);
  ENSURE(segment, "an entry in segment {}, which is not in use", generation);
  ++segment->live;
}

void Segments::release(uint64_t generation) {
  SegmentPtr segment = find(generation);
  ENSURE(segment && segment->live > 0, "segment {} has no entry to release", generation);
  --segment->live;
}

size_t Segments::retire_below(uint64_t floor) {
  size_t count = 0;
  for (; used_.size() > 1 && used_.front()->generation() < floor; ++count) {
    ENSURE(used_.front()->live == 0, "segment {} is recycled with {} live entries", used_.front()->generation(), used_.front()->live);
    if (used_.front()->file) retired_.push_back(std::move(used_.front()));
    used_.pop_front();
  }
  return count;
}

void Segments::free_retired() {
  std::erase_if(retired_, [this](SegmentPtr& segment) {
    if (segment->pins > 0) return false;
    free_.push_back(std::move(segment));
    return true;
  });
}

uint64_t Segments::used_bytes() const {
  uint64_t sum = 0;
  for (const SegmentPtr& s : used_) sum += std::max(s->file_bytes, s->capacity);
  return sum;
}

}  // namespace sg::wal
