// ListOffsets: earliest, latest, greatest timestamp, or the first record from a timestamp on. Times are looked up in the journal's
// descriptors; only the one batch that holds the answer is read. Inside a compressed batch, which the broker does not open, the answer
// is the batch's first offset: a consumer then sees some earlier records, and misses none.
#include "broker/kafka/list_offsets.h"

#include "base/probe.h"
#include "broker/batch_io.h"
#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/speaker.h"
#include "broker/kafka/record.h"

namespace sg::broker {
namespace {

using kafka::ErrorCode;
using kafka::ListOffsetsRequest;
using kafka::ListOffsetsResponse;

// The batch below the high watermark with the first max_timestamp >= `timestamp`, or (kMaxTimestamp) with the greatest.
std::optional<replica::Descriptor> find_batch(Services& services, const Replica& replica, int64_t timestamp) {
  std::optional<replica::Descriptor> best;
  for (const wal::Entry& entry : services.partitions.entries(replica)) {
    replica::Descriptor d = descriptor_of(entry);
    if (d.end() > replica.core.log().high_watermark()) break;
    if (timestamp == ListOffsetsRequest::kMaxTimestamp) {
      if (!best || d.info.max_timestamp > best->info.max_timestamp) best = d;
    } else if (d.info.max_timestamp >= timestamp) {
      return d;
    }
  }
  return best;
}

void look_up_time(Task& task, Services& services, const Replica& replica, int64_t timestamp, ListOffsetsResponse::Partition& out) {
  std::optional<replica::Descriptor> batch = find_batch(services, replica, timestamp);
  // A new leader does not know yet how much of its log is committed: what was not found may be there, and a later one too.
  const replica::OffsetAnswer latest = replica.core.latest();
  if ((!batch || timestamp == ListOffsetsRequest::kMaxTimestamp) && latest.outcome != replica::Outcome::ok) {
    REACHED("list offsets: a time is looked up before the high watermark is known");
    out.error_code = to_kafka(latest.outcome);
    return;
  }
  if (!batch) return;  // offset -1: no such record
  const int64_t wanted = timestamp == ListOffsetsRequest::kMaxTimestamp ? batch->info.max_timestamp : timestamp;
  out.leader_epoch = batch->epoch;
  out.offset = batch->base;
  out.timestamp = batch->info.max_timestamp;
  auto read = services.partitions.read(task, replica.stream, batch->base, batch->end(), 0, true);
  if (!read || read->empty()) {
    out.error_code = ErrorCode::kafka_storage_error;
    out.offset = Offset(-1);
    return;
  }
  auto records = kafka::read_records(read->front().payload);
  if (!records) return;  // compressed
  for (const kafka::Record& record : *records)
    if (record.timestamp_ms >= wanted) {
      out.offset = record.offset;
      out.timestamp = record.timestamp_ms;
      return;
    }
}

// From which version on a timestamp means something; none: in no version.
std::optional<int16_t> known_since(int64_t timestamp) {
  switch (timestamp) {
    case ListOffsetsRequest::kLatest:
    case ListOffsetsRequest::kEarliest: return 0;
    case ListOffsetsRequest::kMaxTimestamp: return 7;
    case ListOffsetsRequest::kEarliestLocal: return 8;
    case ListOffsetsRequest::kLatestTiered: return 9;
    default: return timestamp < 0 ? std::nullopt : std::optional<int16_t>(0);
  }
}

void answer_partition(Task& task, Services& services, int16_t version, const std::string& topic, const ListOffsetsRequest::Partition& asked,
                      ListOffsetsResponse::Partition& out) {
  out.partition_index = asked.partition_index;
  if (const auto since = known_since(asked.timestamp); !since || version < *since) {
    REACHED("list offsets: a timestamp that means nothing in that version");
    out.error_code = ErrorCode::unsupported_version;
    return;
  }
  const replica::Asked question{replica::Question::look_up, asked.current_leader_epoch};
  const Addressed to = address(services, topic, asked.partition_index, question);
  if (!to.replica) {
    out.error_code = to.error;
    return;
  }
  const replica::Partition& core = to.replica->core;
  switch (asked.timestamp) {
    case ListOffsetsRequest::kEarliest:
    case ListOffsetsRequest::kEarliestLocal: {
      out.offset = core.log().log_start();
      out.leader_epoch = core.leader_epoch();
      return;
    }
    case ListOffsetsRequest::kLatest: {
      replica::OffsetAnswer latest = core.latest();
      out.error_code = to_kafka(latest.outcome);
      if (latest.outcome == replica::Outcome::ok) {
        out.offset = latest.offset;
        out.leader_epoch = core.leader_epoch();
      }
      return;
    }
    case ListOffsetsRequest::kLatestTiered: return;  // nothing is tiered: no such offset
    default: {
      look_up_time(task, services, *to.replica, asked.timestamp, out);
      // Others ran meanwhile.
      const Addressed still = address(services, topic, asked.partition_index, question);
      if (still.replica) return;
      out = ListOffsetsResponse::Partition();
      out.partition_index = asked.partition_index;
      out.error_code = still.error;
    }
  }
}

}  // namespace

Result<> handle_list_offsets(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<ListOffsetsRequest>(call->header.api_version, call->body));
  spawn_for(call, "list offsets", [&services, call, request = std::move(request)](Task& task) {
    ListOffsetsResponse response;
    for (const auto& topic : request.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      for (const auto& asked : topic.partitions)
        answer_partition(task, services, call->header.api_version, topic.name, asked, out.partitions.emplace_back());
    }
    call->respond(response);
  });
  return {};
}

}  // namespace sg::broker
