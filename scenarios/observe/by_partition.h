// Kafka's requests and answers partition by partition: each message names its topics and partitions in its own words.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/kafka/fetch.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"
#include "broker/kafka/record_batch.h"

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

// What a message says of that partition when it names it for the n-th time, from 0; null: it does not.
template <class Message>
const auto* partition_in(const Message& m, std::string_view topic, int32_t index, size_t nth = 0) {
  using Partition = std::remove_cvref_t<decltype(partitions_of(topics_of(m).front()).front())>;
  const Partition* found = nullptr;
  for_each_partition(m, [&](std::string_view name, const Partition& p) {
    if (!found && name == topic && index_of(p) == index && nth-- == 0) found = &p;
  });
  return found;
}

// Calls sink(topic's name, what was asked of a partition, its answer) for each. Who asks twice is answered twice, in that order; of what
// nobody asked for nothing is told.
template <class Request, class Response, class Sink>
void for_each_answer(const Request& asked, const Response& answer, Sink&& sink) {
  std::vector<std::pair<std::string_view, int32_t>> before;
  for_each_partition(answer, [&](std::string_view name, const auto& p) {
    const auto named = before.emplace_back(name, index_of(p));
    const auto nth = static_cast<size_t>(std::ranges::count(before, named)) - 1;
    if (const auto* question = partition_in(asked, name, index_of(p), nth)) sink(name, *question, p);
  });
}

// A whole batch's header is there. Null: no.
inline const SharedBytes* batch_of(const kafka::ProduceRequest::Partition& p) {
  return p.records && p.records->size() >= kafka::kBatchHeaderBytes ? &*p.records : nullptr;
}

}  // namespace sg::scenario
