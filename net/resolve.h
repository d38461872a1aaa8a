// From Address to what the system calls want, and back.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "net/network.h"

namespace sg::net {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

enum class Lookup : uint8_t {
  numeric,  // never blocks; a name fails
  name,     // may ask the name service, and block for as long as that takes
};

// In the order in which they should be tried; not empty.  Errc::invalid: no such name or address, and what the resolver said.
Result<std::vector<SocketAddress>> resolve(const Address& address, Lookup lookup);

Address to_address(const SocketAddress& address);

}  // namespace sg::net
