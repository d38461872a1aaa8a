// A helper thread: performs blocking calls one after the other and hands the results back through an eventfd. It touches nothing but the
// operations that it was given, between submit() and complete_finished(). The thread starts with the first operation.
// The other thread that a node may have is the writer of its log (net/line_writer.h).
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"
#include "base/poller.h"

namespace sg::net {

class BlockingWorker {
 public:
  // Errc::unavailable: no descriptor left.
  static Result<std::unique_ptr<BlockingWorker>> make();
  // Nothing is in flight.
  ~BlockingWorker();

  // Readable while results are waiting for complete_finished().
  int event_fd() const { return event_fd_.get(); }
  size_t in_flight() const { return in_flight_; }

  void submit(BlockingOperation& operation);
  // Completes what has been done, in the order of its submission.
  void complete_finished();

 private:
  struct Finished {
    BlockingOperation* operation;
    int64_t result;
  };
  explicit BlockingWorker(FileDescriptor event_fd) : event_fd_(std::move(event_fd)) {}
  void run();

  FileDescriptor event_fd_;
  size_t in_flight_ = 0;  // the poller's side only

  std::mutex mutex_;  // guards what follows
  std::condition_variable submitted_;
  std::deque<BlockingOperation*> queue_;
  std::vector<Finished> finished_;
  bool ending_ = false;

  std::thread thread_;
};

// One for each Helper.
using Workers = std::array<std::unique_ptr<BlockingWorker>, 2>;
Result<Workers> make_workers();
inline BlockingWorker& worker_of(const Workers& workers, const BlockingOperation& operation) {
  return *workers[static_cast<size_t>(operation.helper)];
}

}  // namespace sg::net
