#include "base/scheduler.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/context/fiber.hpp>

#include "base/ensure.h"

#if defined(__SANITIZE_ADDRESS__)
#define SG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SG_ASAN 1
#endif
#endif
#ifdef SG_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace sg {

namespace ctx = boost::context;

// AddressSanitizer keeps a shadow of the stack it believes to be on; each switch tells it where it goes and where it came from.
struct Task::Fiber {
  ctx::fiber self;       // the suspended task, while the scheduler runs
  ctx::fiber scheduler;  // the suspended scheduler, while the task runs
  StackPool::Stack stack;
#ifdef SG_ASAN
  void* task_fake = nullptr;
  void* scheduler_fake = nullptr;
  const void* scheduler_bottom = nullptr;
  size_t scheduler_size = 0;
#endif

  void before_switch_to_task() {
#ifdef SG_ASAN
    __sanitizer_start_switch_fiber(&scheduler_fake, stack.bottom, stack.size);
#endif
  }
  void after_switch_to_scheduler() {
#ifdef SG_ASAN
    __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
  }
  void after_switch_to_task() {
#ifdef SG_ASAN
    __sanitizer_finish_switch_fiber(task_fake, &scheduler_bottom, &scheduler_size);
#endif
  }
  void before_switch_to_scheduler([[maybe_unused]] bool last) {
#ifdef SG_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &task_fake, scheduler_bottom, scheduler_size);
    if (last) task_fake = nullptr;  // freed by that call; the next task in this slot starts without one
#endif
  }
};

namespace {

// Boost.Context frees a stack through its allocator when the fiber ends; the pool owns ours, so this does nothing.
struct KeepStack {
  ctx::stack_context allocate() { ENSURE(false, "stacks are preallocated"); }
  void deallocate(ctx::stack_context&) noexcept {}
};

size_t page_bytes() {
  static const size_t bytes = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

// --- StackPool ---------------------------------------------------------------------------------------------------------------

StackPool::StackPool(size_t stack_bytes) : stack_bytes_((stack_bytes + page_bytes() - 1) / page_bytes() * page_bytes()) {
#ifdef SG_ASAN
  stack_bytes_ *= 4;  // red zones make frames several times larger
#endif
}

StackPool::~StackPool() {
  ENSURE(in_use_ == 0, "{} fiber stacks still in use", in_use_);
  for (Stack& s : free_) ::munmap(static_cast<char*>(s.bottom) - page_bytes(), s.size + page_bytes());
}

StackPool::Stack StackPool::take() {
  high_water_ = std::max(high_water_, ++in_use_);
  if (!free_.empty()) {
    Stack s = free_.back();
    free_.pop_back();
    return s;
  }
  void* base = ::mmap(nullptr, stack_bytes_ + page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ENSURE(base != MAP_FAILED, "no memory for fiber stack number {}", in_use_);
  ENSURE(::mprotect(base, page_bytes(), PROT_NONE) == 0);
  return {static_cast<char*>(base) + page_bytes(), stack_bytes_};
}

void StackPool::give_back(Stack stack) {
  ENSURE(in_use_ > 0);
  --in_use_;
#ifdef SG_ASAN
  __asan_unpoison_memory_region(stack.bottom, stack.size);
#endif
  free_.push_back(stack);
}

// --- Task --------------------------------------------------------------------------------------------------------------------

Time Task::now() const { return scheduler_->now(); }

Result<> Task::sleep_until(Time deadline) {
  while (now() < deadline)
    if (park("sleep", deadline) == Wake::stopped) return fail(Errc::stopped);
  if (stopping_) return fail(Errc::stopped);
  return {};
}

Result<> Task::sleep_for(Duration duration) { return sleep_until(now() + duration); }

Result<> Task::yield() {
  if (stopping_) return fail(Errc::stopped);
  ENSURE(state_ == State::running);
  state_ = State::parked;
  scheduler_->make_ready(*this, Wake::woken);
  fiber_->before_switch_to_scheduler(false);
  fiber_->scheduler = std::move(fiber_->scheduler).resume();
  fiber_->after_switch_to_task();
  if (stopping_) return fail(Errc::stopped);
  return {};
}

Wake Task::park(const char* what, Time deadline, Interruptible interruptible) {
  ENSURE(state_ == State::running, "task '{}' parks for '{}' while it does not run", name_, what);
  if (stopping_ && interruptible == Interruptible::yes) {
    ++refused_waits_;
    ENSURE(refused_waits_ <= kMaxRefusedWaits, "task '{}' was stopped and keeps waiting for '{}'", name_, what);
    return Wake::stopped;
  }
  if (deadline <= now()) return Wake::timeout;
  ++wait_number_;
  waits_for_ = what;
  interruptible_ = interruptible == Interruptible::yes;
  state_ = State::parked;
  if (deadline != Time::never()) scheduler_->add_timer(*this, deadline);
  fiber_->before_switch_to_scheduler(false);
  fiber_->scheduler = std::move(fiber_->scheduler).resume();
  fiber_->after_switch_to_task();
  waits_for_ = "";
  return wake_reason_;
}

void Task::wake() {
  if (state_ == State::parked) scheduler_->make_ready(*this, Wake::woken);
}

// --- Scheduler ---------------------------------------------------------------------------------------------------------------

Scheduler::Scheduler(const Clock& clock, StackPool& stacks, std::string name) : clock_(clock), stacks_(stacks), name_(std::move(name)) {}

Scheduler::~Scheduler() { ENSURE(live_ == 0, "scheduler '{}' destroyed with live tasks:\n{}", name_, describe_tasks()); }

TaskRef Scheduler::spawn(std::string name, TaskBody body) {
  uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back(new Task());
    generations_.push_back(0);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Task& task = *slots_[slot];
  task.scheduler_ = this;
  task.name_ = std::move(name);
  task.ref_ = {slot, generations_[slot]};
  task.body_ = std::move(body);
  task.stopping_ = stopping_;
  task.refused_waits_ = 0;
  task.state_ = Task::State::parked;
  if (!task.fiber_) task.fiber_ = std::make_unique<Task::Fiber>();
  ++live_;
  make_ready(task, Wake::woken);
  return task.ref_;
}

void Scheduler::make_ready(Task& task, Wake reason) {
  ENSURE(task.state_ == Task::State::parked);
  task.state_ = Task::State::ready;
  task.wake_reason_ = reason;
  ready_.push_back(&task);
  if (ready_.size() == 1 && !running_ && on_ready_) on_ready_();
}

void Scheduler::resume(Task& task) {
  task.state_ = Task::State::running;
  Task::Fiber& f = *task.fiber_;
  if (!f.self) {
    f.stack = stacks_.take();
    ctx::stack_context sctx;
    sctx.sp = static_cast<char*>(f.stack.bottom) + f.stack.size;
    sctx.size = f.stack.size;
    f.self = ctx::fiber(std::allocator_arg, ctx::preallocated(sctx.sp, sctx.size, sctx), KeepStack{}, [&task](ctx::fiber&& from) {
      Task::Fiber& fiber = *task.fiber_;
      fiber.scheduler = std::move(from);
      fiber.after_switch_to_task();
      task.body_(task);
      task.state_ = Task::State::idle;
      fiber.before_switch_to_scheduler(true);
      return std::move(fiber.scheduler);
    });
  }
  f.before_switch_to_task();
  f.self = std::move(f.self).resume();
  f.after_switch_to_scheduler();
  if (task.state_ != Task::State::idle) return;
  ENSURE(!f.self);
  stacks_.give_back(f.stack);
  task.body_ = nullptr;
  task.fiber_->scheduler = ctx::fiber();
  ++generations_[task.ref_.slot];
  free_slots_.push_back(task.ref_.slot);
  --live_;
}

uint64_t Scheduler::run_ready() {
  ENSURE(!running_, "run_ready() from inside a task");
  running_ = true;
  uint64_t resumes = 0;
  Time now = clock_.now();
  while (!timers_.empty() && timers_.front().deadline <= now) {
    Timer timer = timers_.front();
    std::pop_heap(timers_.begin(), timers_.end(), later);
    timers_.pop_back();
    if (timer_is_live(timer)) make_ready(*find(timer.task), Wake::timeout);
  }
  while (!ready_.empty()) {
    Task* task = ready_.front();
    ready_.pop_front();
    resume(*task);
    ++resumes;
  }
  running_ = false;
  return resumes;
}

void Scheduler::add_timer(Task& task, Time deadline) {
  timers_.push_back({deadline, ++timer_sequence_, task.ref_, task.wait_number_});
  std::push_heap(timers_.begin(), timers_.end(), later);
}

bool Scheduler::timer_is_live(const Timer& timer) const {
  const Task* task = find(timer.task);
  return task && task->state_ == Task::State::parked && task->wait_number_ == timer.wait_number;
}

Time Scheduler::next_deadline() {
  while (!timers_.empty() && !timer_is_live(timers_.front())) {
    std::pop_heap(timers_.begin(), timers_.end(), later);
    timers_.pop_back();
  }
  return timers_.empty() ? Time::never() : timers_.front().deadline;
}

Task* Scheduler::find(TaskRef ref) const {
  if (ref.slot >= slots_.size() || generations_[ref.slot] != ref.generation) return nullptr;
  return slots_[ref.slot].get();
}

bool Scheduler::alive(TaskRef ref) const { return find(ref) != nullptr; }

void Scheduler::request_stop(TaskRef ref) {
  Task* task = find(ref);
  if (!task || task->stopping_) return;
  task->stopping_ = true;
  if (task->state_ == Task::State::parked && task->interruptible_) make_ready(*task, Wake::stopped);
}

void Scheduler::stop_all() {
  stopping_ = true;
  for (size_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot]->state_ != Task::State::idle) request_stop(slots_[slot]->ref_);
}

std::string Scheduler::describe_tasks() const {
  std::string out;
  for (const auto& task : slots_)
    if (task->state_ != Task::State::idle)
      out += fmt::format("  {}: {}\n", task->name_, task->state_ == Task::State::parked ? task->waits_for_ : "ready");
  return out;
}

}  // namespace sg
