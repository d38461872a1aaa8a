#include "scenarios/bench/single_write.h"

#include "broker/kafka/produce.h"
#include "broker/kafka/record.h"

namespace sg::scenario {
namespace {

constexpr int16_t kProduceVersion = 9;
constexpr Duration kBrokerTimeout = 5s;
constexpr Duration kRequestTimeout = 6s;  // lets the broker answer first

}  // namespace

Result<kafka::ErrorCode> write_one(Task& task, BrokerConnection& broker, const BenchOptions& options, int32_t partition,
                                   int64_t timestamp_ms) {
  const ByteVec value(static_cast<size_t>(options.size), uint8_t{'x'});
  kafka::Record record;
  record.timestamp_ms = timestamp_ms;
  record.value = value;
  kafka::BatchBuilder builder(kafka::BatchProducer{});
  builder.add(record);
  kafka::ProduceRequest request;
  request.acks = options.acks;
  request.timeout_ms = static_cast<int32_t>(kBrokerTimeout / 1ms);
  request.topic_data.push_back({.name = options.topic, .partition_data = {{.index = partition, .records = builder.finish()}}});
  if (options.acks == 0) {
    TRY_DO(broker.send_only(kProduceVersion, request));
    TRY_DO(task.yield());
    return kafka::ErrorCode::none;
  }
  TRY(auto response, broker.call(task, kProduceVersion, request, task.now() + kRequestTimeout));
  if (response.responses.size() != 1 || response.responses[0].partition_responses.size() != 1)
    return fail(Errc::invalid, "the answer to a write names other partitions than were asked for");
  return response.responses[0].partition_responses[0].error_code;
}

}  // namespace sg::scenario
