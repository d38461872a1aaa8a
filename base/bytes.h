// Bytes: borrowed views, owned shared slices, and bounded readers and writers.
//
// ByteSpan borrows: valid until the call returns. SharedBytes owns: a slice of a reference-counted block, so that a batch can
// travel from socket to journal to followers without a copy. The count is not atomic: one thread owns a node.
// ByteReader never reads past its end: a read beyond it returns zero and latches `ok() == false`; check once at the end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/ensure.h"

namespace sg {

using ByteSpan = std::span<const uint8_t>;
using MutableByteSpan = std::span<uint8_t>;
using ByteVec = std::vector<uint8_t>;

inline ByteSpan as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline bool equal(ByteSpan a, ByteSpan b) { return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0); }

template <class T>
T load_be(const uint8_t* p) {
  using U = std::make_unsigned_t<T>;
  U u;
  std::memcpy(&u, p, sizeof u);
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) u = static_cast<U>(std::byteswap(u));
  return static_cast<T>(u);
}
template <class T>
void store_be(uint8_t* p, T value) {
  using U = std::make_unsigned_t<T>;
  U u = static_cast<U>(value);
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) u = static_cast<U>(std::byteswap(u));
  std::memcpy(p, &u, sizeof u);
}
template <class T>
T load_le(const uint8_t* p) {
  static_assert(std::endian::native == std::endian::little);
  T t;
  std::memcpy(&t, p, sizeof t);
  return t;
}
template <class T>
void store_le(uint8_t* p, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(p, &value, sizeof value);
}

// A slice of a reference-counted block. Copying it copies no bytes. Not thread-safe.
class SharedBytes {
 public:
  SharedBytes() = default;
  SharedBytes(const SharedBytes& other) : block_(other.block_), data_(other.data_), size_(other.size_) { retain(); }
  SharedBytes(SharedBytes&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  SharedBytes& operator=(SharedBytes other) noexcept {
    std::swap(block_, other.block_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~SharedBytes() { release(); }

  // A new block of `size` bytes, uninitialised, aligned to `alignment` (a power of two).
  static SharedBytes allocate(size_t size, size_t alignment = 16);
  static SharedBytes copy_of(ByteSpan bytes, size_t alignment = 16);

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteSpan span() const { return {data_, size_}; }
  operator ByteSpan() const { return span(); }

  // Write access. Whoever writes is the one who made or received the block and has not yet handed it on.
  MutableByteSpan writable() { return {data_, size_}; }

  // [from, from + length) of this slice, sharing the block.
  SharedBytes slice(size_t from, size_t length) const {
    ENSURE(from <= size_ && length <= size_ - from, "slice [{}, +{}) of {}", from, length, size_);
    SharedBytes s(*this);
    s.data_ += from;
    s.size_ = length;
    return s;
  }
  SharedBytes slice(size_t from) const { return slice(from, size_ - from); }

  // Bytes that the whole underlying block occupies (a small slice keeps all of it alive), and how many slices share it.
  size_t block_size() const;
  size_t use_count() const;

 private:
  struct Block;
  void retain();
  void release();

  Block* block_ = nullptr;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Reads integers and byte strings from a borrowed span.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }
  // Latches failure: for a caller that finds a value out of its range.
  void fail() {
    ok_ = false;
    p_ = end_;
  }

  template <class T>
  T be() {
    return need(sizeof(T)) ? load_be<T>(std::exchange(p_, p_ + sizeof(T))) : T{};
  }
  template <class T>
  T le() {
    return need(sizeof(T)) ? load_le<T>(std::exchange(p_, p_ + sizeof(T))) : T{};
  }
  // Unsigned LEB128 of at most 5 (32-bit) or 10 (64-bit) bytes; overlong or overflowing input fails.
  uint32_t uvarint32();
  uint64_t uvarint64();
  // Zigzag.
  int32_t varint32();
  int64_t varint64();

  // Borrowed; empty and failed if fewer than n remain.
  ByteSpan bytes(size_t n) { return need(n) ? ByteSpan(std::exchange(p_, p_ + n), n) : ByteSpan(); }
  ByteSpan rest() { return bytes(remaining()); }

 private:
  bool need(size_t n) {
    if (n <= remaining()) [[likely]]
      return true;
    fail();
    return false;
  }
  const uint8_t* p_;
  const uint8_t* end_;
  bool ok_ = true;
};

// Appends to a vector that the caller owns.
class ByteWriter {
 public:
  explicit ByteWriter(ByteVec& out) : out_(&out) {}

  size_t size() const { return out_->size(); }
  ByteVec& out() { return *out_; }

  template <class T>
  void be(T value) {
    size_t at = grow(sizeof(T));
    store_be<T>(out_->data() + at, value);
  }
  template <class T>
  void le(T value) {
    size_t at = grow(sizeof(T));
    store_le<T>(out_->data() + at, value);
  }
  void uvarint(uint64_t value);
  void varint(int64_t value) { uvarint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63)); }
  void bytes(ByteSpan b) { out_->insert(out_->end(), b.begin(), b.end()); }
  void zeros(size_t n) { out_->resize(out_->size() + n); }

 private:
  size_t grow(size_t n) {
    size_t at = out_->size();
    out_->resize(at + n);
    return at;
  }
  ByteVec* out_;
};

// Lower-case hexadecimal, for messages and tests.
std::string to_hex(ByteSpan bytes);

}  // namespace sg
