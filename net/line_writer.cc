#include "net/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "net/helper_thread.h"

namespace sg::net {

struct LineWriter::State {
  const int fd;
  const LostLine lost_line;
  const size_t queue_bytes;

  std::mutex mutex{};  // guards what follows
  std::condition_variable changed{};
  std::string queue{};
  uint64_t lost_behind_queue = 0;  // lines that would stand behind those in the queue
  uint64_t lost = 0;
  bool writing = false;
  bool ending = false;

  bool idle() const { return queue.empty() && lost_behind_queue == 0 && !writing; }
};

namespace {

// False: the descriptor takes no more for good.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};  // somebody else made it non-blocking
      (void)::poll(&room, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

}  // namespace

LineWriter::LineWriter(int fd, LostLine lost_line, size_t queue_bytes)
    : state_(new State{.fd = fd, .lost_line = std::move(lost_line), .queue_bytes = queue_bytes}) {
  thread_ = start_helper_thread([state = state_] {
    State& s = *state;
    std::unique_lock lock(s.mutex);
    for (;;) {
      s.changed.wait(lock, [&] { return s.ending || !s.idle(); });
      if (s.idle()) return;
      std::string bytes = std::exchange(s.queue, {});
      uint64_t lost = std::exchange(s.lost_behind_queue, 0);
      s.writing = true;
      lock.unlock();
      bool taken = write_all(s.fd, bytes);
      if (taken && lost > 0 && s.lost_line) (void)write_all(s.fd, s.lost_line(lost));
      lock.lock();
      s.writing = false;
      s.changed.notify_all();
    }
  });
}

LineWriter::~LineWriter() {
  bool done = flush(kFarewell);
  {
    std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_all();
  done ? thread_.join() : thread_.detach();
}

void LineWriter::write(std::string_view line) {
  {
    std::lock_guard lock(state_->mutex);
    // Behind a loss that is not written yet nothing is queued: the lines that are there stand in their order.
    if (state_->lost_behind_queue > 0 || state_->queue.size() + line.size() > state_->queue_bytes) {
      ++state_->lost_behind_queue;
      ++state_->lost;
    } else {
      state_->queue += line;
    }
  }
  state_->changed.notify_all();
}

bool LineWriter::flush(Duration bound) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, bound, [this] { return state_->idle(); });
}

uint64_t LineWriter::lost() const {
  std::lock_guard lock(state_->mutex);
  return state_->lost;
}

}  // namespace sg::net
