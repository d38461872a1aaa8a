// A partition on a bench: events in, one line of text per action out, invariants after each. Node 1 is the one on the bench; nodes 2
// and 3 exist only as what is said in their name.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "broker/replica/invariants.h"
#include "broker/replica/partition.h"

namespace sg::replica::test {

using Lines = std::vector<std::string>;

// "complete 7 ok at 0", "send 2 diverged epoch 3 end 10", ...
std::string to_line(const Action& action);

inline constexpr StreamId kStream{16};
inline constexpr NodeId kSelf{1}, kTwo{2}, kThree{3};

// `records` records, not idempotent unless `sequence` >= 0 (then producer 9, epoch 0).
BatchInfo records(int32_t count, int32_t sequence = -1);
Config quick_config();

class Timeline {
 public:
  explicit Timeline(const Config& config = quick_config(), Offset high_watermark = Offset(0),
                    const std::vector<Descriptor>& recovered = {});

  // The catalogue's state, from the last one given: leader and epochs, ISR. Broker epochs are 10 + node; nobody is fenced.
  PartitionState& state() { return state_; }
  Lines lead(int32_t epoch, std::vector<int> isr);
  Lines follow(NodeId leader, int32_t epoch);
  Lines tell();
  // A new ISR, as the catalogue commits it.
  Lines isr(std::vector<int> members);

  // acks=all with a deadline one second ahead, unless said otherwise. The answer's own outcome is the first line.
  Lines append(uint64_t token, const BatchInfo& batch, Acks acks = Acks::all);
  Lines durable(int64_t end);
  Lines subscribe(NodeId from, int64_t offset, int32_t last_epoch, uint64_t subscription = 1);
  Lines ack(NodeId from, int64_t end, uint64_t subscription = 1);
  // Sends what there is to send to `to`, batch by batch, as one Data: "from-end high_watermark"; empty if nothing is.
  std::string send(NodeId to);
  // Subscribes at the log's end with its newest epoch, takes what there is, acknowledges it.
  void catch_up(NodeId node, uint64_t subscription = 1);

  Lines open(NodeId leader);
  Lines data(int64_t high_watermark, const std::vector<Descriptor>& batches, uint64_t subscription = 1);
  Lines diverged(int32_t epoch, int64_t end, uint64_t subscription = 1);
  Lines at(Duration since_start);                                                   // moves the clock, and wakes
  void advance(Duration since_start) { now_ = Time{1'000'000'000} + since_start; }  // only moves it
  Lines event(const std::function<void(Partition&, Time, Output&)>& what);

  Partition& partition() { return partition_; }
  Time now() const { return now_; }
  OffsetAnswer latest() const { return partition_.latest(); }
  int64_t high_watermark() const { return partition_.log().high_watermark().v; }
  Errc last_error = Errc::stopped;  // of the newest event that can fail

 private:
  Partition partition_;
  Invariants invariants_;
  PartitionState state_;
  std::vector<Descriptor> log_;  // what append made
  Time now_{1'000'000'000};
};

Descriptor at_offset(int64_t base, int32_t epoch, int32_t count);

}  // namespace sg::replica::test

template <>
struct doctest::StringMaker<sg::replica::test::Lines> {
  static String convert(const sg::replica::test::Lines& lines) {
    std::string text;
    for (const std::string& line : lines) text += "\n    " + line;
    return text.c_str();
  }
};
