#include "scenarios/checks/asked_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

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

// The same partitions in the same order.
template <class Request, class Response>
bool same_partitions(const Request& asked, const Response& answer) {
  return std::ranges::equal(topics_of(asked), topics_of(answer), [](const auto& wanted, const auto& told) {
    return name_of(wanted) == name_of(told) && std::ranges::equal(partitions_of(wanted), partitions_of(told),
                                                                  [](const auto& a, const auto& b) { return index_of(a) == index_of(b); });
  });
}

bool is_plain(const kafka::FetchResponse::Partition& p) { return p.error_code == ErrorCode::none && p.diverging_epoch.end_offset.v < 0; }

}  // namespace

AskedChecks::Given AskedChecks::given(const kafka::FetchResponse::Partition& p) {
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

template <class Request, class Response>
bool AskedChecks::speaks_of(MachineId by, std::string_view api, const Request& asked, const Response& answer) {
  return judge_.check(Check::asked, same_partitions(asked, answer), [&] {
    return fmt::format("machine {} answers {} with [{}]; asked for are [{}]", by, api, fmt::join(names_of(answer), ", "),
                       fmt::join(names_of(asked), ", "));
  });
}

void AskedChecks::judge_records(MachineId by, const std::string& topic, const kafka::FetchRequest::Partition& asked,
                                const kafka::FetchResponse::Partition& p, const Given& g) {
  if (g.batches > 0)
    judge_.check(Check::asked, g.first <= asked.fetch_offset && asked.fetch_offset < g.next && !g.has_gap, [&] {
      return fmt::format(
          "machine {} answers a Fetch of {}-{} from {} on with [{}, {}){}; expected: batches one behind the other, from that offset on", by,
          topic, asked.partition, asked.fetch_offset, g.first, g.next, g.has_gap ? " and gaps" : "");
    });
  if (!is_plain(p)) return;
  // No transactions, so what is committed is stable. Versions below 4 do not tell.
  judge_.check(Check::asked, p.last_stable_offset == p.high_watermark || p.last_stable_offset.v < 0, [&] {
    return fmt::format("machine {} tells a last stable offset of {} for {}-{}; expected: the high watermark, {}", by, p.last_stable_offset,
                       topic, asked.partition, p.high_watermark);
  });
}

void AskedChecks::on_fetched(MachineId by, Duration waited, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) {
  if (answer.error_code != ErrorCode::none || !speaks_of(by, "Fetch", asked, answer)) return;
  bool plain = true;  // nothing but records is said
  bool too_large = false;
  bool untold = false;  // there is more than was given
  Given all;
  for (size_t t = 0; t < asked.topics.size(); ++t)
    for (size_t i = 0; i < asked.topics[t].partitions.size(); ++i) {
      const kafka::FetchRequest::Partition& wanted = asked.topics[t].partitions[i];
      const kafka::FetchResponse::Partition& p = answer.responses[t].partitions[i];
      const Given g = given(p);
      judge_records(by, asked.topics[t].topic, wanted, p, g);
      plain = plain && is_plain(p);
      untold = untold || (g.batches == 0 && wanted.fetch_offset < p.high_watermark);
      const auto most = static_cast<size_t>(std::max(0, wanted.partition_max_bytes));
      too_large = too_large || (g.bytes > most && (g.batches > 1 || all.batches > 0));
      all.bytes += g.bytes;
      all.batches += g.batches;
    }
  // The first batch comes whatever its size, so that a consumer is never stuck before a large one.
  const auto most = static_cast<size_t>(std::max(0, asked.max_bytes));
  judge_.check(Check::asked, !too_large && (all.bytes <= most || all.batches == 1), [&] {
    return fmt::format(
        "machine {} answers a Fetch with {} batches, {} bytes; expected: at most {}, and as many of each partition as asked, or one batch",
        by, all.batches, all.bytes, most);
  });
  const auto least = static_cast<size_t>(std::max(0, asked.min_bytes));
  const Duration patience = std::chrono::milliseconds(std::max(0, asked.max_wait_ms));
  const bool in_time = all.bytes >= least || waited + kTick + patience / kDrift >= patience;
  judge_.check(Check::asked, !plain || asked.topics.empty() || in_time, [&] {
    return fmt::format("machine {} answers a Fetch after {} ms with {} bytes; asked for were {} within {} ms", by, waited / 1ms, all.bytes,
                       least, patience / 1ms);
  });
  judge_.check(Check::asked, !plain || all.bytes > 0 || !untold, [&] {
    return fmt::format("machine {} gives nothing of [{}], of some of which it says that there is more", by,
                       fmt::join(names_of(asked), ", "));
  });
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
