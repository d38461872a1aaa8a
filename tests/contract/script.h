// Runs the tasks of one contract case to their end and reports which one failed, with what, or what it was still waiting for.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/scheduler.h"

namespace sg::contract {

class Script {
 public:
  using RunUntil = std::function<bool(const std::function<bool()>& done)>;
  explicit Script(RunUntil run_until) : run_until_(std::move(run_until)) {}

  // A task that is expected to return ok.
  TaskRef task(Scheduler& scheduler, std::string name, std::function<Result<>(Task&)> body) {
    ++live_;
    TaskRef ref = scheduler.spawn(name, [this, name, body = std::move(body)](Task& task) {
      Result<> result = body(task);
      std::string outcome = result ? "ok" : fmt::format("{}: {}", to_string(result.code()), result.error().what);
      CHECK_MESSAGE(result.has_value(), name, " returned ", outcome);
      --live_;
    });
    tasks_.push_back({&scheduler, ref});
    return ref;
  }

  // Until every task has returned. Tasks that hang are a failure, and are stopped.
  void run() {
    auto ended = [this] { return live_ == 0; };
    if (run_until_(ended)) return;
    for (const auto& [scheduler, ref] : tasks_)
      if (scheduler->alive(ref)) FAIL_CHECK("still waiting:\n", scheduler->describe_tasks());
    for (const auto& [scheduler, ref] : tasks_) scheduler->request_stop(ref);
    REQUIRE(run_until_(ended));
  }

 private:
  RunUntil run_until_;
  std::vector<std::pair<Scheduler*, TaskRef>> tasks_;
  int live_ = 0;
};

// Waits for what another task, perhaps of another node, will bring about.
inline Result<> wait_until(Task& task, const std::function<bool()>& condition) {
  while (!condition()) TRY_DO(task.sleep_for(1ms));
  return {};
}

// Bytes by which a shifted, lost or doubled piece is noticed: each depends on its position, and the period is not a power of two.
inline uint8_t pattern_at(uint64_t position) { return static_cast<uint8_t>((position % 65'521) * 167 >> 3); }
inline ByteVec pattern(uint64_t from, size_t size) {
  ByteVec bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = pattern_at(from + i);
  return bytes;
}
inline bool matches_pattern(uint64_t from, ByteSpan bytes) {
  for (size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] != pattern_at(from + i)) return false;
  return true;
}

}  // namespace sg::contract
