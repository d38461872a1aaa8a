#include "broker/peer/reach.h"

#include <algorithm>
#include <optional>

#include "base/probe.h"
#include "base/sync.h"

namespace sg::broker::peer {

Result<std::unique_ptr<net::Connection>> reach(Task& task, net::Network& network, const net::Address& address, Time deadline) {
  std::optional<Result<std::unique_ptr<net::Connection>>> answer;
  Signal answered;
  TaskGroup attempts(task.scheduler());
  Result<> waited;
  while (!answer && !waited.is(Errc::stopped) && task.now() < deadline) {
    attempts.spawn("connect", [&](Task& attempt) {
      auto made = network.connect(attempt, address, deadline);
      if (answer || made.is(Errc::stopped) || made.is(Errc::timeout)) return;
      answer = std::move(made);
      answered.notify_all();
    });
    waited = answered.wait(task, std::min(deadline, task.now() + kReachStep), "an answer to a connect");
    if (answer && attempts.live() > 0) REACHED("peer: a later connect was answered first");
  }
  attempts.stop();
  attempts.join(task);
  if (answer) return std::move(*answer);
  if (waited.is(Errc::stopped)) return fail(Errc::stopped);
  return fail(Errc::timeout, fmt::format("no answer from {}", to_string(address)));
}

}  // namespace sg::broker::peer
