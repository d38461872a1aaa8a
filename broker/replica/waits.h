// Produce requests that wait for their batch to be durable or committed. Ordered by the end of the batch, so that one advance answers a
// prefix; the order among equals is that of arrival.
#pragma once

#include <deque>

#include "base/time.h"
#include "broker/replica/output.h"

namespace sg::replica {

class Waits {
 public:
  // Answered with the batch's `base` once everything below `end` is reached.
  void add(Offset end, Token token, Offset base, Time begun, Time deadline);

  // Answers `ok` to all whose end is not above `reached`.
  void reach(Offset reached, Output& out);
  // Answers `outcome` to all whose deadline is not after `now`.
  void expire(Time now, Outcome outcome, Output& out);
  // Answers `outcome` to all that began at `begun` or earlier.
  void let_go(Time begun, Outcome outcome, Output& out);
  // Answers `outcome` to all.
  void fail(Outcome outcome, Output& out);

  // Not after the earliest deadline; never() if nothing waits.
  Time deadline() const { return waits_.empty() ? Time::never() : earliest_; }
  // Not after the earliest beginning; never() if nothing waits.
  Time oldest() const { return waits_.empty() ? Time::never() : oldest_; }
  size_t size() const { return waits_.size(); }

 private:
  struct Wait {
    Offset end;
    Token token;
    Offset base;
    Time begun;
    Time deadline;
  };
  std::deque<Wait> waits_;
  Time earliest_ = Time::never();  // a lower bound; exact after each expire
  Time oldest_ = Time::never();    // likewise, exact after each let_go
};

}  // namespace sg::replica
