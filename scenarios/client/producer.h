// The producer of our Kafka client, for one partition: batches go out in order, several in flight, and are sent again in order until
// they are acknowledged, refused for good, or their time is over.
//
// Order: when an attempt fails in a way that may pass, nothing new is sent until every answer still under way is in; then all
// unfinished batches are sent again, oldest first. An idempotent producer numbers its batches, so a repetition is recognised; an
// OUT_OF_ORDER_SEQUENCE_NUMBER behind an unfinished batch only says that this one came too early (KIP-98). With nothing unfinished before
// it, it says that the broker lost count, which ends librdkafka's producers. A batch whose outcome stays unknown leaves a hole in the
// sequence, so the producer goes on under a new identity: another id, or its own with the next epoch.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include "broker/kafka/errors.h"
#include "broker/kafka/record.h"
#include "scenarios/client/cluster_client.h"

namespace sg::scenario {

enum class SendOutcome : uint8_t {
  ok,
  failed,   // certainly not appended
  unknown,  // it may have been, or may yet be
};

struct SendResult {
  SendOutcome outcome = SendOutcome::unknown;
  kafka::ErrorCode error = kafka::ErrorCode::none;  // of the last answer
  Offset base_offset{-1};                           // with ok and acks other than 0
  Time first_attempt;
  Time last_attempt;
  Time completed;
  ProducerId producer_id = kNoProducerId;
  int16_t producer_epoch = -1;
  int32_t attempts = 0;
  bool lost_count = false;  // the broker refused its sequence or its epoch, with nothing unfinished before it
};

struct ProducerOptions {
  int16_t acks = -1;
  bool idempotent = true;
  int max_in_flight = 5;
  bool raises_epoch = false;        // where it goes on under a new identity: the same id with the next epoch (KIP-360), not another id
  int identity_batches = 0;         // after so many it goes on under a new identity, as a process that was started anew; 0: never
  int32_t first_sequence = 0;       // of each identity; beyond 0: as one that has written to an earlier topic of this name
  int32_t timeout_ms = 2000;        // of the request, at the broker
  Duration request_timeout = 3s;    // at this end
  Duration delivery_timeout = 30s;  // of a batch, all attempts together
  bool queue_counts = false;        // as its time in the queue before
  Duration retry_backoff = 30ms;
};

class PartitionProducer {
 public:
  // `done` is called once per batch, in any order; it does not suspend.
  using Done = std::function<void(uint64_t token, const SendResult& result)>;

  PartitionProducer(ClusterClient& client, Scheduler& scheduler, std::string topic, int32_t partition, ProducerOptions options, Done done);

  // One batch per call. Never suspends. The values are copied.
  void enqueue(uint64_t token, std::span<const ByteVec> values, int64_t timestamp_ms);
  size_t unfinished() const { return batches_.size(); }

  // Sends until stopped; what is unfinished then is reported as unknown (failed, if it was never sent).
  void run(Task& task);

 private:
  struct Batch {
    uint64_t token = 0;
    std::vector<ByteVec> values;
    int64_t timestamp_ms = 0;
    bool in_flight = false;
    bool any_unknown = false;  // an attempt whose outcome nobody knows
    int32_t sequence = -1;     // -1: not numbered yet
    uint64_t ordinal = 0;      // among those that were numbered
    Time queued;
    SendResult result;
  };
  struct Answer {
    uint64_t token;
    Result<kafka::ErrorCode> code;
    Offset base_offset{-1};
  };

  Result<> ensure_producer_id(Task& task);
  void send(Task& task, Batch& batch, std::shared_ptr<BrokerConnection> connection);
  void handle(const Answer& answer);
  bool within_five(const Batch& next) const;
  bool identity_is_used_up(const Batch& next) const;
  void finish(std::deque<Batch>::iterator batch, SendOutcome outcome, kafka::ErrorCode error);
  void expire(Time now);
  void new_identity();
  void take_identity();

  ClusterClient& client_;
  TaskGroup attempts_;
  std::string topic_;
  int32_t partition_;
  ProducerOptions options_;
  Done done_;
  std::deque<Batch> batches_;  // unfinished, oldest first
  Mailbox<Answer> answers_;
  Signal wake_;
  int in_flight_ = 0;
  bool resend_ = false;  // wait for what is in flight, then send everything again
  ProducerId producer_id_ = kNoProducerId;
  int16_t producer_epoch_ = -1;
  int32_t next_sequence_ = 0;
  int numbered_ = 0;  // batches of this identity
  uint64_t next_ordinal_ = 0;
};

}  // namespace sg::scenario
