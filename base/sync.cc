#include "base/sync.h"

#include <algorithm>

namespace sg {

void Signal::unlink(Waiter& w) {
  (w.previous ? w.previous->next : first_) = w.next;
  (w.next ? w.next->previous : last_) = w.previous;
}

Result<> Signal::wait(Task& task, Time deadline, const char* what, Interruptible interruptible) {
  Waiter w{&task};
  w.previous = last_;
  (last_ ? last_->next : first_) = &w;
  last_ = &w;
  Wake reason = task.park(what, deadline, interruptible);
  if (w.notified) return {};  // unlinked by the notifier; a notification wins over a stop that came after it
  unlink(w);
  return fail(reason == Wake::stopped ? Errc::stopped : Errc::timeout);
}

void Signal::notify_one() {
  if (!first_) return;
  Waiter& w = *first_;
  unlink(w);
  w.notified = true;
  w.task->wake();
}

void Signal::notify_all() {
  while (first_) notify_one();
}

void TaskGroup::spawn(std::string name, TaskBody body) {
  ++live_;
  std::erase_if(children_, [this](TaskRef ref) { return !scheduler_.alive(ref); });
  TaskRef ref = scheduler_.spawn(std::move(name), [this, body = std::move(body)](Task& task) {
    body(task);
    --live_;
    ended_.notify_all();
  });
  children_.push_back(ref);
  if (stopped_) scheduler_.request_stop(ref);
}

void TaskGroup::stop() {
  stopped_ = true;
  for (TaskRef ref : children_) scheduler_.request_stop(ref);
}

void TaskGroup::join(Task& task) {
  while (live_ > 0) (void)ended_.wait(task, Time::never(), "children", Interruptible::no);
}

}  // namespace sg
