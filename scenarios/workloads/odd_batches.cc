#include "scenarios/workloads/odd_batches.h"

#include "base/crc32c.h"
#include "broker/kafka/record.h"

namespace sg::scenario {
namespace {

using kafka::ErrorCode;

constexpr size_t kMagicAt = 16;
constexpr size_t kCrcAt = 17;
constexpr size_t kAttributesAt = 21;
constexpr size_t kTooLarge = 1'100'000;  // message.max.bytes is 1,048,588

void seal(ByteVec& b) { store_be<uint32_t>(b.data() + kCrcAt, crc32c(ByteSpan(b).subspan(kAttributesAt))); }
void set_attributes(ByteVec& b, int16_t attributes) {
  store_be<int16_t>(b.data() + kAttributesAt, attributes);
  seal(b);
}
void set_producer(ByteVec& b, int32_t sequence) {
  store_be<int64_t>(b.data() + 43, 1'000'000'007);
  store_be<int16_t>(b.data() + 51, 0);
  store_be<int32_t>(b.data() + 53, sequence);
  seal(b);
}

// docs/kafka-support.md, broker/kafka/record_batch.h.
const Flaw kFlaws[] = {
    {"a batch with a wrong checksum", ErrorCode::corrupt_message, [](ByteVec& b) { b.back() ^= 1; }},
    {"a batch that is cut off", ErrorCode::corrupt_message, [](ByteVec& b) { b.resize(b.size() - 3); }},
    {"half a header of a batch", ErrorCode::corrupt_message, [](ByteVec& b) { b.resize(40); }},
    {"a batch of a negative length", ErrorCode::corrupt_message, [](ByteVec& b) { store_be<int32_t>(b.data() + 8, -1); }},
    {"no batch", ErrorCode::invalid_record, [](ByteVec& b) { b.clear(); }},
    {"two batches in one", ErrorCode::invalid_record,
     [](ByteVec& b) {
       const ByteVec again = b;
       b.insert(b.end(), again.begin(), again.end());
     }},
    {"magic 0", ErrorCode::invalid_record, [](ByteVec& b) { b[kMagicAt] = 0; }},
    {"magic 1", ErrorCode::invalid_record, [](ByteVec& b) { b[kMagicAt] = 1; }},
    {"magic 3", ErrorCode::invalid_record, [](ByteVec& b) { b[kMagicAt] = 3; }},
    {"a control batch", ErrorCode::invalid_record, [](ByteVec& b) { set_attributes(b, 0x20); }},
    {"a broker's timestamp", ErrorCode::invalid_timestamp, [](ByteVec& b) { set_attributes(b, 0x08); }},
    {"an unknown codec", ErrorCode::unsupported_compression_type, [](ByteVec& b) { set_attributes(b, 5); }},
    {"a batch of no records", ErrorCode::invalid_record,
     [](ByteVec& b) {
       store_be<int32_t>(b.data() + 57, 0);
       seal(b);
     }},
    {"a batch of more records than it holds", ErrorCode::invalid_record,
     [](ByteVec& b) {
       store_be<int32_t>(b.data() + 23, 999);
       store_be<int32_t>(b.data() + 57, 1000);
       seal(b);
     }},
    {"a negative sequence", ErrorCode::invalid_record, [](ByteVec& b) { set_producer(b, -7); }},
    {"a transactional batch of nobody", ErrorCode::invalid_record, [](ByteVec& b) { set_attributes(b, 0x10); }},
    {"a transactional batch", ErrorCode::invalid_request,
     [](ByteVec& b) {
       set_attributes(b, 0x10);
       set_producer(b, 0);
     }},
    {"a batch that is too large", ErrorCode::message_too_large, [](ByteVec&) {}, kTooLarge},
};

}  // namespace

std::span<const Flaw> flaws() { return kFlaws; }

ByteVec one_record_batch(ValueId id, size_t value_size, int64_t timestamp_ms) {
  const ByteVec value = value_bytes(id, value_size);
  kafka::Record record;
  record.timestamp_ms = timestamp_ms;
  record.value = value;
  kafka::BatchBuilder builder{kafka::BatchProducer{}};
  builder.add(record);
  const SharedBytes made = builder.finish();
  return ByteVec(made.data(), made.data() + made.size());
}

}  // namespace sg::scenario
