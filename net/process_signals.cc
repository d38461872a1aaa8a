#include "net/process_signals.h"

#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstring>

#include "base/ensure.h"

namespace sg::net {

Result<std::unique_ptr<ProcessSignals>> ProcessSignals::open(Poller& poller) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ENSURE(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  ENSURE(::signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  FileDescriptor fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return fail(Errc::unavailable, fmt::format("signalfd: {}", std::strerror(errno)));
  TRY(auto watch, poller.watch(fd.get()));
  return std::unique_ptr<ProcessSignals>(new ProcessSignals(std::move(fd), std::move(watch)));
}

Result<int> ProcessSignals::wait(Task& task, Time deadline) {
  for (;;) {
    TRY_DO(watch_->wait(task, Direction::read, deadline, "a signal of the operating system"));
    signalfd_siginfo info{};
    ssize_t n = ::read(fd_.get(), &info, sizeof info);
    if (n == sizeof info) return static_cast<int>(info.ssi_signo);
    ENSURE(n < 0 && (errno == EAGAIN || errno == EINTR), "read of a signalfd: {}", std::strerror(errno));
    if (errno == EAGAIN) watch_->drained(Direction::read);
  }
}

}  // namespace sg::net
