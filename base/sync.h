// What tasks of one node wait on: Signal (broadcast), Mailbox (queue), TaskGroup (children that are stopped and joined together).
// All of it lives on one thread; waiters are woken in the order in which they came.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/ensure.h"
#include "base/scheduler.h"

namespace sg {

// Wakes those who wait now; remembers nothing. Check the condition in a loop:  while (!ready) TRY_DO(signal.wait(task));
class Signal {
 public:
  Signal() = default;
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { ENSURE(!first_, "Signal destroyed under a waiting task"); }

  // Ok when notified.  Errc::timeout, Errc::stopped.
  Result<> wait(Task& task, Time deadline = Time::never(), const char* what = "signal", Interruptible interruptible = Interruptible::yes);
  void notify_all();
  void notify_one();
  bool has_waiters() const { return first_ != nullptr; }

 private:
  struct Waiter {
    Task* task;
    bool notified = false;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
  };
  void unlink(Waiter& w);
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

// An unbounded queue; whoever pushes is responsible for a bound (see size()). One or more readers.
template <class T>
class Mailbox {
 public:
  // Never suspends. Dropped silently after close().
  void push(T value) {
    if (closed_) return;
    queue_.push_back(std::move(value));
    signal_.notify_one();
  }
  // Waits for an element.  Errc::timeout, Errc::stopped; Errc::closed when closed and empty.
  Result<T> pop(Task& task, Time deadline = Time::never(), const char* what = "mailbox") {
    while (queue_.empty()) {
      if (closed_) return fail(Errc::closed);
      TRY_DO(signal_.wait(task, deadline, what));
    }
    return *try_pop();
  }
  std::optional<T> try_pop() {
    if (queue_.empty()) return std::nullopt;
    std::optional<T> value(std::move(queue_.front()));
    queue_.pop_front();
    return value;
  }
  void close() {
    closed_ = true;
    signal_.notify_all();
  }
  bool closed() const { return closed_; }
  size_t size() const { return queue_.size(); }
  bool empty() const { return queue_.empty(); }

 private:
  std::deque<T> queue_;
  Signal signal_;
  bool closed_ = false;
};

// Children of one owner. join() before destruction: a destructor does not suspend.
class TaskGroup {
 public:
  explicit TaskGroup(Scheduler& scheduler) : scheduler_(scheduler) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { ENSURE(live_ == 0, "TaskGroup destroyed with {} live tasks", live_); }

  // After stop() a new child starts stopped.
  void spawn(std::string name, TaskBody body);
  // Asks all children to stop; does not wait.
  void stop();
  // Waits until every child has returned. Goes on waiting when the owner itself is stopped: children hold references.
  void join(Task& task);
  size_t live() const { return live_; }

 private:
  Scheduler& scheduler_;
  std::vector<TaskRef> children_;
  size_t live_ = 0;
  bool stopped_ = false;
  Signal ended_;
};

}  // namespace sg
