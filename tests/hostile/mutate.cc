#include "tests/hostile/mutate.h"

#include <algorithm>

namespace sg::hostile {
namespace {

using Donors = std::span<const ByteVec>;

constexpr size_t kMaxBytes = 64 << 10;

struct Range {
  size_t from = 0;
  size_t size = 0;
};

ptrdiff_t at(size_t position) { return static_cast<ptrdiff_t>(position); }

// A stretch of `bytes`, mostly short; may be empty.
Range draw_range(Rng& rng, ByteSpan bytes) {
  size_t from = rng.below(bytes.size() + 1);
  size_t most = bytes.size() - from;
  if (most == 0) return {from, 0};
  return {from, static_cast<size_t>(rng.log_between(1, static_cast<int64_t>(most)))};
}

void overwrite(ByteVec& bytes, size_t from, ByteSpan with) {
  size_t size = std::min(with.size(), bytes.size() - from);
  std::copy_n(with.begin(), size, bytes.begin() + at(from));
}
void insert(ByteVec& bytes, size_t from, ByteSpan what) { bytes.insert(bytes.begin() + at(from), what.begin(), what.end()); }

// A number at which some comparison may turn over, `remaining` bytes before the end of an input of `size`.
int64_t draw_edge(Rng& rng, size_t remaining, size_t size) {
  constexpr int64_t kEdges[] = {0,          1,       2,       0x7f,      0x80,       0xff,          0x7fff,
                                0x8000,     0xffff,  -1,      -2,        0x0fffffff, INT32_MAX,     INT32_MIN,
                                UINT32_MAX, 1 << 16, 1 << 24, INT64_MAX, INT64_MIN,  INT32_MAX - 1, INT64_MAX - 1};
  uint64_t kind = rng.below(4);
  int64_t nudge = rng.between(-2, 2);
  if (kind == 0) return static_cast<int64_t>(remaining) + nudge;
  if (kind == 1) return static_cast<int64_t>(size) + nudge;
  return kEdges[rng.below(std::size(kEdges))];
}

// That number as some field may hold it: one to eight bytes, either end first, or a varint.
ByteVec draw_field(Rng& rng, int64_t value) {
  ByteVec field;
  ByteWriter w(field);
  switch (rng.below(8)) {
    case 0: w.le(static_cast<uint8_t>(value)); break;
    case 1: w.be(static_cast<int16_t>(value)); break;
    case 2: w.be(static_cast<int32_t>(value)); break;
    case 3: w.be(value); break;
    case 4: w.le(static_cast<uint32_t>(value)); break;
    case 5: w.le(value); break;
    case 6: w.uvarint(static_cast<uint32_t>(value)); break;
    default: w.varint(value); break;
  }
  return field;
}

// --- The mutations ----------------------------------------------------------------------------------------------------------------

void flip_bit(Rng& rng, ByteVec& bytes) {
  if (bytes.empty()) return;
  size_t bit = rng.below(bytes.size() * 8);
  bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
}

void set_byte(Rng& rng, ByteVec& bytes) {
  if (bytes.empty()) return;
  size_t where = rng.below(bytes.size());
  bytes[where] = static_cast<uint8_t>(rng.next());
}

void lie(Rng& rng, ByteVec& bytes, bool longer) {
  size_t where = rng.below(bytes.size() + 1);
  int64_t value = draw_edge(rng, bytes.size() - where, bytes.size());
  ByteVec field = draw_field(rng, value);
  longer ? insert(bytes, where, field) : overwrite(bytes, where, field);
}

void extreme(Rng& rng, ByteVec& bytes) {
  size_t where = rng.below(bytes.size() + 1);
  overwrite(bytes, where, extreme_fields()[rng.below(extreme_fields().size())]);
}

// A small number becomes one more or one less: a length or a count that is nearly right.
void nudge(Rng& rng, ByteVec& bytes) {
  if (bytes.empty()) return;
  size_t where = rng.below(bytes.size());
  bytes[where] = static_cast<uint8_t>(bytes[where] + (rng.chance(1, 2) ? 1 : -1));
}

// A varint in more bytes than it needs, or than fit.
void stretch_varint(Rng& rng, ByteVec& bytes) {
  size_t where = rng.below(bytes.size() + 1);
  ByteVec high(1 + rng.below(10), static_cast<uint8_t>(0x80 | rng.next()));
  insert(bytes, where, high);
}

void truncate(Rng& rng, ByteVec& bytes) { bytes.resize(rng.below(bytes.size() + 1)); }

void extend(Rng& rng, ByteVec& bytes) {
  size_t more = 1 + rng.below(16);
  auto fill = static_cast<uint8_t>(rng.chance(1, 2) ? 0 : rng.next());
  bytes.insert(bytes.end(), more, fill);
}

void remove(Rng& rng, ByteVec& bytes) {
  Range gone = draw_range(rng, bytes);
  bytes.erase(bytes.begin() + at(gone.from), bytes.begin() + at(gone.from + gone.size));
}

void repeat(Rng& rng, ByteVec& bytes) {
  Range range = draw_range(rng, bytes);
  ByteVec again(bytes.begin() + at(range.from), bytes.begin() + at(range.from + range.size));
  for (int64_t left = rng.log_between(1, 100); left > 0 && bytes.size() + again.size() <= kMaxBytes; --left)
    insert(bytes, range.from, again);
}

void splice(Rng& rng, ByteVec& bytes, Donors donors) {
  const ByteVec& donor = donors[rng.below(donors.size())];
  Range range = draw_range(rng, donor);
  ByteSpan piece = ByteSpan(donor).subspan(range.from, range.size);
  size_t where = rng.below(bytes.size() + 1);
  rng.chance(1, 2) ? insert(bytes, where, piece) : overwrite(bytes, where, piece);
}

// The beginning of this input and the end of another.
void graft(Rng& rng, ByteVec& bytes, Donors donors) {
  const ByteVec& donor = donors[rng.below(donors.size())];
  bytes.resize(rng.below(bytes.size() + 1));
  insert(bytes, bytes.size(), ByteSpan(donor).subspan(rng.below(donor.size() + 1)));
}

// A count that is honest, of elements as small as they get: what is short on the wire may be long in memory.
void swell(Rng& rng, ByteVec& bytes) {
  bytes.resize(rng.below(bytes.size() + 1));
  int64_t count = rng.log_between(1, 8192);
  ByteWriter w(bytes);
  switch (rng.below(4)) {
    case 0: w.uvarint(static_cast<uint64_t>(count) + 1); break;
    case 1: w.be(static_cast<int32_t>(count)); break;
    case 2: w.varint(count); break;
    default: w.le(static_cast<uint32_t>(count)); break;
  }
  w.zeros(std::min<size_t>(static_cast<size_t>(count) * (1 + rng.below(8)), kMaxBytes));
}

void mutate_once(Rng& rng, ByteVec& bytes, Donors donors) {
  uint64_t kind = rng.below(72);
  if (kind < 12) return flip_bit(rng, bytes);
  if (kind < 18) return set_byte(rng, bytes);
  if (kind < 30) return lie(rng, bytes, false);
  if (kind < 34) return lie(rng, bytes, true);
  if (kind < 42) return nudge(rng, bytes);
  if (kind < 45) return stretch_varint(rng, bytes);
  if (kind < 48) return truncate(rng, bytes);
  if (kind < 50) return extend(rng, bytes);
  if (kind < 53) return remove(rng, bytes);
  if (kind < 55) return repeat(rng, bytes);
  if (kind < 60) return splice(rng, bytes, donors);
  if (kind < 63) return graft(rng, bytes, donors);
  if (kind < 64) return swell(rng, bytes);
  extreme(rng, bytes);
}

}  // namespace

ByteVec mutate(Rng& rng, ByteSpan original, Donors donors) {
  ENSURE(!donors.empty());
  ByteVec bytes(original.begin(), original.end());
  for (uint64_t left = 1 + rng.below(4); left > 0; --left) mutate_once(rng, bytes, donors);
  return bytes;
}

const std::vector<ByteVec>& extreme_fields() {
  static const std::vector<ByteVec> fields = [] {
    std::vector<ByteVec> out;
    auto add = [&](auto encode) {
      ByteWriter writer(out.emplace_back());
      encode(writer);
    };
    add([](ByteWriter& w) { w.be(int16_t{INT16_MAX}); });
    add([](ByteWriter& w) { w.be(int32_t{INT32_MAX}); });
    add([](ByteWriter& w) { w.be(int32_t{INT32_MIN}); });
    add([](ByteWriter& w) { w.be(int64_t{INT64_MAX}); });
    add([](ByteWriter& w) { w.be(int64_t{INT64_MIN}); });
    add([](ByteWriter& w) { w.le(int32_t{INT32_MAX}); });
    add([](ByteWriter& w) { w.le(int32_t{INT32_MIN}); });
    add([](ByteWriter& w) { w.le(int64_t{INT64_MAX}); });
    add([](ByteWriter& w) { w.le(int64_t{INT64_MIN}); });
    add([](ByteWriter& w) { w.le(int32_t{-1}); });
    add([](ByteWriter& w) { w.le(int64_t{-1}); });
    add([](ByteWriter& w) { w.uvarint(UINT32_MAX); });
    return out;
  }();
  return fields;
}

}  // namespace sg::hostile
