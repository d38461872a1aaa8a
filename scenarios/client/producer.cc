#include "scenarios/client/producer.h"

#include <algorithm>

#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/produce.h"
#include "scenarios/client/certainty.h"

namespace sg::scenario {
namespace {

using kafka::ErrorCode;

constexpr int16_t kProduceVersion = 9;
constexpr int16_t kInitProducerIdVersion = 4;
constexpr uint64_t kRememberedBatches = 5;  // by a broker, of each producer

}  // namespace

PartitionProducer::PartitionProducer(ClusterClient& client, Scheduler& scheduler, std::string topic, int32_t partition,
                                     ProducerOptions options, Done done)
    : client_(client), attempts_(scheduler), topic_(std::move(topic)), partition_(partition), options_(options), done_(std::move(done)) {}

void PartitionProducer::enqueue(uint64_t token, std::span<const ByteVec> values, int64_t timestamp_ms) {
  ENSURE(!values.empty());
  Batch batch;
  batch.token = token;
  batch.values.assign(values.begin(), values.end());
  batch.timestamp_ms = timestamp_ms;
  if (options_.queue_counts) batch.queued = client_.now();
  batches_.push_back(std::move(batch));
  wake_.notify_all();
}

void PartitionProducer::run(Task& task) {
  while (!task.stopping()) {
    while (auto answer = answers_.try_pop()) handle(*answer);
    expire(task.now());
    if (resend_ && in_flight_ == 0) {
      resend_ = false;
      client_.forget_leader(topic_, partition_);
      if (!task.sleep_for(options_.retry_backoff)) break;
      continue;
    }
    auto next = std::find_if(batches_.begin(), batches_.end(), [](const Batch& b) { return !b.in_flight; });
    const bool renew = next != batches_.end() && identity_is_used_up(*next);
    if (resend_ || in_flight_ >= (renew ? 1 : options_.max_in_flight) || next == batches_.end() || !within_five(*next)) {
      Time deadline = Time::never();
      for (const Batch& b : batches_)
        if (b.result.attempts > 0 || b.queued.ns > 0) deadline = std::min(deadline, b.queued + options_.delivery_timeout);
      if (wake_.wait(task, in_flight_ > 0 ? Time::never() : deadline, "batches or answers").is(Errc::stopped)) break;
      continue;
    }
    if (renew) take_identity();
    uint64_t token = next->token;
    if (next->queued.ns == 0) next->queued = task.now();
    if (options_.idempotent && producer_id_ == kNoProducerId) {
      Result<> got = ensure_producer_id(task);
      if (got.is(Errc::stopped)) break;
      if (!got && !task.sleep_for(options_.retry_backoff)) break;
      continue;
    }
    auto leader = client_.find_leader(task, topic_, partition_, task.now() + options_.request_timeout);
    if (leader.is(Errc::stopped)) break;
    if (!leader) continue;
    auto connection = client_.connection(task, leader->node);
    if (connection.is(Errc::stopped)) break;
    if (!connection) {
      client_.forget_leader(topic_, partition_);
      if (!task.sleep_for(options_.retry_backoff)) break;
      continue;
    }
    // Other tasks ran meanwhile: what was next may have ended, and an answer may ask for order first.
    auto batch = std::find_if(batches_.begin(), batches_.end(), [](const Batch& b) { return !b.in_flight; });
    if (!answers_.empty() || resend_ || batch == batches_.end() || batch->token != token) continue;
    send(task, *batch, std::move(*connection));
  }
  attempts_.stop();
  attempts_.join(task);
  while (auto answer = answers_.try_pop()) handle(*answer);
  while (!batches_.empty())
    finish(batches_.begin(), batches_.front().any_unknown ? SendOutcome::unknown : SendOutcome::failed, batches_.front().result.error);
}

// A retry is recognised only while its batch is one of the last five: nothing new overtakes the oldest by more.
bool PartitionProducer::within_five(const Batch& next) const {
  const Batch& oldest = batches_.front();
  return !options_.idempotent || next.sequence >= 0 || oldest.sequence < 0 || next_ordinal_ - oldest.ordinal < kRememberedBatches;
}

bool PartitionProducer::identity_is_used_up(const Batch& next) const {
  return options_.identity_batches > 0 && producer_id_ != kNoProducerId && next.sequence < 0 && numbered_ >= options_.identity_batches;
}

Result<> PartitionProducer::ensure_producer_id(Task& task) {
  TRY(auto broker, client_.any_connection(task, task.now() + options_.request_timeout));
  const size_t asked = client_.asked();
  const int16_t version = client_.options().versions.of(kafka::ApiKey::init_producer_id, kInitProducerIdVersion);
  auto response = broker->call(task, version, kafka::InitProducerIdRequest{}, task.now() + options_.request_timeout);
  if (!response || response->error_code != ErrorCode::none) {
    client_.leave(asked);
    return response ? fail(Errc::unavailable, "no producer id now") : std::unexpected(response.error());
  }
  producer_id_ = response->producer_id;
  producer_epoch_ = response->producer_epoch;
  next_sequence_ = options_.first_sequence;
  numbered_ = 0;
  return {};
}

void PartitionProducer::send(Task& task, Batch& batch, std::shared_ptr<BrokerConnection> connection) {
  if (options_.idempotent && batch.sequence < 0) {
    batch.sequence = next_sequence_;
    batch.ordinal = next_ordinal_++;
    ++numbered_;
    // 2^31 - 1 is followed by 0.
    next_sequence_ = static_cast<int32_t>((static_cast<uint32_t>(next_sequence_) + batch.values.size()) & 0x7fffffffu);
  }
  kafka::BatchProducer identity;
  if (options_.idempotent) identity = {.id = producer_id_, .epoch = producer_epoch_, .base_sequence = batch.sequence};
  kafka::BatchBuilder builder(identity);
  for (const ByteVec& value : batch.values) {
    kafka::Record record;
    record.timestamp_ms = batch.timestamp_ms;
    record.value = value;
    builder.add(record);
  }
  kafka::ProduceRequest request;
  const int16_t version = client_.options().versions.of(kafka::ApiKey::produce, kProduceVersion);
  request.acks = options_.acks;
  request.timeout_ms = options_.timeout_ms;
  request.topic_data.push_back({.name = topic_, .partition_data = {{.index = partition_, .records = builder.finish()}}});
  batch.in_flight = true;
  batch.result.producer_id = producer_id_;
  batch.result.producer_epoch = producer_epoch_;
  batch.result.last_attempt = task.now();
  if (batch.result.attempts++ == 0) batch.result.first_attempt = task.now();
  if (options_.acks == 0) {
    Result<> sent = connection->send_only(version, request);
    batch.any_unknown = true;
    auto it = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& b) { return &b == &batch; });
    finish(it, SendOutcome::unknown, sent ? ErrorCode::none : ErrorCode::network_exception);
    return;
  }
  ++in_flight_;
  attempts_.spawn("produce", [this, version, token = batch.token, connection, request = std::move(request)](Task& t) {
    auto response = connection->call(t, version, request, t.now() + options_.request_timeout);
    Answer answer{.token = token, .code = ErrorCode::network_exception};
    if (!response) {
      answer.code = std::unexpected(response.error());
    } else if (response->responses.size() == 1 && response->responses[0].partition_responses.size() == 1) {
      answer.code = response->responses[0].partition_responses[0].error_code;
      answer.base_offset = response->responses[0].partition_responses[0].base_offset;
    }
    answers_.push(std::move(answer));
    wake_.notify_all();
  });
}

void PartitionProducer::handle(const Answer& answer) {
  --in_flight_;
  auto batch = std::find_if(batches_.begin(), batches_.end(), [&](const Batch& b) { return b.token == answer.token; });
  if (batch == batches_.end()) return;  // given up meanwhile
  batch->in_flight = false;
  if (!answer.code) {
    batch->any_unknown = true;
    batch->result.error = ErrorCode::network_exception;
    resend_ = true;
    return;
  }
  const ErrorCode code = *answer.code;
  if (code == ErrorCode::none) {
    batch->result.base_offset = answer.base_offset;
    finish(batch, SendOutcome::ok, code);
    return;
  }
  if (!says_not_appended(code)) batch->any_unknown = true;
  batch->result.error = code;
  const bool oldest = batch == batches_.begin();
  if (is_refusal(code)) {
    finish(batch, batch->any_unknown ? SendOutcome::unknown : SendOutcome::failed, code);
    new_identity();
  } else if ((code == ErrorCode::out_of_order_sequence_number && oldest) || code == ErrorCode::invalid_producer_epoch) {
    // Nothing before it is missing at this end: the broker's idea of this producer is not ours.
    batch->result.lost_count = true;
    finish(batch, batch->any_unknown ? SendOutcome::unknown : SendOutcome::failed, code);
    new_identity();
  } else {
    resend_ = true;
  }
}

// The sequence has a hole, or may have one. What was sent under the old identity and is not finished cannot be sent again: its first
// attempt may still be appended.
void PartitionProducer::new_identity() {
  resend_ = resend_ || in_flight_ > 0;
  if (!options_.idempotent) return;
  take_identity();
  std::erase_if(batches_, [&](Batch& b) {
    if (b.sequence < 0) return false;
    b.result.outcome = b.any_unknown || b.in_flight ? SendOutcome::unknown : SendOutcome::failed;
    b.result.completed = client_.now();
    done_(b.token, b.result);
    return true;
  });
}

// The next identity: one that it raises itself, or none, and then it asks for one.
void PartitionProducer::take_identity() {
  if (!options_.raises_epoch || producer_id_ == kNoProducerId || producer_epoch_ == INT16_MAX) {
    producer_id_ = kNoProducerId;
    return;
  }
  ++producer_epoch_;
  next_sequence_ = 0;
  numbered_ = 0;
}

void PartitionProducer::expire(Time now) {
  while (!batches_.empty()) {
    Batch& oldest = batches_.front();
    if (oldest.queued.ns == 0 || now < oldest.queued + options_.delivery_timeout) return;
    const bool sent = oldest.result.attempts > 0;
    finish(batches_.begin(), oldest.any_unknown || oldest.in_flight ? SendOutcome::unknown : SendOutcome::failed, oldest.result.error);
    if (sent) new_identity();
  }
}

void PartitionProducer::finish(std::deque<Batch>::iterator batch, SendOutcome outcome, ErrorCode error) {
  Batch ended = std::move(*batch);
  batches_.erase(batch);
  ended.result.outcome = outcome;
  ended.result.error = error;
  ended.result.completed = client_.now();
  done_(ended.token, ended.result);
}

}  // namespace sg::scenario
