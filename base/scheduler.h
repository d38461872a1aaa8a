// The fiber scheduler of one node: runs ready tasks in the order in which they became ready, and wakes those whose deadline has
// passed. Single-threaded, deterministic; it reads time only from its Clock. Whoever drives it (the poller in production, the world
// in the simulator) calls run_ready(), then waits for outside events until next_deadline().
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/task.h"

namespace sg {

// Guarded stacks, reused across tasks and runs: making one costs 5 µs and two system calls. Outlives every scheduler that uses it.
class StackPool {
 public:
  static constexpr size_t kDefaultStackBytes = 64 * 1024;
  explicit StackPool(size_t stack_bytes = kDefaultStackBytes);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  struct Stack {
    void* bottom = nullptr;  // lowest usable address, right above the guard page
    size_t size = 0;
  };
  Stack take();
  void give_back(Stack stack);

  size_t in_use() const { return in_use_; }
  size_t high_water() const { return high_water_; }

 private:
  size_t stack_bytes_;
  std::vector<Stack> free_;
  size_t in_use_ = 0;
  size_t high_water_ = 0;
};

class Scheduler {
 public:
  Scheduler(const Clock& clock, StackPool& stacks, std::string name = "");
  // Every task must have returned.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  std::string_view name() const { return name_; }
  Time now() const { return clock_.now(); }

  // Starts a task; it first runs in the next run_ready(), or later in the present one. After stop_all() it starts stopped.
  TaskRef spawn(std::string name, TaskBody body);

  // Fires due deadlines, then runs ready tasks until none is ready. Returns the number of resumes.
  uint64_t run_ready();

  bool has_ready() const { return !ready_.empty(); }
  // The earliest deadline that somebody waits for; never() if none.
  Time next_deadline();

  // Stops one task (nothing if it has ended), or all present and future ones.
  void request_stop(TaskRef ref);
  void stop_all();

  bool alive(TaskRef ref) const;
  size_t live() const { return live_; }

  // Lines "name: what it waits for" of all live tasks, for a person.
  std::string describe_tasks() const;

  // Called when a task becomes ready while none was: the simulator puts a turn of this node into its queue.
  void set_on_ready(std::function<void()> hook) { on_ready_ = std::move(hook); }

 private:
  friend class Task;

  struct Timer {
    Time deadline;
    uint64_t sequence;
    TaskRef task;
    uint64_t wait_number;
  };
  static bool later(const Timer& a, const Timer& b) { return a.deadline != b.deadline ? a.deadline > b.deadline : a.sequence > b.sequence; }

  void make_ready(Task& task, Wake reason);
  void resume(Task& task);
  void add_timer(Task& task, Time deadline);
  Task* find(TaskRef ref) const;
  bool timer_is_live(const Timer& timer) const;

  const Clock& clock_;
  StackPool& stacks_;
  std::string name_;
  std::vector<std::unique_ptr<Task>> slots_;
  std::vector<uint32_t> generations_;
  std::vector<uint32_t> free_slots_;
  std::deque<Task*> ready_;
  std::vector<Timer> timers_;  // a heap by (deadline, sequence); entries of waits that have ended are dropped when they surface
  uint64_t timer_sequence_ = 0;
  size_t live_ = 0;
  bool stopping_ = false;
  bool running_ = false;
  std::function<void()> on_ready_;
};

}  // namespace sg
