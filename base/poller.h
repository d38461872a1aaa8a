// The one place where a node's thread blocks: readiness of sockets, and the blocking calls of files, as events for tasks.
// The interface stands in base/ so that net/ (sockets) and disk/ (files) share one loop and neither includes the other; the
// implementations (io_uring, epoll) and their choice are behind net/poller.h. The simulator has no poller.
//
// Invariant: poll() only marks tasks ready; no task runs and nothing is closed inside of it. So one turn is: run_ready(), poll(), and
// io_uring enters the kernel once for all that the turn has asked for.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/sync.h"
#include "base/task.h"

namespace sg {

enum class Direction : uint8_t { read, write };

// The readiness of one open descriptor (a non-blocking socket, a signalfd). The protocol, which holds for level- and edge-triggered
// pollers alike: try the system call; when it says EAGAIN, or moved less than was asked for, call drained(); wait() before the next
// try. A descriptor that has ended or failed is ready: the system call then says how.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  // Ends the watching if close() did not. Nobody waits any more.
  virtual ~Watch() = default;

  bool ready(Direction direction) const { return side(direction).ready; }
  void drained(Direction direction) { side(direction).ready = side(direction).ended; }

  // Returns when ready; at once if nothing was drained since. `what` names the wait.
  // Errc::timeout, Errc::stopped; Errc::closed after close().
  Result<> wait(Task& task, Direction direction, Time deadline, const char* what);

  // Ends the watching, wakes those who wait, and makes every later wait fail with Errc::closed. Idempotent. The descriptor is closed
  // after this, never before.
  void close();
  bool closed() const { return closed_; }

 protected:
  // Asks for an event in this direction. Called before each suspension; may be a no-op.
  virtual void arm(Direction direction) = 0;
  // Ends the watching: nothing refers to this object or keeps the descriptor open afterwards.
  virtual void unwatch() = 0;
  // `ended`: hung up or failed for good, no further event will come; ready for ever.
  void set_ready(Direction direction, bool ended = false);

 private:
  struct Side {
    bool ready = true;
    bool ended = false;
    Signal signal;
  };
  Side& side(Direction d) { return sides_[static_cast<size_t>(d)]; }
  const Side& side(Direction d) const { return sides_[static_cast<size_t>(d)]; }
  Side sides_[2];
  bool closed_ = false;
};

// Who performs a call: each is a thread of its own, so that a name service that does not answer holds up no file.
enum class Helper : uint8_t { files, names };

// One blocking call, done elsewhere. Lives on the stack of the task that waits for it.
struct BlockingOperation {
  enum class Kind : uint8_t { read, write, sync, call };
  Kind kind = Kind::call;
  Helper helper = Helper::files;  // call
  bool synced = false;            // write: RWF_DSYNC
  int fd = -1;
  uint64_t offset = 0;
  std::span<const iovec> pieces;  // at most IOV_MAX
  std::function<int64_t()> call;

  int64_t result = 0;  // what the call returned, or -errno
  bool done = false;
  Task* task = nullptr;

  // For the poller: the result is there; wakes the task.
  void complete(int64_t value);
  // Performs the call on the present thread.
  int64_t perform() const;
};

class Poller {
 public:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  // No operation is in flight and no Watch is left.
  virtual ~Poller() = default;

  // "io_uring" or "epoll".
  virtual std::string_view name() const = 0;

  // Watches an open descriptor; both directions start out as ready (try first).  Errc::unavailable: out of resources.
  virtual Result<std::unique_ptr<Watch>> watch(int fd) = 0;

  // File calls. Each returns what the system call returns, or -errno; short transfers and EINTR are the caller's to continue.
  // The buffers belong to the kernel until the return, so a stop of the task does not end the wait.
  int64_t read(Task& task, int fd, uint64_t offset, std::span<const iovec> pieces);
  int64_t write(Task& task, int fd, uint64_t offset, std::span<const iovec> pieces, bool synced);
  int64_t sync(Task& task, int fd);  // fdatasync
  // Runs `call` on a helper thread: for calls that may block and have no cheaper way. It touches nothing of the node but what it
  // was given, and returns a value or -errno.
  int64_t call(Task& task, std::function<int64_t()> call, Helper helper = Helper::files);

  // Suspends until the loop has looked at the outside once more: for a task whose work never makes it wait, so that it cannot keep
  // the loop from its turn (yield() gives way to ready tasks only).  Errc::stopped.
  Result<> next_turn(Task& task);

  // Submits what was asked for, waits at most `timeout` (<= 0: not at all; Duration::max(): without limit) until something has
  // happened, and marks the tasks concerned ready.
  void poll(Duration timeout);

 protected:
  virtual void submit(BlockingOperation& operation) = 0;
  virtual void wait_for_events(Duration timeout) = 0;

 private:
  int64_t await(Task& task, BlockingOperation& operation);
  Signal next_turn_;
};

}  // namespace sg
