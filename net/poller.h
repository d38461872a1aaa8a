// Chooses the poller of this process (interface: base/poller.h). io_uring: one ring for socket readiness and file I/O, one
// io_uring_enter per turn. epoll: edge-triggered readiness, file I/O on a helper thread; for kernels and containers that refuse
// io_uring. Both pass the same contract tests.
#pragma once

#include <memory>
#include <string_view>

#include "base/log.h"
#include "base/poller.h"

namespace sg::net {

enum class PollerPreference : uint8_t {
  automatic,  // io_uring, or epoll where it is refused
  epoll,      // epoll even where io_uring works
};

// Call it on the thread that will poll: the ring belongs to it. Which one was chosen, and why, is one line of the log.
std::unique_ptr<Poller> make_poller(PollerPreference preference, const Log& log);

// io_uring or nothing.  Errc::unsupported: refused or too old, and what it said.
Result<std::unique_ptr<Poller>> make_uring_poller();
// Errc::unavailable: out of descriptors.
Result<std::unique_ptr<Poller>> make_epoll_poller();

}  // namespace sg::net
