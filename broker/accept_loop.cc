#include "broker/accept_loop.h"

namespace sg::broker {
namespace {

constexpr Duration kAcceptPause = 100ms;

}  // namespace

void accept_loop(Task& task, net::Listener& listener, const std::string& name,
                 const std::function<void(Task&, std::shared_ptr<net::Connection>)>& serve) {
  TaskGroup connections(task.scheduler());
  while (!task.stopping()) {
    auto accepted = listener.accept(task);
    if (!accepted) {
      if (accepted.is(Errc::unavailable) && task.sleep_for(kAcceptPause)) continue;
      break;
    }
    // Shared, since a task's body must be copyable.
    std::shared_ptr<net::Connection> connection = std::move(*accepted);
    connections.spawn(name, [&serve, connection](Task& t) { serve(t, connection); });
  }
  listener.close();
  connections.stop();
  connections.join(task);
}

}  // namespace sg::broker
