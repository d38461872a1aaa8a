// The poller for kernels and containers that refuse io_uring: edge-triggered epoll, so that a socket is registered once and costs no
// further system call, and file I/O on a helper thread.
#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/ensure.h"
#include "net/blocking_worker.h"
#include "net/poller.h"

namespace sg::net {

namespace {

class EpollWatch final : public Watch {
 public:
  EpollWatch(int epoll_fd, int fd) : epoll_fd_(epoll_fd), fd_(fd) {}
  ~EpollWatch() override {
    if (registered_) unwatch();
  }

  bool enroll() {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = this;
    registered_ = ::epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd_, &event) == 0;
    return registered_;
  }

  void on_events(uint32_t events) {
    // An edge comes once. What is final is remembered, or a reader that drained the last bytes would wait for an end that has been
    // reported already.
    bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
    bool read_ended = broken || (events & EPOLLRDHUP) != 0;
    if ((events & EPOLLIN) || read_ended) set_ready(Direction::read, read_ended);
    if ((events & EPOLLOUT) || broken) set_ready(Direction::write, broken);
  }

 protected:
  void arm(Direction) override {}
  void unwatch() override {
    registered_ = false;
    ENSURE(::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd_, nullptr) == 0, "epoll_ctl: {}", std::strerror(errno));
  }

 private:
  int epoll_fd_;
  int fd_;
  bool registered_ = false;
};

class EpollPoller final : public Poller {
 public:
  EpollPoller(FileDescriptor epoll_fd, Workers workers) : epoll_fd_(std::move(epoll_fd)), workers_(std::move(workers)) {}

  std::string_view name() const override { return "epoll"; }

  Result<std::unique_ptr<Watch>> watch(int fd) override {
    auto watch = std::make_unique<EpollWatch>(epoll_fd_.get(), fd);
    if (!watch->enroll()) return fail(Errc::unavailable, fmt::format("cannot watch a descriptor: {}", std::strerror(errno)));
    return watch;
  }

 protected:
  void submit(BlockingOperation& operation) override { worker_of(workers_, operation).submit(operation); }

  void wait_for_events(Duration timeout) override {
    int count = wait(timeout);
    if (count < 0) {
      ENSURE(errno == EINTR, "epoll_wait: {}", std::strerror(errno));
      return;
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<size_t>(i)];
      if (event.data.ptr)
        static_cast<EpollWatch*>(event.data.ptr)->on_events(event.events);
      else
        for (auto& worker : workers_) worker->complete_finished();
    }
  }

 private:
  int wait(Duration timeout) {
    int capacity = static_cast<int>(events_.size());
    if (timeout == Duration::max()) return ::epoll_wait(epoll_fd_.get(), events_.data(), capacity, -1);
    int64_t ns = std::max<int64_t>(timeout.count(), 0);
    if (has_pwait2_) {
      timespec ts{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
      int count = ::epoll_pwait2(epoll_fd_.get(), events_.data(), capacity, &ts, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
      has_pwait2_ = false;
    }
    // Rounded up: too early would mean a spin until the deadline is there.
    int64_t ms = std::min<int64_t>((ns + 999'999) / 1'000'000, 3'600'000);
    return ::epoll_wait(epoll_fd_.get(), events_.data(), capacity, static_cast<int>(ms));
  }

  FileDescriptor epoll_fd_;
  Workers workers_;
  std::array<epoll_event, 256> events_{};
  bool has_pwait2_ = true;  // Linux 5.11
};

}  // namespace

Result<std::unique_ptr<Poller>> make_epoll_poller() {
  FileDescriptor fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return fail(Errc::unavailable, fmt::format("epoll_create1: {}", std::strerror(errno)));
  TRY(Workers workers, make_workers());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  for (const auto& worker : workers)
    if (::epoll_ctl(fd.get(), EPOLL_CTL_ADD, worker->event_fd(), &event) != 0)
      return fail(Errc::unavailable, fmt::format("epoll_ctl: {}", std::strerror(errno)));
  return std::make_unique<EpollPoller>(std::move(fd), std::move(workers));
}

}  // namespace sg::net
