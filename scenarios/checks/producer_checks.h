// Producers' sequences as they stand in the logs (correctness.md part 2): E19, on every replica the batches of an idempotent producer
// follow each other without a gap and without a double, epoch by epoch, whoever led when; a producer id is issued once.
//
// What a log holds is known from what its journal received; a producer that a log does not know may begin anywhere, as one does whose topic
// was made again (docs/decisions/first-sequence-at-second-try.md). Invariant: the fold of a log is a function of its batches, so a
// truncation takes back exactly what they did.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/kafka/record_batch.h"
#include "scenarios/judge.h"
#include "scenarios/world/machine.h"

namespace sg::scenario {

class ProducerChecks {
 public:
  explicit ProducerChecks(Judge& judge) : judge_(judge) {}

  // The machine's journal receives a batch that begins there in the stream.
  void on_batch(MachineId machine, StreamId stream, int64_t first, const kafka::BatchView& batch);
  void on_truncate(MachineId machine, StreamId stream, int64_t new_end);
  // What its disk holds is not known any more.
  void forget(MachineId machine);
  // A client is given an id of its own.
  void on_issued(MachineId by, ProducerId id, int16_t epoch);

 private:
  struct State {
    int16_t epoch = -1;
    int32_t next_sequence = 0;
    int64_t last = 0;  // where its last batch begins
  };
  struct Entry {
    int64_t first = 0;
    ProducerId id = kNoProducerId;
    std::optional<State> before;
  };
  struct Log {
    std::vector<Entry> entries;  // of idempotent producers
    std::map<ProducerId, State> states;
  };
  static void cut(Log& log, int64_t new_end);
  // What is wrong with the batch behind that state; empty if nothing is.
  static std::string wrong(const State& state, const kafka::BatchView& batch);

  Judge& judge_;
  std::map<std::pair<MachineId, StreamId>, Log> logs_;
  std::set<std::pair<ProducerId, int16_t>> issued_;
};

}  // namespace sg::scenario
