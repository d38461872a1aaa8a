#include "scenarios/checks/truth_checks.h"

#include <fmt/format.h>

#include "scenarios/client/certainty.h"

namespace sg::scenario {

void TruthChecks::on_carried(MachineId to, uint64_t request, uint32_t crc) {
  batches_[{to, crc}].requests.insert(request);
  carried_[{to, request}].insert(crc);
}

void TruthChecks::on_answered(Time now, MachineId by, uint64_t request, Time arrived, uint32_t crc, kafka::ErrorCode code) {
  Batch& batch = batches_[{by, crc}];
  batch.requests.erase(request);
  if (auto it = carried_.find({by, request}); it != carried_.end()) {
    it->second.erase(crc);
    if (it->second.empty()) carried_.erase(it);
  }
  if (!says_not_appended(code)) {
    if (code != kafka::ErrorCode::none) batch.open = true;
    return;
  }
  batch.refused = code;
  // Another request with the same batch may be why it is there.
  if (batch.open || !batch.requests.empty()) return;
  judge_.check(Check::h14, !batch.appended || *batch.appended < arrived || *batch.appended > now, [&] {
    return fmt::format("machine {} answers {} for the batch with checksum {:08x}, and has appended it since the request came", by,
                       kafka::to_string(code), crc);
  });
}

void TruthChecks::on_unanswerable(MachineId by, uint64_t request) {
  auto it = carried_.find({by, request});
  if (it == carried_.end()) return;
  for (uint32_t crc : it->second) {
    Batch& batch = batches_[{by, crc}];
    batch.requests.erase(request);
    batch.open = true;
  }
  carried_.erase(it);
}

void TruthChecks::on_appended(Time now, MachineId by, StreamId stream, uint32_t crc) {
  Batch& batch = batches_[{by, crc}];
  batch.appended = now;
  judge_.check(Check::h14, batch.open || !batch.requests.empty(), [&] {
    return fmt::format("stream {}: machine {} appends the batch with checksum {:08x}, which no request carries{}", stream, by, crc,
                       batch.refused ? fmt::format("; its last word on it was {}", kafka::to_string(*batch.refused)) : "");
  });
}

void TruthChecks::on_died(MachineId machine) {
  std::erase_if(batches_, [&](const auto& b) { return b.first.first == machine; });
  std::erase_if(carried_, [&](const auto& c) { return c.first.first == machine; });
}

}  // namespace sg::scenario
