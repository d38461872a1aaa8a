#include "scenarios/client/consumer.h"

#include "broker/kafka/fetch.h"
#include "broker/kafka/list_offsets.h"

namespace sg::scenario {
namespace {

using kafka::ErrorCode;

constexpr int16_t kFetchVersion = 12;
constexpr int16_t kListOffsetsVersion = 6;

}  // namespace

PartitionConsumer::PartitionConsumer(ClusterClient& client, std::string topic, int32_t partition, ConsumerOptions options, Offset from)
    : client_(client), topic_(std::move(topic)), partition_(partition), options_(options), position_(from) {}

Result<Fetched> PartitionConsumer::poll(Task& task, Time deadline) {
  while (true) {
    auto leader = client_.find_leader(task, topic_, partition_, deadline);
    if (!leader) return std::unexpected(leader.error());
    auto connection = client_.connection(task, leader->node);
    if (connection.is(Errc::stopped)) return std::unexpected(connection.error());
    if (connection) {
      Result<Fetched> fetched = attempt(task, *leader, **connection);
      if (fetched || fetched.is(Errc::stopped) || fetched.is(Errc::invalid) || fetched.is(Errc::not_found)) return fetched;
    }
    client_.forget_leader(topic_, partition_);
    if (task.now() >= deadline) return fail(Errc::timeout, fmt::format("{}-{}: no leader answers", topic_, partition_));
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
  }
}

Result<Fetched> PartitionConsumer::attempt(Task& task, Leader leader, BrokerConnection& connection) {
  kafka::FetchRequest request;
  request.max_wait_ms = static_cast<int32_t>(options_.max_wait / 1ms);
  request.min_bytes = options_.min_bytes;
  request.max_bytes = options_.max_bytes;
  kafka::FetchRequest::Partition asked;
  asked.partition = partition_;
  if (options_.names_epochs) asked.current_leader_epoch = leader.epoch;
  asked.last_fetched_epoch = last_epoch_;
  asked.fetch_offset = position_;
  asked.partition_max_bytes = options_.max_bytes;
  request.topics.push_back({.topic = topic_, .partitions = {asked}});
  const int16_t version = client_.options().versions.of(kafka::ApiKey::fetch, kFetchVersion, options_.names_epochs ? kFetchVersion : 0);
  auto response = connection.call(task, version, request, task.now() + options_.request_timeout + options_.max_wait);
  if (!response) return std::unexpected(response.error());
  if (response->error_code != ErrorCode::none) return fail(Errc::unavailable, "fetch refused");
  if (response->responses.size() != 1 || response->responses[0].partitions.size() != 1)
    return fail(Errc::invalid, "the answer to a fetch names other partitions than were asked for");
  kafka::FetchResponse::Partition& p = response->responses[0].partitions[0];
  if (p.error_code == ErrorCode::offset_out_of_range)
    return fail(Errc::not_found, fmt::format("{}-{}: offset {} is out of range at broker {} (epoch {}, high watermark {})", topic_,
                                             partition_, position_, leader.node, leader.epoch, p.high_watermark));
  if (p.error_code != ErrorCode::none) return fail(Errc::unavailable, kafka::to_string(p.error_code));
  if (p.diverging_epoch.end_offset.v >= 0)
    return fail(Errc::invalid, fmt::format("{}-{}: broker {} (epoch {}) wants {} read records back, down to offset {}", topic_, partition_,
                                           leader.node, leader.epoch, position_, p.diverging_epoch.end_offset));
  Fetched out{
      .broker = leader.node, .leader_epoch = asked.current_leader_epoch, .high_watermark = p.high_watermark, .records = {}, .batches = {}};
  if (!p.records) return out;
  for (const SharedBytes& piece : p.records->pieces) {
    TRY(kafka::SplitBatches split, kafka::split_batches(piece));
    for (SharedBytes& batch : split.batches) {
      auto records = kafka::read_records(batch);
      if (!records) return fail(Errc::invalid, fmt::format("{}-{} at {}: {}", topic_, partition_, position_, records.error().what));
      for (kafka::Record& record : *records) {
        if (record.offset < position_) continue;  // a batch comes whole, also from its middle
        if (record.offset >= p.high_watermark)
          return fail(Errc::invalid, fmt::format("{}-{}: offset {} was served at or above the high watermark {}", topic_, partition_,
                                                 record.offset, p.high_watermark));
        position_ = record.offset + 1;
        out.records.push_back(std::move(record));
      }
      last_epoch_ = kafka::BatchView(batch).partition_leader_epoch();
      out.batches.push_back(std::move(batch));
    }
  }
  return out;
}

Result<Offset> PartitionConsumer::latest(Task& task, Time deadline) {
  while (true) {
    auto leader = client_.find_leader(task, topic_, partition_, deadline);
    if (!leader) return std::unexpected(leader.error());
    auto connection = client_.connection(task, leader->node);
    if (connection.is(Errc::stopped)) return std::unexpected(connection.error());
    if (connection) {
      kafka::ListOffsetsRequest request;
      request.topics.push_back(
          {.name = topic_,
           .partitions = {
               {.partition_index = partition_, .current_leader_epoch = leader->epoch, .timestamp = kafka::ListOffsetsRequest::kLatest}}});
      auto response = (*connection)->call(task, kListOffsetsVersion, request, task.now() + options_.request_timeout);
      if (response.is(Errc::stopped)) return std::unexpected(response.error());
      if (response && response->topics.size() == 1 && response->topics[0].partitions.size() == 1 &&
          response->topics[0].partitions[0].error_code == ErrorCode::none)
        return response->topics[0].partitions[0].offset;
    }
    client_.forget_leader(topic_, partition_);
    if (task.now() >= deadline) return fail(Errc::timeout, fmt::format("{}-{}: no leader answers", topic_, partition_));
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
  }
}

}  // namespace sg::scenario
