// net::Network over TCP sockets. A fiber makes its own non-blocking system calls and waits at the poller only when one of them had
// nothing to do; small writes leave at once (TCP_NODELAY). Semantics: net/network.h; contract: tests/contract/network_contract.h.
//
// Numeric addresses resolve at once. A name resolves through getaddrinfo, which may take longer than any deadline: in connect() on the
// poller's helper for names (the task cannot be stopped meanwhile); for listen(), which does not suspend, beforehand.
#pragma once

#include <map>

#include "base/poller.h"
#include "net/network.h"
#include "net/resolve.h"

namespace sg::net {

class SocketNetwork final : public Network {
 public:
  // The poller outlives the network and everything that it has made.
  explicit SocketNetwork(Poller& poller) : poller_(poller) {}

  // Looks up where listen() is to listen. Blocks, so it is for the time before the loop runs.  Errc::invalid: no such name.
  Result<> know(const Address& address);

  // A name must be known.
  Result<std::unique_ptr<Listener>> listen(const Address& address) override;
  Result<std::unique_ptr<Connection>> connect(Task& task, const Address& address, Time deadline) override;

 private:
  Poller& poller_;
  std::map<Address, SocketAddress> known_;
};

}  // namespace sg::net
