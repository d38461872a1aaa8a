// Packs and unpacks the small structs that nodes send each other and that the catalogue logs, through cereal: a struct names its
// fields once, in  template <class A> void serialize(A& a) { a(x, y, z); }  and both directions follow from it.
//
// Invariant: no input, however hostile, makes unpack() read outside its span, or allocate for elements that the span cannot hold.
// A length is compared with the bytes that remain before anything is allocated for it; the first wrong byte latches failure.
//
// The encoding: fixed-width little-endian integers; bool, optional flag and variant index in one byte; enums as their underlying
// type; a uint32 count before strings, bytes, vectors, sets and maps. No names, no versions, no padding. One value has one encoding.
#pragma once

#include <algorithm>
#include <array>
#include <cereal/cereal.hpp>
#include <concepts>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sg {

// Integers that travel at full width. Floats do not: nothing that nodes agree on is one.
template <class T>
concept PackedInteger = std::integral<T> && !std::same_as<T, bool>;

class PackArchive : public cereal::OutputArchive<PackArchive, cereal::AllowEmptyClassElision> {
 public:
  explicit PackArchive(ByteVec& out) : OutputArchive(this), writer_(out) {}

  ByteWriter& writer() { return writer_; }
  void count(size_t n) {
    ENSURE(n <= UINT32_MAX, "{} elements", n);
    writer_.le(static_cast<uint32_t>(n));
  }
  void counted(ByteSpan bytes) {
    count(bytes.size());
    writer_.bytes(bytes);
  }

 private:
  ByteWriter writer_;
};

class UnpackArchive : public cereal::InputArchive<UnpackArchive, cereal::AllowEmptyClassElision> {
 public:
  // `frame` may be null; otherwise `bytes` are its bytes, and SharedBytes come out as slices of it.
  UnpackArchive(ByteSpan bytes, const SharedBytes* frame) : InputArchive(this), reader_(bytes), frame_(frame) {}

  ByteReader& reader() { return reader_; }
  bool ok() const { return reader_.ok(); }

  // A number of elements of at least `min_bytes` each; 0 and failed if the rest of the span cannot hold them.
  size_t count(size_t min_bytes);
  ByteSpan counted() { return reader_.bytes(count(1)); }
  SharedBytes shared();

  // Ok if everything was well-formed and consumed.  Errc::corrupt.
  Result<> finish() const;

 private:
  ByteReader reader_;
  const SharedBytes* frame_;
};

}  // namespace sg

CEREAL_SETUP_ARCHIVE_TRAITS(sg::UnpackArchive, sg::PackArchive)

namespace sg {

// Appends the encoding of `value` to `out`.
template <class T>
void pack(ByteVec& out, const T& value) {
  PackArchive archive(out);
  archive(value);
}
template <class T>
ByteVec pack(const T& value) {
  ByteVec out;
  out.reserve(128);  // most messages are smaller
  pack(out, value);
  return out;
}

namespace archive_detail {
template <class T>
Result<T> unpack(ByteSpan bytes, const SharedBytes* frame) {
  UnpackArchive archive(bytes, frame);
  Result<T> value(std::in_place);
  archive(*value);
  TRY_DO(archive.finish());
  return value;
}
}  // namespace archive_detail

// The value whose encoding `bytes` is, all of it; owns its data. An enum may hold a number that has no name: whoever switches on it
// checks that.  Errc::corrupt.
template <class T>
Result<T> unpack(ByteSpan bytes) {
  return archive_detail::unpack<T>(bytes, nullptr);
}
// The same; every SharedBytes in it is a slice of `frame`, and keeps it alive.
template <class T>
Result<T> unpack(const SharedBytes& frame) {
  return archive_detail::unpack<T>(frame.span(), &frame);
}

// --- What cereal finds for each type ---------------------------------------------------------------------------------------------

// The least number of bytes that a T is packed into, as far as its type tells; 1 for a struct.
template <class T>
struct MinPackedBytes : std::integral_constant<size_t, 1> {};
template <PackedInteger T>
struct MinPackedBytes<T> : std::integral_constant<size_t, sizeof(T)> {};
template <class Tag, class Rep>
struct MinPackedBytes<Id<Tag, Rep>> : MinPackedBytes<Rep> {};
template <class A, class B>
struct MinPackedBytes<std::pair<A, B>> : std::integral_constant<size_t, MinPackedBytes<A>::value + MinPackedBytes<B>::value> {};

template <PackedInteger T>
void save(PackArchive& a, const T& value) {
  a.writer().le(value);
}
template <PackedInteger T>
void load(UnpackArchive& a, T& value) {
  value = a.reader().template le<T>();
}

template <std::same_as<bool> T>
void save(PackArchive& a, const T& value) {
  a.writer().le(static_cast<uint8_t>(value));
}
template <std::same_as<bool> T>
void load(UnpackArchive& a, T& value) {
  uint8_t byte = a.reader().le<uint8_t>();
  if (byte > 1) a.reader().fail();
  value = byte == 1;
}

template <class Tag, class Rep>
void save(PackArchive& a, const Id<Tag, Rep>& id) {
  a.writer().le(id.v);
}
template <class Tag, class Rep>
void load(UnpackArchive& a, Id<Tag, Rep>& id) {
  id.v = a.reader().template le<Rep>();
}

inline void save(PackArchive& a, const Uuid& id) { a(id.high, id.low); }
inline void load(UnpackArchive& a, Uuid& id) { a(id.high, id.low); }

inline void save(PackArchive& a, const Run& run) { a(run.directory, run.counter, run.nonce); }
inline void load(UnpackArchive& a, Run& run) { a(run.directory, run.counter, run.nonce); }

inline void save(PackArchive& a, const std::string& text) { a.counted(as_bytes(text)); }
inline void load(UnpackArchive& a, std::string& text) { text = as_text(a.counted()); }

inline void save(PackArchive& a, const SharedBytes& bytes) { a.counted(bytes); }
inline void load(UnpackArchive& a, SharedBytes& bytes) { bytes = a.shared(); }

template <class T>
void save(PackArchive& a, const std::vector<T>& elements) {
  a.count(elements.size());
  if constexpr (PackedInteger<T>) {
    a.writer().bytes({reinterpret_cast<const uint8_t*>(elements.data()), elements.size() * sizeof(T)});
  } else {
    for (const T& element : elements) a(element);
  }
}
template <class T>
void load(UnpackArchive& a, std::vector<T>& elements) {
  static_assert(!std::same_as<T, bool>, "pack a vector<uint8_t>");
  size_t n = a.count(MinPackedBytes<T>::value);
  elements.clear();
  if constexpr (PackedInteger<T>) {
    elements.resize(n);
    ByteSpan bytes = a.reader().bytes(n * sizeof(T));
    if (!bytes.empty()) std::memcpy(elements.data(), bytes.data(), bytes.size());
  } else {
    // An element may be far larger in memory than on the wire: never reserve more memory than there are bytes left to justify it.
    elements.reserve(std::min(n, a.reader().remaining() / sizeof(T) + 1));
    for (size_t i = 0; i < n && a.ok(); ++i) a(elements.emplace_back());
  }
}

template <class T, size_t N>
void save(PackArchive& a, const std::array<T, N>& elements) {
  for (const T& element : elements) a(element);
}
template <class T, size_t N>
void load(UnpackArchive& a, std::array<T, N>& elements) {
  for (T& element : elements) a(element);
}

template <class A, class B>
void save(PackArchive& a, const std::pair<A, B>& pair) {
  a(pair.first, pair.second);
}
template <class A, class B>
void load(UnpackArchive& a, std::pair<A, B>& pair) {
  a(pair.first, pair.second);
}

template <class T>
void save(PackArchive& a, const std::optional<T>& value) {
  a(value.has_value());
  if (value) a(*value);
}
template <class T>
void load(UnpackArchive& a, std::optional<T>& value) {
  bool present = false;
  a(present);
  value.reset();
  if (present) a(value.emplace());
}

// Sets and maps travel in ascending order; any other order, or a key that comes twice, is refused.
template <class K>
void save(PackArchive& a, const std::set<K>& set) {
  a.count(set.size());
  for (const K& key : set) a(key);
}
template <class K>
void load(UnpackArchive& a, std::set<K>& set) {
  size_t n = a.count(MinPackedBytes<K>::value);
  set.clear();
  for (size_t i = 0; i < n && a.ok(); ++i) {
    K key{};
    a(key);
    if (!set.empty() && !(*set.rbegin() < key)) return a.reader().fail();
    set.emplace_hint(set.end(), std::move(key));
  }
}
template <class K, class V>
void save(PackArchive& a, const std::map<K, V>& map) {
  a.count(map.size());
  for (const auto& [key, value] : map) a(key, value);
}
template <class K, class V>
void load(UnpackArchive& a, std::map<K, V>& map) {
  size_t n = a.count(MinPackedBytes<std::pair<K, V>>::value);
  map.clear();
  for (size_t i = 0; i < n && a.ok(); ++i) {
    K key{};
    a(key);
    if (!map.empty() && !(map.rbegin()->first < key)) return a.reader().fail();
    a(map.emplace_hint(map.end(), std::move(key), V{})->second);
  }
}

template <class... T>
void save(PackArchive& a, const std::variant<T...>& value) {
  static_assert(sizeof...(T) <= 255);
  ENSURE(!value.valueless_by_exception());
  a(static_cast<uint8_t>(value.index()));
  std::visit([&a](const auto& alternative) { a(alternative); }, value);
}
template <class... T>
void load(UnpackArchive& a, std::variant<T...>& value) {
  uint8_t index = 0;
  a(index);
  if (index >= sizeof...(T)) return a.reader().fail();
  [&]<size_t... I>(std::index_sequence<I...>) { (void)((I == index && (a(value.template emplace<I>()), true)) || ...); }
  (std::index_sequence_for<T...>{});
}

}  // namespace sg
