// One record as a batch of its own, written and answered: the unit of the latency and failover benches. Never sent twice.
#pragma once

#include "broker/kafka/errors.h"
#include "scenarios/bench/load.h"

namespace sg::scenario {

// The broker's answer for the partition; with acks=0 `none` as soon as it is on its way.
// Errors as of BrokerConnection::call: the record may have been written.
Result<kafka::ErrorCode> write_one(Task& task, BrokerConnection& broker, const BenchOptions& options, int32_t partition,
                                   int64_t timestamp_ms);

}  // namespace sg::scenario
