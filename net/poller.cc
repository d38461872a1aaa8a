#include "net/poller.h"

#include "base/ensure.h"

namespace sg::net {

std::unique_ptr<Poller> make_poller(PollerPreference preference, const Log& log) {
  std::string why = "asked for";
  if (preference == PollerPreference::automatic) {
    auto uring = make_uring_poller();
    if (uring) {
      log.info("poller kind=io_uring");
      return std::move(*uring);
    }
    why = uring.error().what;
  }
  auto epoll = make_epoll_poller();
  ENSURE(epoll, "no poller at all: {}", epoll.error().what);
  log.info("poller kind=epoll files=helper_thread reason=\"{}\"", why);
  return std::move(*epoll);
}

}  // namespace sg::net
