#include "scenarios/workloads/notes.h"

#include <fmt/format.h>

namespace sg::scenario {

void write_down(const Fetched& fetched, int32_t client, const PartitionName& partition, Time now, History& history) {
  if (fetched.leader_epoch != kNoLeaderEpoch)
    history.ends.push_back({client, partition, fetched.broker, fetched.leader_epoch, fetched.high_watermark, now});
  for (const kafka::Record& r : fetched.records) {
    Result<ValueId> value = parse_value(r.value.value_or(ByteSpan()));
    if (value) {
      history.reads.push_back({client, partition, r.offset, *value, now});
    } else {
      history.anomalies.push_back({client, partition, fmt::format("offset {}: {}", r.offset, value.error().what), now});
    }
  }
}

size_t note_send(ValueId id, const PartitionName& partition, int16_t acks, bool idempotent, History& history) {
  history.sends.push_back({.value = id,
                           .partition = partition,
                           .acks = acks,
                           .idempotent = idempotent,
                           .first_attempt = {},
                           .completed = {},
                           .outcome = Outcome::unknown,
                           .offset = Offset(-1)});
  return history.sends.size() - 1;
}

void note_result(Send& send, const SendResult& result, int64_t delta) {
  send.first_attempt = result.first_attempt;
  send.completed = result.completed;
  send.attempts = result.attempts;
  send.producer = result.producer_id;
  send.producer_epoch = result.producer_epoch;
  switch (result.outcome) {
    case SendOutcome::ok: send.outcome = Outcome::ok; break;
    case SendOutcome::failed: send.outcome = Outcome::failed; break;
    case SendOutcome::unknown: send.outcome = Outcome::unknown; break;
  }
  if (result.outcome == SendOutcome::ok) send.offset = result.base_offset + delta;
}

}  // namespace sg::scenario
