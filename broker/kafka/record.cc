#include "broker/kafka/record.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/crc32c.h"

namespace sg::kafka {

namespace {

constexpr size_t kMinHeaderBytes = 2;

void write_counted(ByteWriter& out, const std::optional<ByteSpan>& bytes) {
  out.varint(bytes ? static_cast<int64_t>(bytes->size()) : -1);
  if (bytes) out.bytes(*bytes);
}

std::optional<ByteSpan> read_counted(ByteReader& in) {
  int32_t size = in.varint32();
  if (size < -1) in.fail();
  if (size < 0) return std::nullopt;
  return in.bytes(static_cast<size_t>(size));
}

// One record's content; `in` covers exactly its bytes. Latches failure in `in`.
Record read_record(ByteReader& in, const BatchView& batch) {
  Record record;
  in.be<int8_t>();  // attributes, none defined
  // Unsigned sums: a damaged delta must not overflow.
  auto timestamp = static_cast<uint64_t>(batch.base_timestamp()) + static_cast<uint64_t>(in.varint64());
  record.timestamp_ms = batch.is_log_append_time() ? batch.max_timestamp() : static_cast<int64_t>(timestamp);
  int32_t offset_delta = in.varint32();
  if (offset_delta < 0 || offset_delta > batch.last_offset_delta()) in.fail();
  record.offset = Offset{static_cast<int64_t>(static_cast<uint64_t>(batch.base_offset().v) + static_cast<uint64_t>(offset_delta))};
  record.key = read_counted(in);
  record.value = read_counted(in);
  int32_t headers = in.varint32();
  if (headers < 0 || static_cast<size_t>(headers) > in.remaining() / kMinHeaderBytes) in.fail();
  for (int32_t i = 0; i < headers && in.ok(); ++i) {
    auto key = read_counted(in);
    if (!key) in.fail();
    record.headers.push_back({key.value_or(ByteSpan()), read_counted(in)});
  }
  if (in.remaining() > 0) in.fail();
  return record;
}

}  // namespace

void BatchBuilder::add(const Record& record) {
  if (count_ == 0) {
    base_timestamp_ = record.timestamp_ms;
    max_timestamp_ = record.timestamp_ms;
  }
  max_timestamp_ = std::max(max_timestamp_, record.timestamp_ms);
  scratch_.clear();
  ByteWriter body(scratch_);
  body.be<int8_t>(0);
  body.varint(static_cast<int64_t>(static_cast<uint64_t>(record.timestamp_ms) - static_cast<uint64_t>(base_timestamp_)));
  body.varint(count_);
  write_counted(body, record.key);
  write_counted(body, record.value);
  body.varint(static_cast<int64_t>(record.headers.size()));
  for (const Record::Header& header : record.headers) {
    write_counted(body, header.key);
    write_counted(body, header.value);
  }
  ByteWriter out(records_);
  out.varint(static_cast<int64_t>(scratch_.size()));
  out.bytes(scratch_);
  ++count_;
}

SharedBytes BatchBuilder::finish() {
  ENSURE(count_ > 0, "a batch needs a record");
  ENSURE(size_bytes() <= INT32_MAX, "a batch of {} bytes", size_bytes());
  ByteVec header;
  ByteWriter out(header);
  out.be<int64_t>(0);
  out.be(static_cast<int32_t>(size_bytes() - kBatchPrefixBytes));
  out.be<int32_t>(-1);
  out.be(kBatchMagic);
  out.be<uint32_t>(0);  // the checksum, below
  out.be(static_cast<int16_t>(producer_.transactional ? 0x10 : 0));
  out.be<int32_t>(count_ - 1);
  out.be(base_timestamp_);
  out.be(max_timestamp_);
  out.be(producer_.id.v);
  out.be(producer_.epoch);
  out.be(producer_.base_sequence);
  out.be(count_);
  ENSURE(header.size() == kBatchHeaderBytes);

  SharedBytes batch = SharedBytes::allocate(size_bytes());
  MutableByteSpan bytes = batch.writable();
  std::ranges::copy(header, bytes.begin());
  std::ranges::copy(records_, bytes.begin() + kBatchHeaderBytes);
  store_be<uint32_t>(bytes.data() + 17, crc32c(bytes.subspan(21)));

  if (producer_.base_sequence >= 0)
    producer_.base_sequence =
        static_cast<int32_t>((static_cast<uint32_t>(producer_.base_sequence) + static_cast<uint32_t>(count_)) & INT32_MAX);
  records_.clear();
  count_ = 0;
  return batch;
}

Result<std::vector<Record>> read_records(ByteSpan batch) {
  if (batch.size() < kBatchHeaderBytes) return fail(Errc::corrupt, fmt::format("a batch of {} bytes", batch.size()));
  BatchView view(batch);
  if (view.magic() != kBatchMagic || int64_t{view.batch_length()} != static_cast<int64_t>(batch.size() - kBatchPrefixBytes))
    return fail(Errc::corrupt, fmt::format("magic {}, batch length {} in {} bytes", view.magic(), view.batch_length(), batch.size()));
  if (!view.crc_holds()) return fail(Errc::corrupt, fmt::format("checksum {:08x} does not hold", view.crc()));
  if (view.compression() != Compression::none)
    return fail(Errc::unsupported, fmt::format("compression codec {}", static_cast<int>(view.compression())));
  if (view.record_count() < 0 || static_cast<size_t>(view.record_count()) > view.records().size() / kMinRecordBytes)
    return fail(Errc::corrupt, fmt::format("{} records in {} bytes", view.record_count(), batch.size()));

  ByteReader in(view.records());
  std::vector<Record> records;
  for (int32_t i = 0; i < view.record_count(); ++i) {
    int32_t size = in.varint32();
    if (size < 0) in.fail();
    ByteReader content(in.bytes(in.ok() ? static_cast<size_t>(size) : 0));
    records.push_back(read_record(content, view));
    if (!in.ok() || !content.ok()) return fail(Errc::corrupt, fmt::format("record {} of {} is malformed", i, view.record_count()));
  }
  if (in.remaining() > 0)
    return fail(Errc::corrupt, fmt::format("{} bytes behind the last of {} records", in.remaining(), view.record_count()));
  return records;
}

}  // namespace sg::kafka
