// Record batches wherever they come in: from a client, from the node that leads, in the runs that a fetch brings; and single records.
#include <algorithm>

#include "base/crc32c.h"
#include "broker/batch_io.h"
#include "broker/kafka/record.h"
#include "broker/kafka/record_batch.h"
#include "tests/hostile/target.h"

namespace sg::hostile {
namespace {

using namespace kafka;

constexpr size_t kLengthAt = 8;
constexpr size_t kCrcAt = 17;
constexpr size_t kAttributesAt = 21;

void seal_batch(MutableByteSpan bytes) {
  if (bytes.size() < kBatchHeaderBytes) return;
  store_be<int32_t>(bytes.data() + kLengthAt, static_cast<int32_t>(bytes.size() - kBatchPrefixBytes));
  store_be<uint32_t>(bytes.data() + kCrcAt, crc32c(ByteSpan(bytes).subspan(kAttributesAt)));
}

ByteVec sample(int records, BatchProducer producer = {}) {
  BatchBuilder builder(producer);
  for (int i = 0; i < records; ++i) {
    Record record{
        .offset = {}, .timestamp_ms = 1'700'000'000'000 + 3 * i, .key = as_bytes("key"), .value = as_bytes("a value"), .headers = {}};
    if (i % 3 == 1) record.key = std::nullopt;
    if (i % 3 == 2) record.value = std::nullopt;
    if (i % 2 == 0) record.headers = {{as_bytes("name"), as_bytes("text")}, {as_bytes("empty"), std::nullopt}};
    builder.add(record);
  }
  SharedBytes batch = builder.finish();
  return ByteVec(batch.data(), batch.data() + batch.size());
}

// Batches are opaque when compressed: any bytes will do.
ByteVec compressed(Compression codec) {
  ByteVec batch = sample(2);
  store_be<int16_t>(batch.data() + kAttributesAt, static_cast<int16_t>(codec));
  seal_batch(batch);
  return batch;
}

std::vector<ByteVec> samples() {
  return {sample(1),
          sample(5),
          sample(3, {.id = ProducerId{77}, .epoch = 2, .base_sequence = INT32_MAX - 1}),
          sample(2, {.id = ProducerId{78}, .epoch = 0, .base_sequence = 0, .transactional = true}),
          compressed(Compression::gzip),
          compressed(Compression::zstd)};
}

// What the rest of the broker relies on in a batch that was let in.
void check_accepted(const broker::IncomingBatch& batch, Verdict& verdict) {
  replica::Descriptor d{broker::base_offset_of(batch), broker::leader_epoch_of(batch), batch.info};
  if (d.end() <= d.base) verdict.complain(fmt::format("ends at {}, begins at {}", d.end(), d.base));
  if (d.info.bytes != batch.bytes.size()) verdict.complain(fmt::format("says {} bytes", d.info.bytes));
}

constexpr size_t kErrorText = 1024;

// --- From a client ----------------------------------------------------------------------------------------------------------------

Verdict decode_produced(int16_t version, const SharedBytes& bytes) {
  Verdict verdict;
  BatchFault fault = within(kErrorText, verdict, [&] { return validate_produced(bytes, version); });
  if (fault) {
    if (fault.what.empty()) verdict.complain("is refused without a reason");
    return verdict;
  }
  verdict.decoded = true;
  broker::IncomingBatch batch = broker::accept_batch(bytes);
  broker::stamp(batch, Offset{INT64_C(1) << 40}, LeaderEpoch{3});
  check_accepted(batch, verdict);
  // What a leader writes, its followers accept.
  if (auto received = broker::receive_batch(batch.bytes); !received) verdict.complain("peers refuse it: " + received.error().what);
  stamp_log_append_time(batch.bytes.writable(), INT64_MAX);
  if (!BatchView(batch.bytes).crc_holds()) verdict.complain("the checksum was not renewed");
  return verdict;
}

// --- From a peer, and in runs -----------------------------------------------------------------------------------------------------

Verdict decode_received(const SharedBytes& bytes) {
  Verdict verdict;
  auto batch = within(kErrorText, verdict, [&] { return broker::receive_batch(bytes); });
  if (!batch) {
    if (!batch.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(batch.code())));
    return verdict;
  }
  verdict.decoded = true;
  check_accepted(*batch, verdict);
  return verdict;
}

Verdict decode_run(const SharedBytes& run) {
  Verdict verdict;
  // A slice per batch of at least a header, in a vector that grows.
  size_t allowance = 4 * sizeof(SharedBytes) * (run.size() / kBatchHeaderBytes + 1) + kErrorText;
  auto split = within(allowance, verdict, [&] { return split_batches(run); });
  if (!split) {
    if (!split.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(split.code())));
    return verdict;
  }
  verdict.decoded = true;
  size_t at = 0;
  for (const SharedBytes& bytes : split->batches) {
    BatchView batch(bytes);  // at least a header
    if (bytes.data() != run.data() + at || batch.batch_length() != static_cast<int64_t>(bytes.size() - kBatchPrefixBytes))
      verdict.complain(fmt::format("the batch at {} is not where it should be", at));
    (void)batch.crc_holds();
    at += bytes.size();
  }
  if (at != split->used || at > run.size()) verdict.complain(fmt::format("{} bytes used, batches of {}", split->used, at));
  return verdict;
}

// --- Records ----------------------------------------------------------------------------------------------------------------------

bool same(const std::optional<ByteSpan>& a, const std::optional<ByteSpan>& b) {
  return a.has_value() == b.has_value() && (!a || equal(*a, *b));
}

bool same(const Record& a, const Record& b) {
  auto same_header = [](const Record::Header& x, const Record::Header& y) { return equal(x.key, y.key) && same(x.value, y.value); };
  return a.timestamp_ms == b.timestamp_ms && same(a.key, b.key) && same(a.value, b.value) &&
         std::ranges::equal(a.headers, b.headers, same_header);
}

Verdict decode_records(const SharedBytes& bytes) {
  Verdict verdict;
  // A header of a record takes two bytes on the wire, and a vector that grows asks for four times what it holds.
  size_t allowance = 4 * sizeof(Record::Header) / 2 * bytes.size() + kErrorText;
  auto records = within(allowance, verdict, [&] { return read_records(bytes); });
  if (!records) {
    if (!records.is(Errc::corrupt) && !records.is(Errc::unsupported))
      verdict.complain(fmt::format("refused as {}, expected corrupt or unsupported", to_string(records.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (records->empty()) return verdict;
  BatchBuilder builder;
  for (const Record& record : *records) builder.add(record);
  SharedBytes rebuilt = builder.finish();
  auto again = read_records(rebuilt);
  if (!again || !std::ranges::equal(*again, *records, [](const Record& a, const Record& b) { return same(a, b); }))
    verdict.complain("its records come back as others");
  return verdict;
}

ByteVec concatenated(const std::vector<ByteVec>& parts) {
  ByteVec all;
  for (const ByteVec& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

std::vector<Target> batch_targets() {
  std::vector<Target> targets;
  std::vector<ByteVec> plain = samples();
  plain.resize(4);  // the uncompressed ones
  for (int16_t version : {int16_t{3}, int16_t{9}}) {
    std::vector<ByteVec> corpus = samples();
    if (version < 7) corpus.pop_back();  // zstd
    targets.push_back({.name = fmt::format("produced batch v{}", version),
                       .corpus = std::move(corpus),
                       .decode = [=](const SharedBytes& bytes) { return decode_produced(version, bytes); },
                       .seal = &seal_batch});
  }
  targets.push_back({.name = "batch from a peer", .corpus = samples(), .decode = &decode_received, .seal = &seal_batch});
  ByteVec cut = sample(3);
  cut.erase(cut.end() - 10, cut.end());
  targets.push_back({.name = "run of batches", .corpus = {concatenated(samples()), concatenated({sample(2), cut})}, .decode = &decode_run});
  targets.push_back({.name = "records", .corpus = std::move(plain), .decode = &decode_records, .seal = &seal_batch});
  return targets;
}

}  // namespace sg::hostile
