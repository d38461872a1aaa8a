// How clients write down what they were shown.
#pragma once

#include "scenarios/client/consumer.h"
#include "scenarios/client/producer.h"
#include "scenarios/history.h"

namespace sg::scenario {

// What one answer of a leader showed: the end, each record, and whatever is none of the run's.
void write_down(const Fetched& fetched, int32_t client, const PartitionName& partition, Time now, History& history);

// A record is about to be sent: where it stands in history.sends.
size_t note_send(ValueId id, const PartitionName& partition, int16_t acks, bool idempotent, History& history);
// What became of it; `delta`: its place in its batch.
void note_result(Send& send, const SendResult& result, int64_t delta);

}  // namespace sg::scenario
