// The codec against encodings that Kafka's own definitions produced: byte-exact, and hard to fool.
#include "tests/kafka/wire_cases.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <set>
#include <tuple>

#include "broker/kafka/codec.h"

using namespace sg;
using namespace sg::kafka;
using sg::kafka_test::load_wire_cases;
using sg::kafka_test::WireCase;

namespace {

Result<ByteVec> reencode_case(const WireCase& wire_case, ByteSpan body) {
  return reencode(wire_case.request, wire_case.key, wire_case.version, body);
}

std::string name_of(const WireCase& wire_case) {
  return fmt::format("{} {} v{}", to_string(static_cast<ApiKey>(wire_case.key)), wire_case.request ? "request" : "response",
                     wire_case.version);
}

}  // namespace

TEST_CASE("given a body from Kafka's definitions, when decoded and encoded, then the bytes are the same") {
  for (const WireCase& wire_case : load_wire_cases()) {
    CAPTURE(name_of(wire_case));
    auto again = reencode_case(wire_case, wire_case.body);
    REQUIRE(again.has_value());
    CHECK(to_hex(*again) == to_hex(wire_case.body));
  }
}

TEST_CASE("the cases cover every served message and version") {
  std::set<std::tuple<bool, int16_t, int16_t>> covered;
  for (const WireCase& wire_case : load_wire_cases()) covered.emplace(wire_case.request, wire_case.key, wire_case.version);
  size_t served = 0;
  for (const Api& api : apis()) {
    for (int16_t version = api.served.min; version <= api.served.max; ++version) {
      CAPTURE(api.name);
      CAPTURE(version);
      CHECK(covered.contains({true, static_cast<int16_t>(api.key), version}));
      CHECK(covered.contains({false, static_cast<int16_t>(api.key), version}));
      served += 2;
    }
  }
  CHECK(covered.size() == served);
}

TEST_CASE("given a body cut off at any length, then it is refused") {
  for (const WireCase& wire_case : load_wire_cases()) {
    CAPTURE(name_of(wire_case));
    for (size_t length = 0; length < wire_case.body.size(); ++length) {
      auto cut = reencode_case(wire_case, ByteSpan(wire_case.body).first(length));
      if (!cut.is(Errc::invalid)) FAIL_CHECK("accepted when cut to " << length << " of " << wire_case.body.size());
    }
  }
}

TEST_CASE("given a byte too many, then the body is refused") {
  for (const WireCase& wire_case : load_wire_cases()) {
    CAPTURE(name_of(wire_case));
    ByteVec longer = wire_case.body;
    longer.push_back(0);
    CHECK(reencode_case(wire_case, longer).is(Errc::invalid));
  }
}

TEST_CASE("given any four bytes replaced by a huge or negative length, then nothing crashes") {
  for (const WireCase& wire_case : load_wire_cases()) {
    CAPTURE(name_of(wire_case));
    for (size_t at = 0; at + 5 <= wire_case.body.size(); ++at) {
      for (std::string_view lie : {"7fffffff", "80000000", "ffffffff0f", "fffffffe", "0fffffff"}) {
        ByteVec body = wire_case.body;
        std::ranges::copy(kafka_test::hex(lie), body.begin() + static_cast<ptrdiff_t>(at));
        auto result = reencode_case(wire_case, body);
        // The lie may have fallen on a plain number, or on text.
        if (result.has_value()) CHECK(result->size() <= body.size());
      }
    }
  }
}

TEST_CASE("property: a mutated body is refused, or its encoding is a fixed point") {
  const std::vector<WireCase> cases = load_wire_cases();
  CHECK(rc::check("mutations", [&cases] {
    const WireCase& wire_case = cases[*rc::gen::inRange<size_t>(0, cases.size())];
    ByteVec body = wire_case.body;
    auto count = *rc::gen::inRange(1, 8);
    for (int i = 0; i < count && !body.empty(); ++i) {
      auto at = *rc::gen::inRange<size_t>(0, body.size());
      switch (*rc::gen::inRange(0, 3)) {
        case 0: body[at] = *rc::gen::arbitrary<uint8_t>(); break;
        case 1: body.insert(body.begin() + static_cast<ptrdiff_t>(at), *rc::gen::arbitrary<uint8_t>()); break;
        default: body.erase(body.begin() + static_cast<ptrdiff_t>(at));
      }
    }
    auto once = reencode_case(wire_case, body);
    if (!once.has_value()) {
      RC_ASSERT(once.is(Errc::invalid));
      return;
    }
    auto twice = reencode_case(wire_case, *once);
    RC_ASSERT(twice.has_value());
    RC_ASSERT(*twice == *once);
  }));
}
