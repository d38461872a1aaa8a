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

}  // namespace sg::scenario
