// base/archive.h: what is packed comes back, the encoding is the documented one, and hostile bytes are refused before they cost memory.
#include "base/archive.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

namespace {

using namespace sg;

enum class Color : uint16_t { red = 1, green = 0x0203 };

struct Nothing {};

struct Inner {
  NodeId node;
  std::string name;
  bool operator==(const Inner&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, name);
  }
};

struct Everything {
  int8_t i8 = 0;
  uint16_t u16 = 0;
  int32_t i32 = 0;
  uint64_t u64 = 0;
  bool flag = false;
  Color color = Color::red;
  Offset offset;
  Uuid uuid;
  std::string text;
  ByteVec bytes;
  std::vector<int32_t> numbers;
  std::vector<Inner> inners;
  std::pair<Term, LogIndex> position;
  std::optional<Inner> maybe;
  std::map<std::string, std::vector<Offset>> map;
  std::set<NodeId> set;
  std::array<uint16_t, 3> array{};
  std::variant<uint8_t, Inner, std::string> variant;
  bool operator==(const Everything&) const = default;
  template <class A>
  void serialize(A& a) {
    a(i8, u16, i32, u64, flag, color, offset, uuid, text, bytes, numbers, inners, position, maybe, map, set, array, variant);
  }
};

struct WithBytes {
  int32_t before = 0;
  SharedBytes bytes;
  int32_t after = 0;
  template <class A>
  void serialize(A& a) {
    a(before, bytes, after);
  }
};

// Large in memory, one byte on the wire.
struct Big {
  uint8_t value = 0;
  std::array<char, 4096> memory{};
  template <class A>
  void serialize(A& a) {
    a(value);
  }
};

Inner any_inner() { return {NodeId(*rc::gen::arbitrary<int32_t>()), *rc::gen::arbitrary<std::string>()}; }

Everything any_everything() {
  Everything e;
  e.i8 = *rc::gen::arbitrary<int8_t>();
  e.u16 = *rc::gen::arbitrary<uint16_t>();
  e.i32 = *rc::gen::arbitrary<int32_t>();
  e.u64 = *rc::gen::arbitrary<uint64_t>();
  e.flag = *rc::gen::arbitrary<bool>();
  e.color = *rc::gen::element(Color::red, Color::green);
  e.offset = Offset(*rc::gen::arbitrary<int64_t>());
  e.uuid = {*rc::gen::arbitrary<uint64_t>(), *rc::gen::arbitrary<uint64_t>()};
  e.text = *rc::gen::arbitrary<std::string>();
  e.bytes = *rc::gen::arbitrary<ByteVec>();
  e.numbers = *rc::gen::arbitrary<std::vector<int32_t>>();
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) e.inners.push_back(any_inner());
  e.position = {Term(*rc::gen::arbitrary<int64_t>()), LogIndex(*rc::gen::arbitrary<int64_t>())};
  if (*rc::gen::arbitrary<bool>()) e.maybe = any_inner();
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
    e.map[*rc::gen::arbitrary<std::string>()] = {Offset(*rc::gen::arbitrary<int64_t>()), Offset(7)};
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) e.set.insert(NodeId(*rc::gen::arbitrary<int32_t>()));
  e.array = {*rc::gen::arbitrary<uint16_t>(), 2, 3};
  switch (*rc::gen::inRange(0, 3)) {
    case 0: e.variant = *rc::gen::arbitrary<uint8_t>(); break;
    case 1: e.variant = any_inner(); break;
    default: e.variant = *rc::gen::arbitrary<std::string>();
  }
  return e;
}

TEST_CASE("archive: whatever is packed comes back equal") {
  CHECK(rc::check([] {
    Everything e = any_everything();
    auto back = unpack<Everything>(ByteSpan(pack(e)));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == e);
  }));
}

TEST_CASE("archive: a packed value that is cut anywhere, or followed by a byte, is corrupt") {
  CHECK(rc::check([] {
    ByteVec bytes = pack(any_everything());
    size_t cut = *rc::gen::inRange<size_t>(0, bytes.size());
    RC_ASSERT(unpack<Everything>(ByteSpan(bytes).first(cut)).is(Errc::corrupt));
    bytes.push_back(0);
    RC_ASSERT(unpack<Everything>(ByteSpan(bytes)).is(Errc::corrupt));
  }));
}

TEST_CASE("archive: what unpacks from damaged bytes packs to the same bytes, so a value has one encoding") {
  CHECK(rc::check([] {
    ByteVec bytes = pack(any_everything());
    bytes[*rc::gen::inRange<size_t>(0, bytes.size())] = *rc::gen::arbitrary<uint8_t>();
    auto back = unpack<Everything>(ByteSpan(bytes));
    if (back) RC_ASSERT(pack(*back) == bytes);
  }));
}

TEST_CASE("archive: the encoding is little-endian, fixed in width, and counts are 32 bits") {
  CHECK(to_hex(pack(int16_t{-2})) == "feff");
  CHECK(to_hex(pack(uint64_t{0x0102030405060708})) == "0807060504030201");
  CHECK(to_hex(pack(true)) == "01");
  CHECK(to_hex(pack(Color::green)) == "0302");
  CHECK(to_hex(pack(NodeId(3))) == "03000000");
  CHECK(to_hex(pack(Uuid{1, 2})) == "01000000000000000200000000000000");
  CHECK(to_hex(pack(std::string("ab"))) == "020000006162");
  CHECK(to_hex(pack(ByteVec{9, 8})) == "020000000908");
  CHECK(to_hex(pack(std::vector<uint16_t>{1, 2})) == "0200000001000200");
  CHECK(to_hex(pack(std::optional<uint8_t>(5))) == "0105");
  CHECK(to_hex(pack(std::optional<uint8_t>())) == "00");
  CHECK(to_hex(pack(std::variant<uint8_t, uint16_t>(uint16_t{7}))) == "010700");
  CHECK(to_hex(pack(std::map<uint8_t, bool>{{2, true}, {1, false}})) == "0200000001000201");
  CHECK(pack(Nothing{}).empty());
}

TEST_CASE("archive: pack appends") {
  ByteVec out{0xaa};
  pack(out, uint8_t{1});
  CHECK(to_hex(out) == "aa01");
}

TEST_CASE("archive: SharedBytes from a frame are a slice of it, from a span a copy") {
  WithBytes value{1, SharedBytes::copy_of(as_bytes("payload")), 2};
  SharedBytes frame = SharedBytes::copy_of(pack(value));

  auto sliced = unpack<WithBytes>(frame);
  REQUIRE(sliced);
  CHECK(as_text(sliced->bytes) == "payload");
  CHECK(sliced->bytes.data() == frame.data() + 8);
  CHECK(frame.use_count() == 2);
  CHECK(sliced->after == 2);

  auto copied = unpack<WithBytes>(frame.span());
  REQUIRE(copied);
  CHECK(as_text(copied->bytes) == "payload");
  CHECK(frame.use_count() == 2);
}

TEST_CASE("archive: a length beyond the span is refused before memory is taken for it") {
  ByteVec lie{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4};
  CHECK(unpack<std::string>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<ByteVec>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<SharedBytes>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<SharedBytes>(SharedBytes::copy_of(lie)).is(Errc::corrupt));
  CHECK(unpack<std::vector<Inner>>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<std::vector<std::vector<std::string>>>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<std::set<uint8_t>>(ByteSpan(lie)).is(Errc::corrupt));
  CHECK(unpack<std::map<uint8_t, Inner>>(ByteSpan(lie)).is(Errc::corrupt));
}

TEST_CASE("archive: a count is compared in elements, not in bytes") {
  ByteVec four_of_eight_bytes{4, 0, 0, 0};
  four_of_eight_bytes.resize(4 + 4 * 8);
  CHECK(unpack<std::vector<Offset>>(ByteSpan(four_of_eight_bytes)).has_value());
  four_of_eight_bytes.resize(4 + 4 * 8 - 1);
  CHECK(unpack<std::vector<Offset>>(ByteSpan(four_of_eight_bytes)).is(Errc::corrupt));
}

TEST_CASE("archive: elements that are large in memory take memory only as their bytes are read") {
  // 40,000 elements are claimed and could be there, but the first is followed by one whose flag is wrong.
  ByteVec bytes{0x40, 0x9c, 0, 0};
  bytes.resize(4 + 40'000, 0);
  bytes[5] = 2;
  auto result = unpack<std::vector<std::pair<bool, Big>>>(ByteSpan(bytes));
  CHECK(result.is(Errc::corrupt));
}

TEST_CASE("archive: bytes without a meaning are refused") {
  CHECK(unpack<bool>(ByteSpan(ByteVec{2})).is(Errc::corrupt));
  CHECK(unpack<std::optional<uint8_t>>(ByteSpan(ByteVec{2, 0})).is(Errc::corrupt));
  CHECK(unpack<std::variant<uint8_t, uint16_t>>(ByteSpan(ByteVec{2, 0, 0})).is(Errc::corrupt));
}

TEST_CASE("archive: a set or map out of order, or with a key twice, is refused") {
  CHECK(unpack<std::set<uint8_t>>(ByteSpan(ByteVec{2, 0, 0, 0, 1, 2})).has_value());
  CHECK(unpack<std::set<uint8_t>>(ByteSpan(ByteVec{2, 0, 0, 0, 2, 1})).is(Errc::corrupt));
  CHECK(unpack<std::set<uint8_t>>(ByteSpan(ByteVec{2, 0, 0, 0, 1, 1})).is(Errc::corrupt));
  CHECK(unpack<std::map<uint8_t, uint8_t>>(ByteSpan(ByteVec{2, 0, 0, 0, 1, 0, 1, 0})).is(Errc::corrupt));
}

}  // namespace
