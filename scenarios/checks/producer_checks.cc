#include "scenarios/checks/producer_checks.h"

#include <fmt/format.h>

namespace sg::scenario {

void ProducerChecks::cut(Log& log, int64_t new_end) {
  for (; !log.entries.empty() && log.entries.back().first >= new_end; log.entries.pop_back()) {
    const Entry& e = log.entries.back();
    if (e.before) {
      log.states[e.id] = *e.before;
    } else {
      log.states.erase(e.id);
    }
  }
}

std::string ProducerChecks::wrong(const State& state, const kafka::BatchView& batch) {
  const int16_t epoch = batch.producer_epoch();
  const int32_t sequence = batch.base_sequence();
  if (epoch < state.epoch) return fmt::format("its epoch {} is over: {} has written since", epoch, state.epoch);
  const int32_t expected = epoch > state.epoch ? 0 : state.next_sequence;
  if (sequence == expected) return "";
  return fmt::format("expected is sequence {} of epoch {}, behind the batch at {} (epoch {})", expected, epoch, state.last, state.epoch);
}

void ProducerChecks::on_batch(MachineId machine, StreamId stream, int64_t first, const kafka::BatchView& batch) {
  Log& log = logs_[{machine, stream}];
  cut(log, first);  // what a power cut has taken is written anew
  if (!batch.has_producer_id() || batch.is_control()) return;
  const ProducerId id = batch.producer_id();
  auto known = log.states.find(id);
  std::optional<State> before;
  if (known != log.states.end()) before = known->second;
  const std::string what = before ? wrong(*before, batch) : "";
  judge_.check(Check::e19, what.empty(), [&] {
    return fmt::format("stream {} on machine {}: the batch at {} has sequence {} of producer {}, epoch {}; {}", stream, machine, first,
                       batch.base_sequence(), id, batch.producer_epoch(), what);
  });
  // 2^31 - 1 is followed by 0.
  const auto next =
      static_cast<int32_t>((static_cast<uint32_t>(batch.base_sequence()) + static_cast<uint32_t>(batch.record_count())) & 0x7fffffffu);
  log.entries.push_back({first, id, before});
  log.states[id] = {batch.producer_epoch(), next, first};
}

void ProducerChecks::on_truncate(MachineId machine, StreamId stream, int64_t new_end) {
  if (auto log = logs_.find({machine, stream}); log != logs_.end()) cut(log->second, new_end);
}

void ProducerChecks::forget(MachineId machine) {
  std::erase_if(logs_, [&](const auto& log) { return log.first.first == machine; });
}

void ProducerChecks::on_issued(MachineId by, ProducerId id, int16_t epoch) {
  judge_.check(Check::e19, issued_.insert({id, epoch}).second,
               [&] { return fmt::format("machine {} gives out producer id {} with epoch {}, which a client has already", by, id, epoch); });
}

}  // namespace sg::scenario
