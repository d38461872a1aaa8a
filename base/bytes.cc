#include "base/bytes.h"

#include <new>

namespace sg {

// The bytes follow the header in one allocation, unless they want a stricter alignment than that gives: then they have one of their
// own, so that an aligned payload starts at the beginning of its pages.
struct alignas(__STDCPP_DEFAULT_NEW_ALIGNMENT__) SharedBytes::Block {
  size_t refs;
  size_t size;
  size_t alignment;  // 0: the bytes follow
  uint8_t* bytes;
};

SharedBytes SharedBytes::allocate(size_t size, size_t alignment) {
  ENSURE(std::has_single_bit(alignment));
  SharedBytes s;
  uint8_t* bytes = nullptr;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
    void* both = ::operator new(sizeof(Block) + size);
    bytes = static_cast<uint8_t*>(both) + sizeof(Block);
    s.block_ = new (both) Block{1, size, 0, bytes};
  } else {
    bytes = static_cast<uint8_t*>(::operator new(size == 0 ? 1 : size, std::align_val_t(alignment)));
    s.block_ = new Block{1, size, alignment, bytes};
  }
  s.data_ = bytes;
  s.size_ = size;
  return s;
}

SharedBytes SharedBytes::copy_of(ByteSpan bytes, size_t alignment) {
  SharedBytes s = allocate(bytes.size(), alignment);
  if (!bytes.empty()) std::memcpy(s.data_, bytes.data(), bytes.size());
  return s;
}

void SharedBytes::retain() {
  if (block_) ++block_->refs;
}

void SharedBytes::release() {
  if (!block_ || --block_->refs > 0) return;
  if (block_->alignment == 0) {
    ::operator delete(block_);
    return;
  }
  ::operator delete(block_->bytes, std::align_val_t(block_->alignment));
  delete block_;
}

size_t SharedBytes::block_size() const { return block_ ? block_->size : 0; }
size_t SharedBytes::use_count() const { return block_ ? block_->refs : 0; }

uint32_t ByteReader::uvarint32() {
  uint32_t value = 0;
  for (int shift = 0; shift <= 28; shift += 7) {
    uint8_t byte = be<uint8_t>();
    if (shift == 28 && byte > 0x0f) break;  // more than 32 bits
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return ok_ ? value : 0;
  }
  fail();
  return 0;
}

uint64_t ByteReader::uvarint64() {
  uint64_t value = 0;
  for (int shift = 0; shift <= 63; shift += 7) {
    uint8_t byte = be<uint8_t>();
    if (shift == 63 && byte > 0x01) break;  // more than 64 bits
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return ok_ ? value : 0;
  }
  fail();
  return 0;
}

int32_t ByteReader::varint32() {
  uint32_t u = uvarint32();
  return static_cast<int32_t>((u >> 1) ^ (~(u & 1) + 1));
}

int64_t ByteReader::varint64() {
  uint64_t u = uvarint64();
  return static_cast<int64_t>((u >> 1) ^ (~(u & 1) + 1));
}

void ByteWriter::uvarint(uint64_t value) {
  while (value >= 0x80) {
    out_->push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out_->push_back(static_cast<uint8_t>(value));
}

std::string to_hex(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

}  // namespace sg
