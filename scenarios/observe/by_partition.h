// Kafka's requests and answers partition by partition: each message names its topics and partitions in its own words.
#pragma once

#include <string>
#include <string_view>

#include "broker/kafka/fetch.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"

namespace sg::scenario {

inline const auto& topics_of(const kafka::ProduceRequest& m) { return m.topic_data; }
inline const auto& topics_of(const kafka::ProduceResponse& m) { return m.responses; }
inline const auto& topics_of(const kafka::FetchRequest& m) { return m.topics; }
inline const auto& topics_of(const kafka::FetchResponse& m) { return m.responses; }
inline const auto& topics_of(const kafka::ListOffsetsRequest& m) { return m.topics; }
inline const auto& topics_of(const kafka::ListOffsetsResponse& m) { return m.topics; }
inline const auto& topics_of(const kafka::MetadataResponse& m) { return m.topics; }

inline const auto& partitions_of(const kafka::ProduceRequest::Topic& t) { return t.partition_data; }
inline const auto& partitions_of(const kafka::ProduceResponse::Topic& t) { return t.partition_responses; }
template <class Topic>
const auto& partitions_of(const Topic& t) {
  return t.partitions;
}

inline std::string_view name_of(const kafka::FetchRequest::Topic& t) { return t.topic; }
inline std::string_view name_of(const kafka::FetchResponse::Topic& t) { return t.topic; }
inline std::string_view name_of(const kafka::MetadataResponse::Topic& t) { return t.name ? std::string_view(*t.name) : ""; }
template <class Topic>
std::string_view name_of(const Topic& t) {
  return t.name;
}

template <class Partition>
int32_t index_of(const Partition& p) {
  if constexpr (requires { p.partition_index; })
    return p.partition_index;
  else if constexpr (requires { p.partition; })
    return p.partition;
  else
    return p.index;
}

// Calls sink(topic's name, partition) for each.
template <class Message, class Sink>
void for_each_partition(const Message& m, Sink&& sink) {
  for (const auto& t : topics_of(m))
    for (const auto& p : partitions_of(t)) sink(name_of(t), p);
}

// What a message says of that partition first; null: nothing.
template <class Message>
const auto* partition_in(const Message& m, std::string_view topic, int32_t index) {
  using Partition = std::remove_cvref_t<decltype(partitions_of(topics_of(m).front()).front())>;
  const Partition* found = nullptr;
  for_each_partition(m, [&](std::string_view name, const Partition& p) {
    if (!found && name == topic && index_of(p) == index) found = &p;
  });
  return found;
}

// The batch that is sent to that partition; null: none.
inline const SharedBytes* records_of(const kafka::ProduceRequest& asked, std::string_view topic, int32_t index) {
  const auto* p = partition_in(asked, topic, index);
  return p && p->records ? &*p->records : nullptr;
}

// The epoch that the request names as the leader's.
template <class Request>
LeaderEpoch named_epoch(const Request& request, std::string_view topic, int32_t index) {
  const auto* p = partition_in(request, topic, index);
  return p ? p->current_leader_epoch : kNoLeaderEpoch;
}

}  // namespace sg::scenario
