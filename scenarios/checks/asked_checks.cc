#include "scenarios/checks/asked_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/kafka/record_batch.h"
#include "scenarios/observe/by_partition.h"

namespace sg::scenario {
namespace {

using kafka::ErrorCode;

constexpr Duration kTick = 1ms;  // the grain of the times that clients name: a turn's clock stands while requests are read
constexpr int kDrift = 5;        // a broker's clock may go wrong by less than a fifth

template <class Message>
std::vector<std::string> names_of(const Message& m) {
  std::vector<std::string> out;
  for_each_partition(m, [&](std::string_view topic, const auto& p) { out.push_back(fmt::format("{}-{}", topic, index_of(p))); });
  return out;
}

// What an answer gives of one partition.
struct Given {
  size_t bytes = 0;
  size_t batches = 0;
  Offset first, next;  // of the records; equal if there are none
  bool has_gap = false;
};

Given given(const kafka::FetchResponse::Partition& p) {
  Given out;
  if (!p.records) return out;
  for (const SharedBytes& piece : p.records->pieces) {
    auto split = kafka::split_batches(piece);
    if (!split) return out;  // another check's business
    for (const SharedBytes& bytes : split->batches) {
      const kafka::BatchView batch(bytes);
      if (out.batches == 0) out.first = batch.base_offset();
      out.has_gap = out.has_gap || (out.batches > 0 && batch.base_offset() != out.next);
      out.next = batch.last_offset() + 1;
      out.bytes += bytes.size();
      ++out.batches;
    }
  }
  return out;
}

}  // namespace

template <class Request, class Response>
bool AskedChecks::speaks_of(MachineId by, std::string_view api, const Request& asked, const Response& answer) {
  const std::vector<std::string> wanted = names_of(asked), told = names_of(answer);
  return judge_.check(Check::asked, wanted == told, [&] {
    return fmt::format("machine {} answers {} with [{}]; asked for are [{}]", by, api, fmt::join(told, ", "), fmt::join(wanted, ", "));
  });
}

void AskedChecks::on_fetched(MachineId by, Duration waited, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) {
  if (answer.error_code != ErrorCode::none || !speaks_of(by, "Fetch", asked, answer)) return;
  bool plain = true;  // nothing but records is said
  Given all;
  bool too_large = false;
  std::string untold;  // of which there is more than was given
  for (size_t t = 0; t < asked.topics.size(); ++t)
    for (size_t i = 0; i < asked.topics[t].partitions.size(); ++i) {
      const kafka::FetchRequest::Partition& wanted = asked.topics[t].partitions[i];
      const kafka::FetchResponse::Partition& p = answer.responses[t].partitions[i];
      const auto name = [&] { return fmt::format("{}-{}", asked.topics[t].topic, wanted.partition); };
      plain = plain && p.error_code == ErrorCode::none && p.diverging_epoch.end_offset.v < 0;
      const Given g = given(p);
      if (g.batches > 0)
        judge_.check(Check::asked, g.first <= wanted.fetch_offset && wanted.fetch_offset < g.next && !g.has_gap, [&] {
          return fmt::format(
              "machine {} answers a Fetch of {} from {} on with [{}, {}){}; expected: batches one behind the other, the first of "
              "which holds that offset",
              by, name(), wanted.fetch_offset, g.first, g.next, g.has_gap ? " and gaps" : "");
        });
      if (p.error_code == ErrorCode::none && p.diverging_epoch.end_offset.v < 0) {
        // No transactions, so what is committed is stable. Versions below 4 do not tell.
        judge_.check(Check::asked, p.last_stable_offset == p.high_watermark || p.last_stable_offset.v < 0, [&] {
          return fmt::format("machine {} tells a last stable offset of {} for {}; expected: the high watermark, {}", by,
                             p.last_stable_offset, name(), p.high_watermark);
        });
        if (g.batches == 0 && wanted.fetch_offset < p.high_watermark && untold.empty()) untold = name();
      }
      const auto most = static_cast<size_t>(std::max(0, wanted.partition_max_bytes));
      too_large = too_large || (g.bytes > most && (g.batches > 1 || all.batches > 0));
      all.bytes += g.bytes;
      all.batches += g.batches;
    }
  // The first batch comes whatever its size, so that a consumer is never stuck before a large one.
  const auto most = static_cast<size_t>(std::max(0, asked.max_bytes));
  judge_.check(Check::asked, !too_large && (all.bytes <= most || all.batches == 1), [&] {
    return fmt::format(
        "machine {} answers a Fetch with {} batches, {} bytes; expected: at most {}, and as many of each partition as asked, or "
        "one batch",
        by, all.batches, all.bytes, most);
  });
  const auto least = static_cast<size_t>(std::max(0, asked.min_bytes));
  const Duration patience = std::chrono::milliseconds(std::max(0, asked.max_wait_ms));
  judge_.check(Check::asked, !plain || asked.topics.empty() || all.bytes >= least || waited + kTick + patience / kDrift >= patience, [&] {
    return fmt::format("machine {} answers a Fetch after {} ms with {} bytes; asked for were {} within {} ms", by, waited / 1ms, all.bytes,
                       least, patience / 1ms);
  });
  judge_.check(Check::asked, !plain || all.bytes > 0 || untold.empty(),
               [&] { return fmt::format("machine {} gives nothing of {}, of which it says that there is more", by, untold); });
}

void AskedChecks::on_offsets(MachineId by, const kafka::ListOffsetsRequest& asked, const kafka::ListOffsetsResponse& answer) {
  (void)speaks_of(by, "ListOffsets", asked, answer);
}

void AskedChecks::on_produced(MachineId by, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) {
  if (!speaks_of(by, "Produce", asked, answer)) return;
  for_each_partition(answer, [&](std::string_view topic, const kafka::ProduceResponse::Partition& p) {
    judge_.check(Check::asked, (p.error_code == ErrorCode::none) == (p.base_offset.v >= 0), [&] {
      return fmt::format("machine {} answers a Produce to {}-{} with {} and base offset {}", by, topic, p.index,
                         kafka::to_string(p.error_code), p.base_offset);
    });
  });
}

// By name; who asks by id hears names that it did not know.
void AskedChecks::on_metadata(MachineId by, const kafka::MetadataRequest& asked, const kafka::MetadataResponse& answer) {
  if (!asked.topics || asked.topics->empty()) return;
  std::vector<std::string_view> wanted, told;
  for (const auto& t : *asked.topics) {
    if (!t.name) return;
    wanted.push_back(*t.name);
  }
  for (const auto& t : answer.topics) told.push_back(name_of(t));
  judge_.check(Check::asked, wanted == told, [&] {
    return fmt::format("machine {} answers Metadata with [{}]; asked for are [{}]", by, fmt::join(told, ", "), fmt::join(wanted, ", "));
  });
}

}  // namespace sg::scenario
