// Pages of simulated files: 4 KiB blocks, reference-counted, pooled across runs.
//
// A PageRef that is null stands for 4 KiB of zeros, so that zero-filling a file costs no memory. A page that more than one reference
// shares is never written: writable() copies it first. That is how page cache, media and writes in flight share their bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace sg::sim {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kSectorBytes = 512;
inline constexpr size_t kSectorsPerPage = kPageBytes / kSectorBytes;

class PagePool;

struct Page {
  PagePool* pool;
  uint32_t references;
  alignas(64) uint8_t bytes[kPageBytes];
};

// Outlives every page taken from it.
class PagePool {
 public:
  PagePool() = default;
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;
  ~PagePool() { ENSURE(in_use_ == 0, "{} pages of simulated files still in use", in_use_); }

  // Uninitialised.
  Page* take() {
    ++in_use_;
    if (free_.empty()) {
      owned_.push_back(std::make_unique_for_overwrite<Page>());
      owned_.back()->pool = this;
      free_.push_back(owned_.back().get());
    }
    Page* page = free_.back();
    free_.pop_back();
    page->references = 1;
    return page;
  }
  void give_back(Page* page) {
    --in_use_;
    free_.push_back(page);
  }
  size_t in_use() const { return in_use_; }

 private:
  std::vector<std::unique_ptr<Page>> owned_;
  std::vector<Page*> free_;
  size_t in_use_ = 0;
};

class PageRef {
 public:
  PageRef() = default;
  PageRef(const PageRef& other) : page_(other.page_) {
    if (page_) ++page_->references;
  }
  PageRef(PageRef&& other) noexcept : page_(std::exchange(other.page_, nullptr)) {}
  PageRef& operator=(PageRef other) noexcept {
    std::swap(page_, other.page_);
    return *this;
  }
  ~PageRef() {
    if (page_ && --page_->references == 0) page_->pool->give_back(page_);
  }
  static PageRef uninitialised(PagePool& pool) { return PageRef(pool.take()); }

  bool is_zero() const { return page_ == nullptr; }
  bool same_as(const PageRef& other) const { return page_ == other.page_; }
  const uint8_t* data() const { return page_ ? page_->bytes : kZeros; }
  // The page for writing, copied first if it is shared.
  uint8_t* writable(PagePool& pool) {
    if (!page_ || page_->references > 1) {
      PageRef fresh(pool.take());
      std::memcpy(fresh.page_->bytes, data(), kPageBytes);
      *this = std::move(fresh);
    }
    return page_->bytes;
  }
  // Are these 4 KiB all zeros?
  static bool is_zero(const uint8_t* bytes) { return bytes[0] == 0 && std::memcmp(bytes, kZeros, kPageBytes) == 0; }
  // Only for a page that nobody shares yet: becomes null if it holds zeros only.
  void drop_if_zero() {
    if (page_ && is_zero(page_->bytes)) *this = PageRef();
  }

 private:
  explicit PageRef(Page* page) : page_(page) {}
  static const uint8_t kZeros[kPageBytes];
  Page* page_ = nullptr;
};

inline constexpr uint8_t PageRef::kZeros[kPageBytes] = {};

}  // namespace sg::sim
