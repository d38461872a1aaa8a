#include "sim/inode.h"

#include <algorithm>
#include <bit>

namespace sg::sim {
namespace {

// The sectors of page `page` that [offset, offset + length) touches, as bits.
uint8_t sectors_of(uint64_t page, uint64_t offset, uint64_t length) {
  uint64_t begin = std::max(offset, page * kPageBytes) - page * kPageBytes;
  uint64_t end = std::min(offset + length, (page + 1) * kPageBytes) - page * kPageBytes;
  unsigned first = static_cast<unsigned>(begin / kSectorBytes);
  unsigned last = static_cast<unsigned>((end - 1) / kSectorBytes);
  return static_cast<uint8_t>((0xffu << first) & (0xffu >> (7 - last)));
}

template <class F>
void for_each_sector(uint8_t sectors, F&& f) {
  for (; sectors != 0; sectors = static_cast<uint8_t>(sectors & (sectors - 1))) f(static_cast<unsigned>(std::countr_zero(sectors)));
}

}  // namespace

CutOdds CutOdds::draw(Rng& rng) {
  switch (rng.below(6)) {
    case 0: return {1, 0, 0};
    case 1: return {0, 1, 0};
    case 2: return {8, 1, 1};
    case 3: return {1, 8, 1};
    default: return {1, 1, 1};
  }
}

WriteImage WriteImage::copy_of(PagePool& pool, uint64_t offset, std::span<const ByteSpan> pieces) {
  WriteImage image;
  image.offset = offset;
  for (ByteSpan piece : pieces) image.length += piece.size();
  if (image.length == 0) return image;
  uint64_t first = offset / kPageBytes;
  image.pages.resize((offset + image.length - 1) / kPageBytes - first + 1);
  uint64_t at = offset;
  for (ByteSpan piece : pieces) {
    while (!piece.empty()) {
      size_t in_page = at % kPageBytes;
      size_t n = std::min(piece.size(), kPageBytes - in_page);
      PageRef& page = image.pages[at / kPageBytes - first];
      if (n < kPageBytes || !PageRef::is_zero(piece.data())) {  // a whole page of zeros is a null page
        if (page.is_zero()) page = PageRef::uninitialised(pool);
        std::memcpy(page.writable(pool) + in_page, piece.data(), n);
      }
      piece = piece.subspan(n);
      at += n;
    }
  }
  for (size_t i = 0; i < image.pages.size(); ++i) {
    uint64_t page_start = (first + i) * kPageBytes;
    if (page_start >= offset && page_start + kPageBytes <= offset + image.length) image.pages[i].drop_if_zero();
  }
  return image;
}

void WriteImage::cut_to(uint64_t new_length) {
  ENSURE(new_length <= length);
  length = new_length;
  pages.resize(length == 0 ? 0 : (offset + length - 1) / kPageBytes - offset / kPageBytes + 1);
}

uint64_t FlushImage::sectors() const {
  uint64_t n = 0;
  for (const Part& part : parts) n += static_cast<uint64_t>(std::popcount(part.sectors));
  return n;
}

void FlushImage::forget(const WriteImage& newer) {
  if (newer.length == 0) return;
  if (size_changed) size = std::max(size, newer.offset + newer.length);
  for (Part& part : parts) {
    uint64_t first = newer.offset / kPageBytes;
    if (part.page < first || part.page >= first + newer.pages.size()) continue;
    part.sectors = static_cast<uint8_t>(part.sectors & ~sectors_of(part.page, newer.offset, newer.length));
  }
}

Inode::Slot& Inode::slot(uint64_t page) {
  if (page >= slots_.size()) slots_.resize(page + 1);
  return slots_[page];
}

void Inode::mark_dirty(uint64_t page, uint8_t sectors) {
  Slot& s = slots_[page];
  if (s.dirty == 0 && sectors != 0) dirty_pages_.push_back(static_cast<uint32_t>(page));
  s.dirty |= sectors;
}

void Inode::grow_media(uint64_t size) { media_size_ = std::max(media_size_, size); }

std::shared_ptr<Inode> Inode::copy(uint64_t id, Time birth) const {
  auto other = std::make_shared<Inode>(pool_, id, birth);
  other->size_ = other->media_size_ = size_;
  for (const Slot& s : slots_) other->slots_.push_back({s.cache, s.cache, 0});
  return other;
}

size_t Inode::read(uint64_t offset, MutableByteSpan into) const {
  if (offset >= size_) return 0;
  size_t length = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - offset));
  for (size_t done = 0; done < length;) {
    uint64_t page = (offset + done) / kPageBytes;
    size_t in_page = (offset + done) % kPageBytes;
    size_t n = std::min(length - done, kPageBytes - in_page);
    if (page < slots_.size())
      std::memcpy(into.data() + done, slots_[page].cache.data() + in_page, n);
    else
      std::memset(into.data() + done, 0, n);
    done += n;
  }
  return length;
}

void Inode::write(const WriteImage& image, bool through, Rng& writeback) {
  if (image.length == 0) return;
  uint64_t end = image.offset + image.length;
  uint64_t first = image.offset / kPageBytes;
  for (size_t i = 0; i < image.pages.size(); ++i) {
    uint64_t page = first + i;
    Slot& s = slot(page);
    uint8_t sectors = sectors_of(page, image.offset, image.length);
    uint8_t pending = s.dirty & sectors;
    if (pending != 0 && writeback.chance(1, 2)) for_each_sector(pending, [&](unsigned sector) { persist(page, s.cache, sector); });
    uint64_t from = std::max(image.offset, page * kPageBytes) - page * kPageBytes;
    uint64_t to = std::min(end, (page + 1) * kPageBytes) - page * kPageBytes;
    bool whole = from == 0 && to == kPageBytes;
    if (whole)
      s.cache = image.pages[i];
    else
      std::memcpy(s.cache.writable(pool_) + from, image.pages[i].data() + from, to - from);
    overwritten(page, sectors);
    if (!through) {
      mark_dirty(page, sectors);
      continue;
    }
    mended(page, sectors);
    if (whole)
      s.media = s.cache;
    else
      for_each_sector(sectors, [&](unsigned sector) { persist(page, s.cache, sector); });
    s.dirty = static_cast<uint8_t>(s.dirty & ~sectors);
  }
  if (end > size_) {
    size_ = end;
    size_dirty_ = true;
  }
  if (through) {
    grow_media(end);
    if (media_size_ == size_) size_dirty_ = false;
  }
}

void Inode::truncate(uint64_t size) {
  if (size == size_) return;
  // What lies beyond the new end reads as zeros from now on, also if the file grows again.
  for (uint64_t page = size / kPageBytes; page < slots_.size(); ++page) {
    Slot& s = slots_[page];
    uint64_t in_page = page == size / kPageBytes ? size % kPageBytes : 0;
    if (s.cache.is_zero() && s.media.is_zero()) continue;
    if (in_page == 0)
      s.cache = PageRef();
    else
      std::memset(s.cache.writable(pool_) + in_page, 0, kPageBytes - in_page);
    mark_dirty(page, static_cast<uint8_t>(0xffu << (in_page / kSectorBytes)));
  }
  for (Spoiled& s : spoiled_) s.overwritten |= s.sector * kSectorBytes >= size;
  size_ = size;
  size_dirty_ = true;
}

void Inode::persist(uint64_t page, const PageRef& from, unsigned sector) {
  Slot& s = slots_[page];
  mended(page, static_cast<uint8_t>(1u << sector));
  if (s.media.same_as(from)) return;
  size_t at = sector * kSectorBytes;
  if (std::memcmp(s.media.data() + at, from.data() + at, kSectorBytes) == 0) return;
  std::memcpy(s.media.writable(pool_) + at, from.data() + at, kSectorBytes);
}

FlushImage Inode::begin_flush() {
  FlushImage image;
  for (uint32_t page : dirty_pages_) {
    if (page >= slots_.size() || slots_[page].dirty == 0) continue;
    image.parts.push_back({page, std::exchange(slots_[page].dirty, uint8_t{0}), slots_[page].cache});
  }
  dirty_pages_.clear();
  image.size = size_;
  image.size_changed = std::exchange(size_dirty_, false);
  return image;
}

void Inode::end_flush(const FlushImage& image) {
  for (const FlushImage::Part& part : image.parts) {
    Slot& s = slot(part.page);
    mended(part.page, part.sectors);
    if (part.sectors == 0xff)
      s.media = part.bytes;
    else
      for_each_sector(part.sectors, [&](unsigned sector) { persist(part.page, part.bytes, sector); });
  }
  if (image.size_changed) media_size_ = image.size;
}

void Inode::fail_flush(const FlushImage& image, bool direct, Rng& rng) {
  for (const FlushImage::Part& part : image.parts) {
    Slot& s = slot(part.page);
    for_each_sector(part.sectors, [&](unsigned sector) {
      const size_t at = sector * kSectorBytes;
      if (rng.chance(1, 2))
        persist(part.page, part.bytes, sector);
      else if (direct && (s.dirty >> sector & 1) == 0)
        std::memcpy(s.cache.writable(pool_) + at, s.media.data() + at, kSectorBytes);
    });
  }
  if (!image.size_changed) return;
  if (rng.chance(1, 2))
    media_size_ = image.size;
  else if (direct)
    size_dirty_ = true;
}

void Inode::fail_write_through(const WriteImage& image, bool direct, Rng& rng) {
  write(image, false, rng);
  FlushImage lost;
  for (size_t i = 0; i < image.pages.size(); ++i) {
    uint64_t page = image.offset / kPageBytes + i;
    Slot& s = slots_[page];
    uint8_t sectors = sectors_of(page, image.offset, image.length);
    s.dirty = static_cast<uint8_t>(s.dirty & ~sectors);
    lost.parts.push_back({static_cast<uint32_t>(page), sectors, s.cache});
  }
  fail_flush(lost, direct, rng);
}

bool Inode::survives(uint64_t offset, uint64_t length) const {
  if (length == 0) return true;
  if (offset + length > size_ || offset + length > media_size_) return false;
  for (uint64_t page = offset / kPageBytes; page <= (offset + length - 1) / kPageBytes; ++page) {
    if (page >= slots_.size()) return true;
    const Slot& s = slots_[page];
    if (s.dirty & sectors_of(page, offset, length)) return false;
    if (s.cache.same_as(s.media)) continue;
    uint64_t from = std::max(offset, page * kPageBytes) - page * kPageBytes;
    uint64_t to = std::min(offset + length, (page + 1) * kPageBytes) - page * kPageBytes;
    if (std::memcmp(s.cache.data() + from, s.media.data() + from, to - from) != 0) return false;
  }
  return true;
}

bool Inode::covers(const FlushImage& image, uint64_t offset, uint64_t length) {
  if (length == 0) return false;
  if (image.size_changed && image.size < offset + length) return true;
  for (const FlushImage::Part& part : image.parts)
    if (part.page >= offset / kPageBytes && part.page <= (offset + length - 1) / kPageBytes &&
        (part.sectors & sectors_of(part.page, offset, length)))
      return true;
  return false;
}

// --- power cut -----------------------------------------------------------------------------------------------------------------

void Inode::decide(uint64_t page, const PageRef& from, unsigned sector, const CutOdds& odds, Rng& rng, CutCount& count) {
  Slot& s = slot(page);
  uint64_t fate = rng.below(odds.keep + odds.lose + odds.tear);
  if (fate < odds.keep) {
    ++count.kept;
    return persist(page, from, sector);
  }
  if (fate < odds.keep + odds.lose) {
    ++count.lost;
    return;
  }
  ++count.torn;
  mended(page, static_cast<uint8_t>(1u << sector));
  uint8_t* media = s.media.writable(pool_) + sector * kSectorBytes;
  const uint8_t* fresh = from.data() + sector * kSectorBytes;
  size_t split = 1 + rng.below(kSectorBytes - 1);
  switch (rng.below(4)) {
    case 0:  // the end arrived, the beginning did not
      std::memcpy(media + split, fresh + split, kSectorBytes - split);
      break;
    case 1:  // neither the old bytes nor the new ones
      for (size_t i = 0; i < kSectorBytes; i += 8) store_le<uint64_t>(media + i, rng.next());
      break;
    default: std::memcpy(media, fresh, split);
  }
}

void Inode::cut_flush(const FlushImage& image, const CutOdds& odds, Rng& rng, CutCount& count) {
  for (const FlushImage::Part& part : image.parts)
    for_each_sector(part.sectors, [&](unsigned sector) { decide(part.page, part.bytes, sector, odds, rng, count); });
  if (image.size_changed && rng.chance(1, 2)) media_size_ = image.size;
}

void Inode::cut_write(const WriteImage& image, const CutOdds& odds, Rng& rng, CutCount& count) {
  uint64_t end = image.offset + image.length;
  for (size_t i = 0; i < image.pages.size(); ++i) {
    uint64_t page = image.offset / kPageBytes + i;
    Slot& s = slot(page);
    // A sector goes to the device whole: around the write's own bytes lie those of the cache.
    PageRef merged = s.cache;
    uint64_t from = std::max(image.offset, page * kPageBytes) - page * kPageBytes;
    uint64_t to = std::min(end, (page + 1) * kPageBytes) - page * kPageBytes;
    std::memcpy(merged.writable(pool_) + from, image.pages[i].data() + from, to - from);
    for_each_sector(sectors_of(page, image.offset, image.length), [&](unsigned sector) { decide(page, merged, sector, odds, rng, count); });
  }
  if (end > media_size_ && rng.chance(1, 2)) media_size_ = end;
}

void Inode::cut(const CutOdds& odds, Rng& rng, CutCount& count) {
  FlushImage rest = begin_flush();
  for (const FlushImage::Part& part : rest.parts)
    for_each_sector(part.sectors, [&](unsigned sector) { decide(part.page, part.bytes, sector, odds, rng, count); });
  if (rest.size_changed) {
    // Size and data persist apart from each other; a file that grew in steps may have any size in between.
    uint64_t fate = rng.below(3);
    uint64_t low = std::min(media_size_, rest.size);
    uint64_t high = std::max(media_size_, rest.size);
    if (fate == 1) media_size_ = rest.size;
    if (fate == 2) media_size_ = low + rng.below(high - low + 1);
  }
  size_ = media_size_;
  std::erase_if(spoiled_, [&](const Spoiled& s) { return s.sector * kSectorBytes >= size_; });
  for (Spoiled& s : spoiled_) s.overwritten = false;
  for (uint64_t page = 0; page < slots_.size(); ++page) {
    Slot& s = slots_[page];
    if (page * kPageBytes >= size_) {
      s = Slot{};
      continue;
    }
    if ((page + 1) * kPageBytes > size_ && !s.media.is_zero()) {
      size_t in_page = size_ - page * kPageBytes;
      std::memset(s.media.writable(pool_) + in_page, 0, kPageBytes - in_page);
    }
    s.cache = s.media;
  }
}

void Inode::flip_bit(uint64_t offset, int bit) {
  ENSURE(offset < size_ && bit >= 0 && bit < 8);
  Slot& s = slot(offset / kPageBytes);
  bool shared = s.cache.same_as(s.media);
  uint8_t mask = static_cast<uint8_t>(1u << bit);
  s.media.writable(pool_)[offset % kPageBytes] ^= mask;
  if (shared)
    s.cache = s.media;
  else
    s.cache.writable(pool_)[offset % kPageBytes] ^= mask;
}

void Inode::spoil_sector(uint64_t offset) {
  ENSURE(offset < size_);
  mended(offset / kPageBytes, static_cast<uint8_t>(1u << (offset % kPageBytes / kSectorBytes)));
  spoiled_.push_back({offset / kSectorBytes, false});
}

bool Inode::readable(uint64_t offset, uint64_t length) const {
  const uint64_t end = std::min(offset + length, size_);
  return std::ranges::none_of(spoiled_, [&](const Spoiled& s) {
    return !s.overwritten && s.sector * kSectorBytes < end && offset < (s.sector + 1) * kSectorBytes;
  });
}

void Inode::overwritten(uint64_t page, uint8_t sectors) {
  for (Spoiled& s : spoiled_)
    if (s.sector / kSectorsPerPage == page && (sectors >> s.sector % kSectorsPerPage & 1) != 0) s.overwritten = true;
}

void Inode::mended(uint64_t page, uint8_t sectors) {
  if (spoiled_.empty()) return;
  std::erase_if(spoiled_,
                [&](const Spoiled& s) { return s.sector / kSectorsPerPage == page && (sectors >> s.sector % kSectorsPerPage & 1) != 0; });
}

}  // namespace sg::sim
