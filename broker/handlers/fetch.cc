// Fetch: whole batches from an offset up to the high watermark. A fetch that finds too little waits until a high watermark moves, what
// may be said of a partition changes, or its time is over. Records go from the journal's memory to the socket without a copy. Fetch
// sessions are not offered (session id 0), so every request names all its partitions.
#include "broker/kafka/fetch.h"

#include "base/probe.h"
#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/speaker.h"

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

void refuse(const Services& services, const std::string& topic, ErrorCode error, FetchResponse::Partition& out) {
  out.error_code = error;
  out.records = kafka::Records{};
  std::vector<kafka::NodeEndpoint> endpoints;  // only later versions of Fetch have a place for them
  add_leader_hint(services, error, topic, out.partition_index, out.current_leader, endpoints);
}

replica::Asked question(const FetchRequest::Partition& asked) {
  return {replica::Question::fetch, asked.current_leader_epoch, asked.last_fetched_epoch};
}

// What was found while others ran is said only by who may still say it. False if the answer is not just records, and goes at once.
bool confirm(Services& services, const std::string& topic, const FetchRequest::Partition& asked, FetchResponse::Partition& out) {
  if (out.error_code != ErrorCode::none && out.error_code != ErrorCode::offset_out_of_range) return false;
  const bool is_plain = out.error_code == ErrorCode::none && out.diverging_epoch.end_offset.v < 0;
  const bool gives = is_plain && !out.records->pieces.empty();
  const Addressed to = address(services, topic, asked.partition, question(asked));
  if (to.replica && (gives || to.speech == replica::Speech::as_usual)) return is_plain;
  REACHED("fetch: what was found may not be said any more");
  out = FetchResponse::Partition();
  out.partition_index = asked.partition;
  out.high_watermark = Offset(-1);
  refuse(services, topic, to.replica ? ErrorCode::not_leader_or_follower : to.error, out);
  return false;
}

void fetch_partition(Task& task, Services& services, const FetchRequest& request, const FetchRequest::Topic& topic,
                     const FetchRequest::Partition& asked, FetchResponse::Partition& out, Progress& progress, Readers& readers) {
  out.partition_index = asked.partition;
  out.high_watermark = Offset(-1);
  out.records = kafka::Records{};
  const Addressed to = address(services, topic.topic, asked.partition, question(asked));
  if (!to.replica) return refuse(services, topic.topic, to.error, out);
  Replica* replica = to.replica;
  const replica::ReadAnswer answer = replica->core.read({asked.fetch_offset, asked.current_leader_epoch, asked.last_fetched_epoch});
  if (answer.outcome != replica::Outcome::ok && answer.outcome != replica::Outcome::offset_out_of_range)
    return refuse(services, topic.topic, to_kafka(answer.outcome), out);
  if (answer.diverging) {
    REACHED("fetch: the client's log has diverged");
    out.diverging_epoch = {answer.diverging->epoch, answer.diverging->end};
    return;
  }
  out.high_watermark = replica->core.log().high_watermark();
  out.last_stable_offset = out.high_watermark;
  out.log_start_offset = replica->core.log().log_start();
  if (answer.outcome != replica::Outcome::ok) return refuse(services, topic.topic, to_kafka(answer.outcome), out);
  readers.add(*replica);
  const size_t limit = std::min(static_cast<size_t>(std::max(0, request.max_bytes)), services.config.limits.answer_max_bytes);
  if (asked.fetch_offset >= answer.bound || (progress.bytes > 0 && progress.bytes >= limit)) return;
  const size_t room = std::min(
      {static_cast<size_t>(std::max(0, asked.partition_max_bytes)), limit - std::min(limit, progress.bytes), progress.room.left()});
  progress.room.hold(progress.bytes + room);  // before the read, which others may overtake
  // The first batch of an answer comes whatever its size, so that a consumer is never stuck before a large one.
  auto batches = services.partitions.read(task, replica->stream, asked.fetch_offset, answer.bound, room, progress.bytes == 0);
  if (!batches) {
    progress.room.hold(progress.bytes);
    const bool damage = batches.is(Errc::corrupt) || batches.is(Errc::io);
    return refuse(services, topic.topic, damage ? ErrorCode::kafka_storage_error : ErrorCode::not_leader_or_follower, out);
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
      for (size_t t = 0; t < request.topics.size(); ++t)
        for (size_t p = 0; p < request.topics[t].partitions.size(); ++p)
          if (!confirm(services, request.topics[t].topic, request.topics[t].partitions[p], response.responses[t].partitions[p]))
            progress.has_error = true;
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
  if (request.session_id != 0 || request.session_epoch > 0) {  // it goes on with a session
    FetchResponse response;
    response.error_code = ErrorCode::fetch_session_id_not_found;
    call->respond(response);
    return {};
  }
  spawn_for(call, "fetch", [&services, call, request = std::move(request)](Task& task) { fetch(task, services, *call, request); });
  return {};
}

}  // namespace sg::broker
