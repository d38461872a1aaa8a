// net::Network over TCP sockets. A fiber makes its own non-blocking system calls and waits at the poller only when one of them had
// nothing to do; small writes leave at once (TCP_NODELAY). Semantics: net/network.h; contract: tests/contract/network_contract.h.
//
// Numeric addresses resolve at once. A name resolves through getaddrinfo: in connect() on the poller's helper thread (it may take
// longer than the deadline, and the task cannot be stopped meanwhile), in listen() on the calling thread, so use names there at
// start-up only.
#pragma once

#include "base/poller.h"
#include "net/network.h"

namespace sg::net {

class SocketNetwork final : public Network {
 public:
  // The poller outlives the network and everything that it has made.
  explicit SocketNetwork(Poller& poller) : poller_(poller) {}

  Result<std::unique_ptr<Listener>> listen(const Address& address) override;
  Result<std::unique_ptr<Connection>> connect(Task& task, const Address& address, Time deadline) override;

 private:
  Poller& poller_;
};

}  // namespace sg::net
