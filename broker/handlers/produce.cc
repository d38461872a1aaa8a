// Produce: validates each batch once, appends it to its partition, and answers when all partitions have what `acks` asks for.
// The record bytes stay where the socket was read into; the partition stamps them there.
#include "broker/kafka/produce.h"

#include "base/probe.h"
#include "broker/batch_io.h"
#include "broker/handlers/errors.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/speaker.h"

namespace sg::broker {
namespace {

using kafka::ErrorCode;
using kafka::ProduceRequest;
using kafka::ProduceResponse;

constexpr int32_t kMaxTimeoutMs = 3'600'000;

// Said with an error code where that alone would mislead.
std::string explanation(replica::Outcome outcome) {
  if (outcome == replica::Outcome::earlier_awaited)
    return "batches of this producer that come before this one are not here, and may be on their way: send them again, oldest first";
  if (outcome != replica::Outcome::producer_unknown) return {};
  return "nothing is known here of this producer, whose first batch is not its first: it is taken when it is sent again";
}

// The answer of one request while some of its partitions wait. Parts are numbered in the order of the response's partitions.
class PendingProduce final : public ProduceWaiter {
 public:
  // `silent`: acks=0, nobody is answered.
  PendingProduce(Services& services, CallPtr call, bool silent) : services_(services), call_(std::move(call)), silent_(silent) {}

  ProduceResponse response;
  std::vector<std::pair<size_t, size_t>> places;  // part -> topic and partition within the response
  size_t open = 1;                                // partitions that wait, and the handler itself until it is through

  void completed(size_t part, replica::Outcome outcome, Offset base_offset) override {
    auto [topic, partition] = places[part];
    ProduceResponse::Partition& p = response.responses[topic].partition_responses[partition];
    p.error_code = to_kafka(outcome);
    if (p.error_code == ErrorCode::none) {
      p.base_offset = base_offset;
    } else {
      p.base_offset = Offset(-1);
    }
    add_leader_hint(services_, p.error_code, response.responses[topic].name, p.index, p.current_leader, response.node_endpoints);
    close();
  }

  void close() {
    if (--open > 0) return;
    if (silent_)
      call_->slot->complete_without_answer();
    else
      call_->respond(response);
  }

 private:
  Services& services_;
  CallPtr call_;
  bool silent_;
};

}  // namespace

Result<> handle_produce(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<ProduceRequest>(call->header.api_version, call->body));
  call->body = SharedBytes();
  auto pending = std::make_shared<PendingProduce>(services, call, request.acks == 0);
  const bool bad_acks = request.acks < -1 || request.acks > 1;
  const auto acks = request.acks == -1 ? replica::Acks::all : replica::Acks::leader;
  const Time deadline = services.env.clock.now() + std::chrono::milliseconds(std::clamp(request.timeout_ms, 0, kMaxTimeoutMs));
  bool failed = false;

  pending->response.responses.resize(request.topic_data.size());
  for (size_t t = 0; t < request.topic_data.size(); ++t) {
    ProduceRequest::Topic& topic = request.topic_data[t];
    ProduceResponse::Topic& answer = pending->response.responses[t];
    answer.name = topic.name;
    answer.partition_responses.resize(topic.partition_data.size());
    for (size_t i = 0; i < topic.partition_data.size(); ++i) {
      ProduceRequest::Partition& data = topic.partition_data[i];
      ProduceResponse::Partition& out = answer.partition_responses[i];
      out.index = data.index;
      out.base_offset = Offset(-1);
      auto refuse = [&](ErrorCode code, std::string what = {}) {
        out.error_code = code;
        if (!what.empty()) out.error_message = std::move(what);
        add_leader_hint(services, code, topic.name, data.index, out.current_leader, pending->response.node_endpoints);
        failed = true;
      };
      if (bad_acks) {
        refuse(ErrorCode::invalid_required_acks, fmt::format("acks = {}: 0, 1 and -1 (all) exist", request.acks));
        continue;
      }
      if (request.transactional_id) {
        refuse(ErrorCode::invalid_request, "transactions are not served yet");
        continue;
      }
      const replica::Asked asked{acks == replica::Acks::all ? replica::Question::append_all : replica::Question::append};
      const Addressed to = address(services, topic.name, data.index, asked);
      if (!to.replica) {
        const bool damaged = to.error == ErrorCode::kafka_storage_error;
        refuse(to.error, damaged ? "this replica is out of service: records are missing from its journal" : "");
        continue;
      }
      SharedBytes records = std::move(data.records).value_or(SharedBytes());
      if (records.size() > static_cast<size_t>(services.config.broker.message_max_bytes)) {
        refuse(ErrorCode::message_too_large,
               fmt::format("a batch of {} bytes; message.max.bytes is {}", records.size(), services.config.broker.message_max_bytes));
        continue;
      }
      if (kafka::BatchFault fault = kafka::validate_produced(records, call->header.api_version)) {
        REACHED("produce: invalid batch");
        refuse(fault.code, std::move(fault.what));
        continue;
      }
      IncomingBatch batch = accept_batch(std::move(records));
      if (batch.info.transactional) {
        refuse(ErrorCode::invalid_request, "transactions are not served yet");
        continue;
      }
      out.log_start_offset = to.replica->core.log().log_start();
      size_t part = pending->places.size();
      pending->places.emplace_back(t, i);
      ++pending->open;
      replica::Outcome outcome = services.partitions.append(*to.replica, std::move(batch), acks, deadline, pending, part);
      if (outcome == replica::Outcome::ok || outcome == replica::Outcome::duplicate) continue;
      --pending->open;
      refuse(to_kafka(outcome), explanation(outcome));
    }
  }
  // Kafka's way to tell a client that does not listen: the connection closes, and the client looks for the leader again.
  if (request.acks == 0 && failed) return fail(Errc::unavailable, "a produce request with acks=0 failed");
  pending->close();
  return {};
}

}  // namespace sg::broker
