// How clients write down what they were shown.
#pragma once

#include "scenarios/client/consumer.h"
#include "scenarios/history.h"

namespace sg::scenario {

// What one answer of a leader showed: the end, each record, and whatever is none of the run's.
void write_down(const Fetched& fetched, int32_t client, const PartitionName& partition, Time now, History& history);

}  // namespace sg::scenario
