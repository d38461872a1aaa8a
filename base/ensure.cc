#include "base/ensure.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

namespace sg {
namespace {

EnsureHook g_hook = nullptr;

// Unless standard error would block: a process whose invariants are broken has to end, whoever reads its log.
void say(const std::string& line) {
  pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&room, 1, 0) != 1 || !(room.revents & POLLOUT)) return;
  (void)!::write(STDERR_FILENO, line.data(), std::min<size_t>(line.size(), PIPE_BUF));
}

}  // namespace

EnsureHook set_ensure_hook(EnsureHook hook) {
  EnsureHook old = g_hook;
  g_hook = hook;
  return old;
}

void ensure_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string text = fmt::format("{}:{}: ENSURE({}) failed{}{}", file, line, condition, message.empty() ? "" : ": ", message);
  say(text + "\n");
  if (EnsureHook hook = g_hook) {
    g_hook = nullptr;  // a failure inside the hook must not recurse
    hook(text);
  }
  std::abort();
}

}  // namespace sg
