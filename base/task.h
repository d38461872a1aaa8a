// A task is a fiber with a name, a stop flag, and waits that have a name and a deadline.
//
// Rule B of the architecture: a function that may suspend takes Task& first; a function without it cannot. After a suspension
// nothing that was read before is believed. No destructor, no noexcept function and no catch handler ever suspends.
//
// Stopping: request_stop() makes the current and every later interruptible wait of the task return `stopped` at once. The task then
// returns by ordinary means. A stopped task that keeps on waiting (more than kMaxRefusedWaits times) is a bug and hits ENSURE.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace sg {

class Scheduler;
class Task;

enum class Wake : uint8_t { woken, timeout, stopped };

// Whether request_stop() ends a wait. `no` is for an operation whose buffers somebody else (the kernel) still uses.
enum class Interruptible : uint8_t { yes, no };

using TaskBody = std::function<void(Task&)>;

// Names a task without keeping it alive; stale once the task has ended.
struct TaskRef {
  uint32_t slot = UINT32_MAX;
  uint32_t generation = 0;
  bool operator==(const TaskRef&) const = default;
};

class Task {
 public:
  static constexpr int kMaxRefusedWaits = 1000;

  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  std::string_view name() const { return name_; }
  Scheduler& scheduler() const { return *scheduler_; }
  TaskRef ref() const { return ref_; }
  Time now() const;
  bool stopping() const { return stopping_; }

  // Waits until the clock has reached `deadline`.  Errc::stopped.
  Result<> sleep_until(Time deadline);
  Result<> sleep_for(Duration duration);

  // Lets every other ready task run first.  Errc::stopped.
  Result<> yield();

  // The primitive below Signal, Mailbox and the like: suspends until wake() or the deadline or a stop. A wake() that comes while the
  // task is not parked is lost, so the caller registers itself first and checks its condition in a loop.
  Wake park(const char* what, Time deadline = Time::never(), Interruptible interruptible = Interruptible::yes);
  void wake();

 private:
  friend class Scheduler;
  Task() = default;

  enum class State : uint8_t { idle, ready, running, parked };

  struct Fiber;
  Scheduler* scheduler_ = nullptr;
  std::string name_;
  TaskRef ref_;
  TaskBody body_;
  const char* waits_for_ = "";
  State state_ = State::idle;
  Wake wake_reason_ = Wake::woken;
  bool stopping_ = false;
  bool interruptible_ = true;
  int refused_waits_ = 0;
  uint64_t wait_number_ = 0;  // tells the timer of this wait from those of earlier waits
  std::unique_ptr<Fiber> fiber_;
};

}  // namespace sg
