#include "sim/event_queue.h"

#include <algorithm>

namespace sg::sim {

void EventQueue::at(Time time, EventHandler& handler, uint64_t argument) {
  if (time == Time::never()) return;
  ENSURE(time >= now_, "event at {} ns, now is {} ns", time.ns, now_.ns);
  Event event{time, ++sequence_, &handler, argument};
  size_t hole = heap_.size();
  heap_.push_back(event);
  while (hole > 0) {
    size_t parent = (hole - 1) / 4;
    if (!event.before(heap_[parent])) break;
    heap_[hole] = heap_[parent];
    hole = parent;
  }
  heap_[hole] = event;
}

void EventQueue::run_one() {
  ENSURE(!heap_.empty());
  Event top = heap_.front();
  Event last = heap_.back();
  heap_.pop_back();
  if (size_t n = heap_.size(); n > 0) {
    size_t hole = 0;
    for (;;) {
      size_t first = hole * 4 + 1;
      if (first >= n) break;
      size_t best = first;
      size_t end = std::min(first + 4, n);
      for (size_t child = first + 1; child < end; ++child)
        if (heap_[child].before(heap_[best])) best = child;
      if (!heap_[best].before(last)) break;
      heap_[hole] = heap_[best];
      hole = best;
    }
    heap_[hole] = last;
  }
  ENSURE(top.time >= now_);
  now_ = top.time;
  ++executed_;
  top.handler->on_event(top.argument);
}

void EventQueue::advance_to(Time time) {
  ENSURE(time >= now_ && next_time() >= time, "advance to {} ns over an event at {} ns", time.ns, next_time().ns);
  now_ = time;
}

}  // namespace sg::sim
