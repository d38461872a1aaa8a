// Fetch: whole batches from an offset up to the high watermark. A fetch that finds too little waits until a high watermark moves, a
// role changes, or its time is over. Records go from the journal's memory to the socket without a copy. Fetch sessions are not offered
// (session id 0), so every request names all its partitions.
#include "broker/kafka/fetch.h"

#include "base/probe.h"
#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/leader_hint.h"

namespace sg::broker {
namespace {

using kafka::ErrorCode;
using kafka::FetchRequest;
using kafka::FetchResponse;

struct Progress {
  explicit Progress(const ClientConnection& connection) : room(connection) {}
  AnswerRoom room;
  size_t bytes = 0;
  bool has_error = false;
};

// The streams that the request waits on. Registered again after each look, since partitions come and go.
class Readers {
 public:
  Readers(Partitions& partitions, Signal& signal) : partitions_(partitions), signal_(signal) {}
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers() {
    for (StreamId stream : streams_) partitions_.remove_reader(stream, signal_);
  }
  void add(Replica& replica) {
    partitions_.add_reader(replica, signal_);
    streams_.push_back(replica.stream);
  }

 private:
  Partitions& partitions_;
  Signal& signal_;
  std::vector<StreamId> streams_;
};

Replica* find(Services& services, const std::string& topic, int32_t partition, FetchResponse::Partition& out) {
  const metadata::Topic* known = services.catalogue().topic(topic);
  if (!known || partition < 0 || static_cast<size_t>(partition) >= known->partitions.size()) {
    out.error_code = ErrorCode::unknown_topic_or_partition;
    return nullptr;
  }
  Replica* replica =
      services.membership.registered() ? services.partitions.find(known->partitions[static_cast<size_t>(partition)]) : nullptr;
  if (!replica || replica->core.role() != replica::Role::leader) {
    out.error_code = replica && replica->damaged ? ErrorCode::kafka_storage_error : ErrorCode::not_leader_or_follower;
    std::vector<kafka::NodeEndpoint> endpoints;
    add_leader_hint(services.catalogue(), topic, partition, out.current_leader, endpoints);
    return nullptr;
  }
  return replica;
}

// False if the answer for this partition is complete as it stands in `out`.
bool check_epochs(const Replica& replica, const FetchRequest::Partition& asked, FetchResponse::Partition& out) {
  const LeaderEpoch current = replica.core.leader_epoch();
  if (asked.current_leader_epoch != kNoLeaderEpoch && asked.current_leader_epoch != current) {
    out.error_code = asked.current_leader_epoch < current ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch;
    if (asked.current_leader_epoch < current) out.current_leader = {replica.core.leader(), current};
    return false;
  }
  if (asked.last_fetched_epoch != kNoLeaderEpoch) {
    replica::EpochEnd end = replica.core.log().end_of(asked.last_fetched_epoch);
    if (end.epoch < asked.last_fetched_epoch || end.end < asked.fetch_offset) {
      REACHED("fetch: the client's log has diverged");
      out.diverging_epoch = {end.epoch, end.end};
      return false;
    }
  }
  return true;
}

void fetch_partition(Task& task, Services& services, const FetchRequest& request, const FetchRequest::Topic& topic,
                     const FetchRequest::Partition& asked, FetchResponse::Partition& out, Progress& progress, Readers& readers) {
  out.partition_index = asked.partition;
  out.high_watermark = Offset(-1);
  out.records = kafka::Records{};
  Replica* replica = find(services, topic.topic, asked.partition, out);
  if (!replica || !check_epochs(*replica, asked, out)) {
    progress.has_error = true;
    return;
  }
  replica::OffsetAnswer bound = replica->core.read(asked.fetch_offset);
  out.high_watermark = replica->core.log().high_watermark();
  out.last_stable_offset = out.high_watermark;
  out.log_start_offset = replica->core.log().log_start();
  if (bound.outcome != replica::Outcome::ok) {
    out.error_code = to_kafka(bound.outcome);
    progress.has_error = true;
    return;
  }
  readers.add(*replica);
  const size_t limit = std::min(static_cast<size_t>(std::max(0, request.max_bytes)), services.config.limits.answer_max_bytes);
  if (asked.fetch_offset >= bound.offset || (progress.bytes > 0 && progress.bytes >= limit)) return;
  const size_t room = std::min(
      {static_cast<size_t>(std::max(0, asked.partition_max_bytes)), limit - std::min(limit, progress.bytes), progress.room.left()});
  progress.room.hold(progress.bytes + room);  // before the read, which others may overtake
  // The first batch of an answer comes whatever its size, so that a consumer is never stuck before a large one.
  auto batches = services.partitions.read(task, replica->stream, asked.fetch_offset, bound.offset, room, progress.bytes == 0);
  if (!batches) {
    progress.room.hold(progress.bytes);
    out.error_code = batches.is(Errc::corrupt) || batches.is(Errc::io) ? ErrorCode::kafka_storage_error : ErrorCode::not_leader_or_follower;
    progress.has_error = true;
    return;
  }
  for (wal::ReadBatch& b : *batches) {
    progress.bytes += b.payload.size();
    out.records->pieces.push_back(std::move(b.payload));
  }
  progress.room.hold(progress.bytes);
}

void fetch(Task& task, Services& services, Call& call, const FetchRequest& request) {
  const Time deadline = task.now() + std::chrono::milliseconds(std::max(0, request.max_wait_ms));
  const auto min_bytes = static_cast<size_t>(std::max(0, request.min_bytes));
  bool waited_in_vain = false;
  while (true) {
    Signal changed;
    FetchResponse response;
    Progress progress(call.connection);
    if (!progress.room.wait(task)) return;
    {
      Readers readers(services.partitions, changed);
      for (const FetchRequest::Topic& topic : request.topics) {
        FetchResponse::Topic& out = response.responses.emplace_back();
        out.topic = topic.topic;
        for (const FetchRequest::Partition& asked : topic.partitions)
          fetch_partition(task, services, request, topic, asked, out.partitions.emplace_back(), progress, readers);
      }
      const bool enough = progress.has_error || progress.bytes >= min_bytes || request.topics.empty() || task.now() >= deadline;
      if (!enough) {
        // What there is so far is read again then: a client that asks for more than will ever come must not hold memory meanwhile.
        response = FetchResponse();
        progress.room.hold(0);
        Result<> woken = changed.wait(task, deadline, "records to fetch");
        if (woken.is(Errc::stopped)) return;
        waited_in_vain = woken.is(Errc::timeout);
        continue;
      }
    }
    if (waited_in_vain && progress.bytes == 0) {
      REACHED("fetch: waited in vain");
    }
    call.respond(response);
    return;
  }
}

}  // namespace

Result<> handle_fetch(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<FetchRequest>(call->header.api_version, call->body));
  if (request.session_id != 0) {
    FetchResponse response;
    response.error_code = ErrorCode::fetch_session_id_not_found;
    call->respond(response);
    return {};
  }
  spawn_for(call, "fetch", [&services, call, request = std::move(request)](Task& task) { fetch(task, services, *call, request); });
  return {};
}

}  // namespace sg::broker
