// Lines to a descriptor of which nobody knows whether it takes them: standard error and standard output, which may be a pipe that nobody
// reads, a stopped terminal, or a file on a disk that hangs.
//
// Invariant: write() never waits. A line goes into a bounded queue, from where a thread of its own writes it; beyond the bound lines are
// lost and counted, and where they are missing a line says how many, as soon as the descriptor takes lines again.
//
// Why a thread: O_NONBLOCK would belong to the open file that the parent and other nodes share; asking poll() first promises nothing when
// another process writes to the same pipe, and nothing at all for a file. It shares no thread with files or names (net/blocking_worker.h),
// because it may hang for ever.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/time.h"

namespace sg::net {

class LineWriter {
 public:
  static constexpr size_t kQueueBytes = 1 << 20;  // the piece that is being written may hold as much again
  static constexpr Duration kFarewell = 1s;

  // The line that stands for `lost` others. Called on the writer's thread.
  using LostLine = std::function<std::string(uint64_t lost)>;

  // `fd` stays open, and is not closed here.
  explicit LineWriter(int fd, LostLine lost_line = {}, size_t queue_bytes = kQueueBytes);
  // Writes what fits into `kFarewell`. A thread that hangs then is left to the end of the process.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with its newline.
  void write(std::string_view line);

  // Waits at most so long until everything is written; false if it is not. For the end of a process: it blocks.
  bool flush(Duration bound);

  uint64_t lost() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // the thread's too, which may outlive this object
  std::thread thread_;
};

}  // namespace sg::net
