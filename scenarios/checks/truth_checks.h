// Truthful refusals, at the answer itself (correctness.md part 2): H14, whoever says "not appended" has not appended, and will not. A
// leader appends only what a request on its way to it carries; an error that says "certainly not" ends that, and so does success.
//
// Which errors are certain: scenarios/client/certainty.h. What is unanswered when its connection ends, or is answered by an
// error that leaves it open, may be appended at any later time. Invariant: a batch is known by its checksum, since no two values of a run
// are equal, and a retry has the same bytes.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/ids.h"
#include "base/time.h"
#include "broker/kafka/errors.h"
#include "scenarios/judge.h"
#include "scenarios/world/machine.h"

namespace sg::scenario {

class TruthChecks {
 public:
  explicit TruthChecks(Judge& judge) : judge_(judge) {}

  // A request to that machine carries a batch.
  void on_carried(MachineId to, uint64_t request, uint32_t crc);
  // It is answered for this batch.
  void on_answered(Time now, MachineId by, uint64_t request, Time arrived, uint32_t crc, kafka::ErrorCode code);
  // It will not be answered: acks=0, or its connection is over.
  void on_unanswerable(MachineId by, uint64_t request);
  // The machine's journal receives a batch that it has taken as leader.
  void on_appended(Time now, MachineId by, StreamId stream, uint32_t crc);
  // Its process is gone, and all requests with it.
  void on_died(MachineId machine);

 private:
  struct Batch {
    std::set<uint64_t> requests;              // that carry it and are not answered
    bool open = false;                        // nobody knows what becomes of one that has ended
    std::optional<kafka::ErrorCode> refused;  // the last word on it
    std::optional<Time> appended;             // last
  };
  using Key = std::pair<MachineId, uint32_t>;

  Judge& judge_;
  std::map<Key, Batch> batches_;
  std::map<std::pair<MachineId, uint64_t>, std::set<uint32_t>> carried_;  // by request
};

}  // namespace sg::scenario
