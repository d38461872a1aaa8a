// Records in and out of a batch, and messages through the codec, for whatever values.
#include "broker/kafka/record.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/crc32c.h"
#include "broker/kafka/codec.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/produce.h"

using namespace sg;
using namespace sg::kafka;

namespace {

// RapidCheck's Maybe, as the standard's optional.
template <class T>
std::optional<T> optional_of(const rc::Gen<T>& gen) {
  auto maybe = *rc::gen::maybe(gen);
  return maybe ? std::optional<T>(*maybe) : std::nullopt;
}
std::optional<std::string> any_text() { return optional_of(rc::gen::arbitrary<std::string>()); }
SharedBytes any_bytes() { return SharedBytes::copy_of(*rc::gen::arbitrary<ByteVec>()); }

template <class Message>
Message through_the_codec(int16_t version, const Message& message) {
  Gather out;
  encode(out, version, message);
  auto decoded = decode<Message>(version, SharedBytes::copy_of(out.flatten()));
  RC_ASSERT(decoded.has_value());
  return *decoded;
}

std::optional<ByteSpan> span_of(const std::optional<std::string>& text) { return text ? std::optional(as_bytes(*text)) : std::nullopt; }
std::optional<std::string> text_of(const std::optional<ByteSpan>& bytes) {
  return bytes ? std::optional(std::string(as_text(*bytes))) : std::nullopt;
}

}  // namespace

TEST_CASE("property: records that were built are read back") {
  CHECK(rc::check("build, read", [] {
    auto count = *rc::gen::inRange(1, 20);
    std::vector<std::optional<std::string>> texts;
    for (int i = 0; i < 4 * count; ++i) texts.push_back(any_text());
    auto text = [&](int record, int which) { return texts[static_cast<size_t>(4 * record + which)]; };
    auto timestamps = *rc::gen::container<std::vector<int64_t>>(static_cast<size_t>(count), rc::gen::arbitrary<int64_t>());
    BatchBuilder builder;
    for (int i = 0; i < count; ++i) {
      std::string header_key = text(i, 2).value_or("h");
      auto key = text(i, 0), value = text(i, 1), header_value = text(i, 3);
      Record record{
          .offset = {}, .timestamp_ms = timestamps[static_cast<size_t>(i)], .key = span_of(key), .value = span_of(value), .headers = {}};
      if (i % 3 != 0) record.headers.push_back({as_bytes(header_key), span_of(header_value)});
      builder.add(record);
    }
    SharedBytes batch = builder.finish();
    RC_ASSERT(!validate_produced(batch, 9));
    auto base = *rc::gen::inRange<int64_t>(0, INT64_C(1) << 40);
    stamp_batch(batch.writable(), Offset{base}, LeaderEpoch{1});
    auto records = read_records(batch);
    RC_ASSERT(records.has_value());
    RC_ASSERT(records->size() == static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      const Record& record = records->at(static_cast<size_t>(i));
      RC_ASSERT(record.offset == Offset{base + i});
      RC_ASSERT(record.timestamp_ms == timestamps[static_cast<size_t>(i)]);
      RC_ASSERT(text_of(record.key) == text(i, 0));
      RC_ASSERT(text_of(record.value) == text(i, 1));
      RC_ASSERT(record.headers.size() == (i % 3 != 0 ? 1u : 0u));
      if (i % 3 == 0) continue;
      RC_ASSERT(as_text(record.headers[0].key) == text(i, 2).value_or("h"));
      RC_ASSERT(text_of(record.headers[0].value) == text(i, 3));
    }
  }));
}

TEST_CASE("property: damaged records under a right checksum are refused or read, never more than the bytes hold") {
  CHECK(rc::check("mutate, read", [] {
    BatchBuilder builder;
    for (int i = 0; i < 4; ++i) {
      Record record{
          .offset = {}, .timestamp_ms = i, .key = as_bytes("key"), .value = as_bytes("value"), .headers = {{as_bytes("h"), as_bytes("x")}}};
      builder.add(record);
    }
    SharedBytes batch = builder.finish();
    MutableByteSpan bytes = batch.writable();
    auto count = *rc::gen::inRange(1, 6);
    for (int i = 0; i < count; ++i) {
      auto at = *rc::gen::inRange<size_t>(21, bytes.size());
      bytes[at] = *rc::gen::arbitrary<uint8_t>();
    }
    store_be<uint32_t>(bytes.data() + 17, crc32c(bytes.subspan(21)));
    auto records = read_records(batch);
    if (!records.has_value()) {
      RC_ASSERT(records.is(Errc::corrupt) || records.is(Errc::unsupported));
      return;
    }
    RC_ASSERT(records->size() <= batch.size() / kMinRecordBytes);
  }));
}

TEST_CASE("a compressed batch is not read, a damaged one neither") {
  BatchBuilder builder;
  builder.add({.offset = {}, .timestamp_ms = 1, .key = std::nullopt, .value = as_bytes("v"), .headers = {}});
  SharedBytes batch = builder.finish();
  CHECK(read_records(batch.slice(0, 60)).is(Errc::corrupt));
  CHECK(read_records(batch.slice(0, batch.size() - 1)).is(Errc::corrupt));
  batch.writable()[22] = 3;
  CHECK(read_records(batch).is(Errc::corrupt));
  store_be<uint32_t>(batch.writable().data() + 17, crc32c(batch.span().subspan(21)));
  CHECK(read_records(batch).is(Errc::unsupported));
}

TEST_CASE("a producer's sequence numbers follow each other and wrap to 0") {
  BatchBuilder builder({.id = ProducerId{5}, .epoch = 0, .base_sequence = INT32_MAX - 1});
  Record record{.offset = {}, .timestamp_ms = 1, .key = std::nullopt, .value = std::nullopt, .headers = {}};
  builder.add(record);
  builder.add(record);
  builder.add(record);
  CHECK(BatchView(builder.finish()).base_sequence() == INT32_MAX - 1);
  builder.add(record);
  SharedBytes second = builder.finish();
  CHECK(BatchView(second).base_sequence() == 1);
  CHECK(BatchView(second).record_count() == 1);
}

TEST_CASE("property: decode(encode(x)) == x for Produce requests") {
  CHECK(rc::check("Produce", [] {
    ProduceRequest request;
    request.transactional_id = any_text();
    request.acks = *rc::gen::arbitrary<int16_t>();
    request.timeout_ms = *rc::gen::arbitrary<int32_t>();
    for (const std::string& name : *rc::gen::arbitrary<std::vector<std::string>>()) {
      auto& topic = request.topic_data.emplace_back();
      topic.name = name;
      auto partitions = *rc::gen::inRange(0, 4);
      for (int i = 0; i < partitions; ++i) {
        auto& partition = topic.partition_data.emplace_back();
        partition.index = *rc::gen::arbitrary<int32_t>();
        if (*rc::gen::arbitrary<bool>()) partition.records = any_bytes();
      }
    }
    auto version = *rc::gen::inRange<int16_t>(3, 12);
    RC_ASSERT(through_the_codec(version, request) == request);
  }));
}

TEST_CASE("property: decode(encode(x)) == x for Fetch responses") {
  CHECK(rc::check("Fetch", [] {
    FetchResponse response;
    response.throttle_time_ms = *rc::gen::arbitrary<int32_t>();
    response.error_code = static_cast<ErrorCode>(*rc::gen::arbitrary<int16_t>());
    response.session_id = *rc::gen::arbitrary<int32_t>();
    auto& topic = response.responses.emplace_back();
    topic.topic = *rc::gen::arbitrary<std::string>();
    auto partitions = *rc::gen::inRange(0, 4);
    for (int i = 0; i < partitions; ++i) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = i;
      partition.high_watermark = Offset{*rc::gen::arbitrary<int64_t>()};
      partition.last_stable_offset = Offset{*rc::gen::arbitrary<int64_t>()};
      partition.log_start_offset = Offset{*rc::gen::arbitrary<int64_t>()};
      partition.diverging_epoch.epoch = LeaderEpoch{*rc::gen::inRange(-1, 3)};
      partition.diverging_epoch.end_offset = Offset{*rc::gen::inRange<int64_t>(-1, 3)};
      partition.current_leader.leader_id = NodeId{*rc::gen::inRange(-1, 3)};
      partition.snapshot_id.end_offset = Offset{*rc::gen::inRange<int64_t>(-1, 3)};
      partition.preferred_read_replica = NodeId{*rc::gen::arbitrary<int32_t>()};
      if (*rc::gen::arbitrary<bool>()) partition.aborted_transactions = {{{ProducerId{1}, Offset{i}}}};
      auto pieces = *rc::gen::inRange(-1, 3);
      if (pieces >= 0) partition.records.emplace();
      for (int piece = 0; piece < pieces; ++piece) partition.records->pieces.push_back(any_bytes());
    }
    RC_ASSERT(through_the_codec(12, response) == response);
  }));
}
