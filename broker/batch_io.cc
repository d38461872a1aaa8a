#include "broker/batch_io.h"

#include <fmt/format.h>

namespace sg::broker {
namespace {

constexpr uint8_t kTransactional = 1;
constexpr uint8_t kControl = 2;

replica::BatchInfo info_of(const kafka::BatchView& view) {
  return {.record_count = view.record_count(),
          .last_offset_delta = view.last_offset_delta(),
          .producer_id = view.producer_id(),
          .producer_epoch = view.producer_epoch(),
          .base_sequence = view.base_sequence(),
          .max_timestamp = view.max_timestamp(),
          .bytes = static_cast<uint32_t>(view.bytes().size()),
          .transactional = view.is_transactional(),
          .control = view.is_control()};
}

}  // namespace

IncomingBatch accept_batch(SharedBytes bytes) {
  kafka::BatchView view(bytes);
  replica::BatchInfo info = info_of(view);
  uint32_t crc = view.crc();
  return {std::move(bytes), info, crc};
}

Result<IncomingBatch> receive_batch(SharedBytes bytes) {
  if (bytes.size() < kafka::kBatchHeaderBytes) return fail(Errc::corrupt, fmt::format("a batch of {} bytes", bytes.size()));
  kafka::BatchView view(bytes);
  if (view.magic() != kafka::kBatchMagic || static_cast<size_t>(view.batch_length()) != bytes.size() - kafka::kBatchPrefixBytes ||
      view.last_offset_delta() < 0 || view.base_offset().v < 0 || view.base_offset().v > INT64_MAX - INT32_MAX - 1LL)
    return fail(Errc::corrupt, fmt::format("batch at offset {}: its header does not agree with itself", view.base_offset()));
  if (!view.crc_holds()) return fail(Errc::corrupt, fmt::format("batch at offset {}: checksum does not hold", view.base_offset()));
  return accept_batch(std::move(bytes));
}

Offset base_offset_of(const IncomingBatch& batch) { return kafka::BatchView(batch.bytes).base_offset(); }

LeaderEpoch leader_epoch_of(const IncomingBatch& batch) { return kafka::BatchView(batch.bytes).partition_leader_epoch(); }

void stamp(IncomingBatch& batch, Offset base_offset, LeaderEpoch leader_epoch) {
  kafka::stamp_batch(batch.bytes.writable(), base_offset, leader_epoch);
}

wal::Aux to_aux(const replica::BatchInfo& info) {
  uint8_t bytes[27];
  store_le<int64_t>(bytes, info.producer_id.v);
  store_le<int16_t>(bytes + 8, info.producer_epoch);
  store_le<int32_t>(bytes + 10, info.base_sequence);
  store_le<int64_t>(bytes + 14, info.max_timestamp);
  store_le<int32_t>(bytes + 22, info.record_count);
  bytes[26] = static_cast<uint8_t>((info.transactional ? kTransactional : 0) | (info.control ? kControl : 0));
  return wal::Aux(ByteSpan(bytes));
}

replica::Descriptor descriptor_of(const wal::Entry& entry) {
  ByteReader r(entry.aux.span());
  replica::Descriptor d;
  d.base = Offset(entry.first);
  d.epoch = LeaderEpoch(static_cast<int32_t>(entry.epoch));
  d.info.last_offset_delta = static_cast<int32_t>(entry.next - entry.first - 1);
  d.info.producer_id = ProducerId(r.le<int64_t>());
  d.info.producer_epoch = r.le<int16_t>();
  d.info.base_sequence = r.le<int32_t>();
  d.info.max_timestamp = r.le<int64_t>();
  d.info.record_count = r.le<int32_t>();
  uint8_t flags = r.le<uint8_t>();
  d.info.transactional = flags & kTransactional;
  d.info.control = flags & kControl;
  d.info.bytes = entry.bytes;
  ENSURE(r.ok(), "a partition's journal entry without its description, at {}", entry.first);
  return d;
}

}  // namespace sg::broker
