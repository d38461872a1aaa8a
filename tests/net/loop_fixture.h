// A production loop for tests: poller, clock and scheduler of one node, and a directory that is removed afterwards.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/scheduler.h"
#include "base/system_clock.h"
#include "net/event_loop.h"
#include "net/poller.h"

namespace sg::test {

enum class PollerKind : uint8_t { uring, epoll };

struct Loop {
  // Without a poller where this machine refuses io_uring: the test has nothing to say there (have() is false).
  explicit Loop(PollerKind kind);
  bool have() const { return poller != nullptr; }

  // Until `done`, or false after a bound that no healthy run comes near.
  bool run_until(const std::function<bool()>& done);
  // Runs one task to its end; it is a failure if that does not come.
  void run(std::function<void(Task&)> body);

  SystemClock clock;
  StackPool stacks;
  Scheduler scheduler{clock, stacks};
  std::unique_ptr<Poller> poller;
};

struct TemporaryDirectory {
  TemporaryDirectory();
  ~TemporaryDirectory();
  std::filesystem::path path;
};

}  // namespace sg::test
