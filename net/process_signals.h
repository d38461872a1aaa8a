// SIGTERM and SIGINT as events for a task (a signalfd), instead of handlers that run anywhere. One object per process, made before
// any other thread exists, since a thread inherits which signals are blocked; children must unblock them for themselves.
#pragma once

#include <memory>

#include "base/file_descriptor.h"
#include "base/poller.h"

namespace sg::net {

class ProcessSignals {
 public:
  // Blocks SIGTERM and SIGINT and ignores SIGPIPE, for the rest of the process's life.  Errc::unavailable.
  static Result<std::unique_ptr<ProcessSignals>> open(Poller& poller);

  // Waits for the next one and returns its number. One waiter at a time.  Errc::stopped, Errc::timeout.
  Result<int> wait(Task& task, Time deadline = Time::never());

 private:
  ProcessSignals(FileDescriptor fd, std::unique_ptr<Watch> watch) : fd_(std::move(fd)), watch_(std::move(watch)) {}
  FileDescriptor fd_;
  std::unique_ptr<Watch> watch_;  // ends before the descriptor is closed
};

}  // namespace sg::net
