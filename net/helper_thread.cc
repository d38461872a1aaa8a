#include "net/helper_thread.h"

#include <signal.h>

#include "base/ensure.h"

namespace sg::net {

std::thread start_helper_thread(std::function<void()> body) {
  // The new thread inherits the mask.
  sigset_t all, before;
  ::sigfillset(&all);
  ENSURE(::pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
  std::thread thread(std::move(body));
  ENSURE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
  return thread;
}

}  // namespace sg::net
