// One simulated file: what programs see now (the cache), what the medium holds, and what lies between the two.
//
// Invariant: a sector whose dirty bit is clear and that no flush under way covers reads the same from both sides, unless a flush of it
// has failed. A flush covers exactly the sectors that were dirty when it began, with the bytes that they held then. Pages are shared
// between the sides while they are equal. This is a pure model: no time, no task, no events. Spec: correctness.md part 1, 1.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/time.h"
#include "sim/page.h"

namespace sg::sim {

// How the power cut decides sector by sector: one of three fates, in these proportions.
struct CutOdds {
  uint32_t keep = 1;
  uint32_t lose = 1;
  uint32_t tear = 1;
  static CutOdds draw(Rng& rng);  // varies from cut to cut: sometimes all is kept, sometimes all is lost
};
struct CutCount {
  uint64_t kept = 0, lost = 0, torn = 0;
};

// Bytes on their way to a file: the write's data, laid out on the file's pages.
struct WriteImage {
  uint64_t offset = 0;
  uint64_t length = 0;
  std::vector<PageRef> pages;  // of page offset / 4096 onwards; bytes outside [offset, offset + length) mean nothing
  static WriteImage copy_of(PagePool& pool, uint64_t offset, std::span<const ByteSpan> pieces);
  void cut_to(uint64_t new_length);
};

// What a sync carries: the dirty sectors at its beginning, and the size.
struct FlushImage {
  struct Part {
    uint32_t page;
    uint8_t sectors;  // bit i = sector i of the page
    PageRef bytes;
  };
  std::vector<Part> parts;
  uint64_t size = 0;
  bool size_changed = false;
  uint64_t sectors() const;
  // A synced write has overtaken this flush: what it wrote must not be replaced by older bytes.
  void forget(const WriteImage& newer);
};

class Inode {
 public:
  Inode(PagePool& pool, uint64_t id, Time birth = {}) : pool_(pool), id_(id), birth_(birth) {}

  uint64_t id() const { return id_; }
  Time birth() const { return birth_; }
  // Numbers of writes grow.
  uint64_t last_write() const { return last_write_; }
  void note_write(uint64_t number) { last_write_ = number; }
  // Another file with the same bytes, all of them durable.
  std::shared_ptr<Inode> copy(uint64_t id, Time birth) const;
  uint64_t size() const { return size_; }
  uint64_t durable_size() const { return media_size_; }

  // Fewer bytes only at the end of the file.
  size_t read(uint64_t offset, MutableByteSpan into) const;
  // The write becomes visible. `through`: its sectors and the size are on the medium too.
  // Before a dirty sector is overwritten, the cache may have been written back: drawn from `writeback`.
  void write(const WriteImage& image, bool through, Rng& writeback);
  void truncate(uint64_t size);

  // Takes what is dirty. The flush is "under way" until one of end_flush / fail_flush; flushes end in the order in which they began.
  FlushImage begin_flush();
  void end_flush(const FlushImage& image);
  // The device failed: each sector reached the medium or not; none is dirty any more, so the next flush "succeeds". The cache goes on to
  // show what did not arrive, unless access is direct: then there is no cache between, and what is read is what the medium has.
  void fail_flush(const FlushImage& image, bool direct, Rng& rng);
  // A synced write failed: likewise.
  void fail_write_through(const WriteImage& image, bool direct, Rng& rng);

  // Would the medium certainly give back exactly the current bytes of this range after a power cut? Flushes and writes under way are
  // the caller's to ask (covers()).
  bool survives(uint64_t offset, uint64_t length) const;
  static bool covers(const FlushImage& image, uint64_t offset, uint64_t length);

  // Power cut, in this order: cut_flush / cut_write for each operation under way, oldest first, then cut(): the unsynced rest.
  // Afterwards cache = medium.
  void cut_flush(const FlushImage& image, const CutOdds& odds, Rng& rng, CutCount& count);
  void cut_write(const WriteImage& image, const CutOdds& odds, Rng& rng, CutCount& count);
  void cut(const CutOdds& odds, Rng& rng, CutCount& count);

  bool has_dirty() const { return !dirty_pages_.empty() || size_dirty_; }
  // Damage of what is stored, in cache and on the medium: flips one bit.
  void flip_bit(uint64_t offset, int bit);
  // The sector of that byte cannot be read until it is written again: in the cache at once, for good when that has reached the medium.
  void spoil_sector(uint64_t offset);
  bool readable(uint64_t offset, uint64_t length) const;

 private:
  struct Slot {
    PageRef cache;
    PageRef media;
    uint8_t dirty = 0;  // one bit per sector
  };
  Slot& slot(uint64_t page);
  void mark_dirty(uint64_t page, uint8_t sectors);
  void grow_media(uint64_t size);
  // Copies one sector of `from` to the medium.
  void persist(uint64_t page, const PageRef& from, unsigned sector);
  void decide(uint64_t page, const PageRef& from, unsigned sector, const CutOdds& odds, Rng& rng, CutCount& count);
  void overwritten(uint64_t page, uint8_t sectors);
  void mended(uint64_t page, uint8_t sectors);

  PagePool& pool_;
  uint64_t id_;
  Time birth_;
  uint64_t last_write_ = 0;
  uint64_t size_ = 0;
  uint64_t media_size_ = 0;
  bool size_dirty_ = false;
  std::vector<Slot> slots_;
  struct Spoiled {
    uint64_t sector;   // of the file
    bool overwritten;  // in the cache
  };
  std::vector<Spoiled> spoiled_;
  std::vector<uint32_t> dirty_pages_;  // pages with a dirty bit, in the order in which they became dirty; may hold cleaned ones
};

}  // namespace sg::sim
