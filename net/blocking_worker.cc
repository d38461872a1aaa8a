#include "net/blocking_worker.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstring>

#include "base/ensure.h"
#include "net/helper_thread.h"

namespace sg::net {

Result<std::unique_ptr<BlockingWorker>> BlockingWorker::make() {
  FileDescriptor fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return fail(Errc::unavailable, fmt::format("no eventfd for the helper thread: {}", std::strerror(errno)));
  return std::unique_ptr<BlockingWorker>(new BlockingWorker(std::move(fd)));
}

Result<Workers> make_workers() {
  Workers workers;
  for (auto& worker : workers) {
    TRY(worker, BlockingWorker::make());
  }
  return workers;
}

BlockingWorker::~BlockingWorker() {
  ENSURE(in_flight_ == 0, "{} blocking operations in flight", in_flight_);
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  submitted_.notify_one();
  thread_.join();
}

void BlockingWorker::submit(BlockingOperation& operation) {
  if (!thread_.joinable()) thread_ = start_helper_thread([this] { run(); });
  ++in_flight_;
  {
    std::lock_guard lock(mutex_);
    queue_.push_back(&operation);
  }
  submitted_.notify_one();
}

void BlockingWorker::complete_finished() {
  uint64_t count = 0;
  // Before the list is taken: a result that comes in between raises the event again.
  ssize_t n = ::read(event_fd_.get(), &count, sizeof count);
  ENSURE(n == sizeof count || errno == EAGAIN, "read of an eventfd: {}", std::strerror(errno));
  std::vector<Finished> finished;
  {
    std::lock_guard lock(mutex_);
    finished.swap(finished_);
  }
  ENSURE(finished.size() <= in_flight_);
  in_flight_ -= finished.size();
  for (const Finished& f : finished) f.operation->complete(f.result);
}

void BlockingWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    BlockingOperation* operation = queue_.front();
    queue_.pop_front();
    lock.unlock();
    int64_t result = operation->perform();
    lock.lock();
    bool raise = finished_.empty();
    finished_.push_back({operation, result});
    if (raise) {
      uint64_t one = 1;
      ENSURE(::write(event_fd_.get(), &one, sizeof one) == sizeof one, "write of an eventfd: {}", std::strerror(errno));
    }
  }
}

}  // namespace sg::net
