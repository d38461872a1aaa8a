// Unknown tagged fields are skipped wherever they may stand (KIP-482): in every flexible version of every message, in every struct of
// the wire cases, in tagged structs, in both headers. The sections are found by trying: where an unknown field can be put in and the
// message stays the same, there is one. How many there must be follows from Kafka's definitions.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

#include "broker/kafka/codec.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/metadata.h"
#include "tests/kafka/wire_cases.h"

using namespace sg;
using namespace sg::kafka;
using sg::kafka_test::load_wire_cases;
using sg::kafka_test::WireCase;

namespace {

constexpr uint8_t kMostKnownTags = 8;
constexpr uint32_t kUnknownTag = 100;  // above every tag of ours

ByteVec joined(ByteSpan a, ByteSpan b, ByteSpan c) {
  ByteVec all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  all.insert(all.end(), c.begin(), c.end());
  return all;
}

// One tagged field: its size stands at `size_at`, its content is [from, to).
struct Field {
  size_t size_at = 0;
  size_t from = 0;
  size_t to = 0;
};
struct Section {
  size_t at = 0;  // of the count, one byte
  size_t end = 0;
  std::vector<Field> fields;
};

// The section that may begin at `at`; most places where one may begin are none.
std::optional<Section> section_at(ByteSpan bytes, size_t at) {
  if (bytes[at] > kMostKnownTags) return std::nullopt;
  ByteReader reader(bytes.subspan(at + 1));
  auto here = [&] { return bytes.size() - reader.remaining(); };
  Section section{.at = at, .end = 0, .fields = {}};
  for (uint8_t i = 0; i < bytes[at]; ++i) {
    reader.uvarint32();
    Field field{.size_at = here(), .from = 0, .to = 0};
    size_t size = reader.uvarint32();
    field.from = here();
    reader.bytes(size);
    field.to = here();
    section.fields.push_back(field);
  }
  section.end = here();
  return reader.ok() ? std::optional(section) : std::nullopt;
}

struct Unknown {
  uint32_t tag;
  size_t bytes;
};

// The bytes with unknown fields behind the known ones of a section.
ByteVec with_unknown(ByteSpan bytes, const Section& section, std::span<const Unknown> unknown) {
  ByteVec added;
  ByteWriter writer(added);
  for (const Unknown& field : unknown) {
    writer.uvarint(field.tag);
    writer.uvarint(field.bytes);
    writer.bytes(ByteVec(field.bytes, 0xee));
  }
  ByteVec all = joined(bytes.first(section.end), added, bytes.subspan(section.end));
  all[section.at] = static_cast<uint8_t>(all[section.at] + unknown.size());
  return all;
}

// The bytes with another content of one tagged field.
ByteVec with_content(ByteSpan bytes, const Field& field, ByteSpan content) {
  ByteVec sized;
  ByteWriter writer(sized);
  writer.uvarint(content.size());
  writer.bytes(content);
  return joined(bytes.first(field.size_at), sized, bytes.subspan(field.to));
}

// A body that is to stay the same message.
class Body {
 public:
  explicit Body(const WireCase& wire_case) : case_(wire_case) {
    auto decoded = reencode(case_.request, case_.key, case_.version, case_.body);
    REQUIRE(decoded.has_value());
    message_ = *decoded;
    find(case_.body, [](ByteSpan bytes) { return ByteVec(bytes.begin(), bytes.end()); });
  }

  // How many sections there are; what is in the sections of tagged structs counts too.
  size_t sections() const { return found_.size(); }
  // Whether one of them ends where the body ends: the message's own.
  bool has_outer() const {
    auto is_outer = [&](const Found& f) { return f.outermost && f.section.end == case_.body.size(); };
    return std::ranges::any_of(found_, is_outer);
  }
  // Whether these unknown fields are skipped in each section, and in all at once.
  bool skips(std::span<const Unknown> unknown) const {
    ByteVec all = case_.body;
    for (auto f = found_.rbegin(); f != found_.rend(); ++f) {
      if (!is_same(f->wrap(with_unknown(f->bytes, f->section, unknown)))) return false;
      // From the last to the first, so that places before stay what they are.
      if (f->outermost) all = with_unknown(all, *section_at(all, f->section.at), unknown);
    }
    return is_same(all);
  }

 private:
  using Wrap = std::function<ByteVec(ByteSpan)>;
  struct Found {
    ByteVec bytes;  // of the body, or of one tagged field in it
    Section section;
    Wrap wrap;  // makes changed bytes a whole body again
    bool outermost;
  };

  bool is_same(ByteSpan body) const {
    auto decoded = reencode(case_.request, case_.key, case_.version, body);
    return decoded && *decoded == message_;
  }

  void find(ByteSpan bytes, const Wrap& wrap, bool outermost = true) {
    constexpr Unknown kProbe[] = {{kUnknownTag, 1}};
    for (size_t at = 0; at < bytes.size(); ++at) {
      auto section = section_at(bytes, at);
      if (!section || !is_same(wrap(with_unknown(bytes, *section, kProbe)))) continue;
      found_.push_back({ByteVec(bytes.begin(), bytes.end()), *section, wrap, outermost});
      for (const Field& field : section->fields) {
        auto rewrap = [=, whole = ByteVec(bytes.begin(), bytes.end())](ByteSpan content) {
          return wrap(with_content(whole, field, content));
        };
        find(bytes.subspan(field.from, field.to - field.from), rewrap, false);
      }
    }
  }

  const WireCase& case_;
  ByteVec message_;
  std::vector<Found> found_;
};

void check_skips(const Body& body) {
  CHECK(body.skips(std::vector<Unknown>{{kUnknownTag, 0}}));
  CHECK(body.skips(std::vector<Unknown>{{INT32_MAX, 300}}));
  CHECK(body.skips(std::vector<Unknown>{{kUnknownTag, 1}, {kUnknownTag + 1, 0}, {UINT32_MAX, 128}}));
  // Tags ascend, each once.
  CHECK_FALSE(body.skips(std::vector<Unknown>{{kUnknownTag, 1}, {kUnknownTag, 1}}));
}

template <class Message>
WireCase as_case(bool request, int16_t version, const Message& message) {
  Gather out;
  encode(out, version, message);
  return {request, static_cast<int16_t>(Message::kApiKey), version, out.flatten()};
}

}  // namespace

TEST_CASE("given unknown tagged fields in any struct of a message, when it is decoded, then they are skipped") {
  std::map<std::pair<std::string, bool>, size_t> sections;
  for (const WireCase& wire_case : load_wire_cases()) {
    const Api* api = find_api(static_cast<ApiKey>(wire_case.key));
    if (!api->is_flexible(wire_case.version)) continue;
    CAPTURE(api->name);
    CAPTURE(wire_case.request);
    CAPTURE(wire_case.version);
    Body body(wire_case);
    CHECK(body.has_outer());
    check_skips(body);
    sections[{std::string(api->name), wire_case.request}] += body.sections();
  }
  // Structs in the flexible cases, counted by Kafka's definitions: API -> in requests, in responses.
  const std::map<std::string, std::pair<size_t, size_t>> expected{
      {"Produce", {26, 79}},      {"Fetch", {26, 2}},           {"ListOffsets", {43, 40}},
      {"Metadata", {8, 69}},      {"FindCoordinator", {8, 22}}, {"ApiVersions", {4, 25}},
      {"CreateTopics", {34, 42}}, {"DeleteTopics", {10, 26}},   {"InitProducerId", {8, 8}}};
  REQUIRE(expected.size() == apis().size());
  for (const auto& [api, counts] : expected) {
    CAPTURE(api);
    CHECK(sections[{api, true}] == counts.first);
    CHECK(sections[{api, false}] == counts.second);
  }
}

TEST_CASE("given unknown tagged fields in structs that the cases lack, when the message is decoded, then they are skipped") {
  FetchResponse::Partition partition;
  partition.diverging_epoch = {LeaderEpoch{1}, Offset{2}};
  partition.current_leader = {NodeId{3}, LeaderEpoch{4}};
  partition.snapshot_id = {Offset{5}, LeaderEpoch{6}};
  partition.aborted_transactions = {{ProducerId{7}, Offset{8}}};
  partition.records = Records{{SharedBytes::copy_of(ByteVec(80, 0x01))}};
  WireCase fetched = as_case(false, 12, FetchResponse{.responses = {{.topic = "t", .partitions = {partition, {}}}}});
  Body fetch(fetched);
  CHECK(fetch.sections() == 8);  // the message, its topic, two partitions, three tagged structs, a transaction
  check_skips(fetch);

  MetadataRequest asked;
  asked.topics = {{.topic_id = {}, .name = "t"}, {.topic_id = {}, .name = "u"}};
  WireCase request = as_case(true, 9, asked);
  Body metadata(request);
  CHECK(metadata.sections() == 3);
  check_skips(metadata);
}

TEST_CASE("given unknown tagged fields in a header, when it is decoded, then they are skipped, in every flexible version of every API") {
  constexpr Unknown kSome[] = {{0, 0}, {kUnknownTag, 1}, {UINT32_MAX, 300}};
  for (const Api& api : apis()) {
    for (int16_t version = std::max(api.served.min, api.flexible_from); version <= api.served.max; ++version) {
      CAPTURE(api.name);
      CAPTURE(version);
      for (std::optional<std::string_view> client_id : {std::optional<std::string_view>(), std::optional<std::string_view>("client")}) {
        Gather out;
        begin_request(out, api.key, version, 7, client_id);
        ByteVec plain = out.flatten();
        plain.erase(plain.begin(), plain.begin() + 4);
        ByteVec frame = with_unknown(plain, *section_at(plain, plain.size() - 1), kSome);
        plain.push_back(0xbb);
        frame.push_back(0xbb);
        auto without = decode_request_header(SharedBytes::copy_of(plain));
        auto with = decode_request_header(SharedBytes::copy_of(frame));
        REQUIRE(without.has_value());
        REQUIRE(with.has_value());
        CHECK(with->header == without->header);
        CHECK(to_hex(with->body) == "bb");
      }
      if (response_header_version(api.key, version) == 0) continue;  // ApiVersions
      ByteVec plain = kafka_test::hex("00000007 00");
      ByteVec frame = with_unknown(plain, *section_at(plain, 4), kSome);
      frame.push_back(0xbb);
      auto with = decode_response_header(api.key, version, SharedBytes::copy_of(frame));
      REQUIRE(with.has_value());
      CHECK(with->correlation_id == 7);
      CHECK(to_hex(with->body) == "bb");
    }
  }
}
