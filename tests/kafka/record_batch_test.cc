// Batches, whole and damaged: each damage gets the error that Kafka gives it.
#include "broker/kafka/record_batch.h"

#include <doctest/doctest.h>

#include <functional>

#include "base/crc32c.h"
#include "broker/kafka/record.h"
#include "tests/kafka/hex.h"

using namespace sg;
using namespace sg::kafka;

namespace {

SharedBytes make_batch(int count, BatchProducer producer = {}) {
  BatchBuilder builder(producer);
  for (int i = 0; i < count; ++i)
    builder.add({.offset = {}, .timestamp_ms = 1000 + i, .key = as_bytes("k"), .value = as_bytes("value"), .headers = {}});
  return builder.finish();
}

void renew_crc(MutableByteSpan batch) { store_be<uint32_t>(batch.data() + 17, crc32c(batch.subspan(21))); }

// What is found after `damage`, with a checksum that holds again.
ErrorCode after(const std::function<void(MutableByteSpan)>& damage, int16_t version = 9, BatchProducer producer = {}) {
  SharedBytes batch = make_batch(3, producer);
  damage(batch.writable());
  renew_crc(batch.writable());
  return validate_produced(batch, version).code;
}

template <class T>
std::function<void(MutableByteSpan)> put(size_t at, T value) {
  return [=](MutableByteSpan batch) { store_be<T>(batch.data() + at, value); };
}

SharedBytes join(std::initializer_list<ByteSpan> parts) {
  ByteVec all;
  for (ByteSpan part : parts) all.insert(all.end(), part.begin(), part.end());
  return SharedBytes::copy_of(all);
}

}  // namespace

TEST_CASE("a batch as a producer sends it passes, and its header reads back") {
  SharedBytes bytes = make_batch(3, {.id = ProducerId{77}, .epoch = 2, .base_sequence = 40, .transactional = true});
  CHECK(validate_produced(bytes, 3).code == ErrorCode::none);
  BatchView batch(bytes);
  CHECK(batch.base_offset() == Offset{0});
  CHECK(batch.last_offset() == Offset{2});
  CHECK(batch.batch_length() + 12 == static_cast<int32_t>(bytes.size()));
  CHECK(batch.partition_leader_epoch() == kNoLeaderEpoch);
  CHECK(batch.magic() == 2);
  CHECK(batch.record_count() == 3);
  CHECK(batch.base_timestamp() == 1000);
  CHECK(batch.max_timestamp() == 1002);
  CHECK(batch.producer_id() == ProducerId{77});
  CHECK(batch.producer_epoch() == 2);
  CHECK(batch.base_sequence() == 40);
  CHECK(batch.is_transactional());
  CHECK_FALSE(batch.is_control());
  CHECK(batch.compression() == Compression::none);
}

TEST_CASE("a batch that was written by hand from KIP-98 is understood") {
  // One record: key null, value "v", no headers, at timestamp 5.
  ByteVec bytes = kafka_test::hex(
      "0000000000000000 00000039 ffffffff 02 00000000 0000 00000000 0000000000000005 0000000000000005"
      "ffffffffffffffff ffff ffffffff 00000001  0e 00 00 00 01 02 76 00");
  renew_crc(bytes);
  CHECK(validate_produced(bytes, 3).code == ErrorCode::none);
  auto records = read_records(bytes);
  REQUIRE(records.has_value());
  REQUIRE(records->size() == 1);
  CHECK_FALSE(records->at(0).key.has_value());
  CHECK(as_text(*records->at(0).value) == "v");

  BatchBuilder builder;
  builder.add({.offset = {}, .timestamp_ms = 5, .key = std::nullopt, .value = as_bytes("v"), .headers = {}});
  CHECK(to_hex(builder.finish()) == to_hex(bytes));
}

TEST_CASE("a flipped bit anywhere under the checksum is CORRUPT_MESSAGE") {
  SharedBytes bytes = make_batch(2);
  for (size_t at = 17; at < bytes.size(); ++at) {
    CAPTURE(at);
    bytes.writable()[at] ^= 0x10;
    CHECK(validate_produced(bytes, 9).code == ErrorCode::corrupt_message);
    bytes.writable()[at] ^= 0x10;
  }
  CHECK(validate_produced(bytes, 9).code == ErrorCode::none);
}

TEST_CASE("a batch that is cut off anywhere is refused") {
  SharedBytes bytes = make_batch(2);
  CHECK(validate_produced({}, 9).code == ErrorCode::invalid_record);
  for (size_t length = 1; length < bytes.size(); ++length)
    CHECK(validate_produced(bytes.slice(0, length), 9).code == ErrorCode::corrupt_message);
}

TEST_CASE("exactly one batch") {
  SharedBytes batch = make_batch(1);
  CHECK(validate_produced(join({batch, batch}), 9).code == ErrorCode::invalid_record);
  CHECK(validate_produced(join({batch, kafka_test::hex("00")}), 9).code == ErrorCode::invalid_record);
}

TEST_CASE("each inconsistency has its error") {
  CHECK(after([](MutableByteSpan) {}) == ErrorCode::none);
  CHECK(after(put<int8_t>(16, 1)) == ErrorCode::invalid_record);  // magic
  CHECK(after(put<int8_t>(16, 3)) == ErrorCode::invalid_record);
  CHECK(after(put<int32_t>(8, 48)) == ErrorCode::corrupt_message);  // batch length: below a header, negative, beyond the end
  CHECK(after(put<int32_t>(8, -1)) == ErrorCode::corrupt_message);
  CHECK(after(put<int32_t>(8, INT32_MAX)) == ErrorCode::corrupt_message);
  CHECK(after(put<int32_t>(57, 0)) == ErrorCode::invalid_record);  // record count
  CHECK(after(put<int32_t>(57, -1)) == ErrorCode::invalid_record);
  CHECK(after(put<int32_t>(57, 2)) == ErrorCode::invalid_record);
  CHECK(after(put<int32_t>(23, 3)) == ErrorCode::invalid_record);  // last offset delta
  CHECK(after(put<int32_t>(23, -1)) == ErrorCode::invalid_record);
  CHECK(after(put<int16_t>(21, 0x20)) == ErrorCode::invalid_record);  // control batch
  CHECK(after(put<int16_t>(21, 0x10)) == ErrorCode::invalid_record);  // transactional without producer id
  CHECK(after(put<int16_t>(21, 0x08)) == ErrorCode::invalid_timestamp);
  CHECK(after(put<int16_t>(21, 5)) == ErrorCode::unsupported_compression_type);
  CHECK(after(put<int16_t>(21, 4), 6) == ErrorCode::unsupported_compression_type);
  CHECK(after(put<int16_t>(21, 4), 7) == ErrorCode::none);
  CHECK(after(put<int16_t>(21, 1), 3) == ErrorCode::none);
}

TEST_CASE("records that the bytes cannot hold") {
  auto lie = [](MutableByteSpan batch) {
    store_be<int32_t>(batch.data() + 57, INT32_MAX);
    store_be<int32_t>(batch.data() + 23, INT32_MAX - 1);
  };
  CHECK(after(lie) == ErrorCode::invalid_record);
}

TEST_CASE("an idempotent producer's fields") {
  BatchProducer producer{.id = ProducerId{1}, .epoch = 0, .base_sequence = 0};
  CHECK(after([](MutableByteSpan) {}, 9, producer) == ErrorCode::none);
  CHECK(after(put<int32_t>(53, -1), 9, producer) == ErrorCode::invalid_record);
  CHECK(after(put<int16_t>(51, -1), 9, producer) == ErrorCode::invalid_record);
  CHECK(after(put<int64_t>(43, -2), 9, producer) == ErrorCode::invalid_record);
}

TEST_CASE("a message set of the old format is told from a damaged batch") {
  // v1: offset, size, crc, magic 1, attributes, timestamp, key, value; 34 bytes and shorter than our header.
  ByteVec old = kafka_test::hex("0000000000000000 00000016 deadbeef 01 00 0000000000000000 ffffffff ffffffff");
  CHECK(validate_produced(old, 3).code == ErrorCode::invalid_record);
}

TEST_CASE("stamping leaves the checksum alone; log-append time renews it") {
  SharedBytes bytes = make_batch(2);
  uint32_t crc = BatchView(bytes).crc();
  stamp_batch(bytes.writable(), Offset{500}, LeaderEpoch{8});
  BatchView batch(bytes);
  CHECK(batch.base_offset() == Offset{500});
  CHECK(batch.last_offset() == Offset{501});
  CHECK(batch.partition_leader_epoch() == LeaderEpoch{8});
  CHECK(batch.crc() == crc);
  CHECK(batch.crc_holds());
  stamp_log_append_time(bytes.writable(), 9999);
  CHECK(batch.crc() != crc);
  CHECK(batch.crc_holds());
  CHECK(batch.is_log_append_time());
  auto records = read_records(bytes);
  REQUIRE(records.has_value());
  CHECK(records->at(1).timestamp_ms == 9999);
  CHECK(records->at(1).offset == Offset{501});
}

TEST_CASE("splitting a run: whole batches, the rest of a cut one, a length that cannot be") {
  SharedBytes one = make_batch(1);
  SharedBytes two = make_batch(2);
  SharedBytes run = join({one, two});
  auto whole = split_batches(run);
  REQUIRE(whole.has_value());
  REQUIRE(whole->batches.size() == 2);
  CHECK(whole->used == run.size());
  CHECK(whole->batches[1].data() == run.data() + one.size());
  CHECK(equal(whole->batches[1], two));
  for (size_t length = 0; length < run.size(); ++length) {
    auto cut = split_batches(run.slice(0, length));
    REQUIRE(cut.has_value());
    CHECK(cut->batches.size() == (length < one.size() ? 0 : 1));
    CHECK(cut->used == (length < one.size() ? 0 : one.size()));
  }
  for (int32_t lie : {0, -1, 48, INT32_MIN}) {
    store_be<int32_t>(run.writable().data() + one.size() + 8, lie);
    CHECK(split_batches(run).is(Errc::corrupt));
  }
}
