// The one queue of a simulated world: events ordered by (time, sequence), and the virtual time that they move.
//
// Invariant: time never goes back, and events of one moment run in the order in which they were scheduled. Nothing is allocated per
// event: an event is a handler that outlives the queue's run and one number. A handler that no longer wants an event recognises it by
// that number (a ticket) and ignores it; there is no cancellation. Spec: architecture §8.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ensure.h"
#include "base/time.h"

namespace sg::sim {

class EventHandler {
 public:
  virtual void on_event(uint64_t argument) = 0;

 protected:
  ~EventHandler() = default;
};

class EventQueue {
 public:
  Time now() const { return now_; }
  uint64_t executed() const { return executed_; }
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  // never() if empty.
  Time next_time() const { return heap_.empty() ? Time::never() : heap_.front().time; }

  // `time` must not lie in the past; never() is dropped.
  void at(Time time, EventHandler& handler, uint64_t argument);

  // Moves time to the next event and runs it. The queue is not empty.
  void run_one();

  // Moves time forward to `time`; no event lies before it.
  void advance_to(Time time);

 private:
  struct Event {
    Time time;
    uint64_t sequence;
    EventHandler* handler;
    uint64_t argument;
    bool before(const Event& other) const { return time != other.time ? time < other.time : sequence < other.sequence; }
  };
  std::vector<Event> heap_;  // 4-ary: half the depth of a binary one, and four children lie in two cache lines
  Time now_{};
  uint64_t sequence_ = 0;
  uint64_t executed_ = 0;
};

}  // namespace sg::sim
