#include "net/resolve.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

#include "base/ensure.h"

namespace sg::net {

Result<std::vector<SocketAddress>> resolve(const Address& address, Lookup lookup) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (lookup == Lookup::numeric ? AI_NUMERICHOST : AI_ADDRCONFIG);
  addrinfo* found = nullptr;
  int rc = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (rc != 0) return fail(Errc::invalid, fmt::format("cannot resolve '{}': {}", address.host, ::gai_strerror(rc)));
  std::vector<SocketAddress> out;
  for (const addrinfo* a = found; a; a = a->ai_next) {
    if (a->ai_addrlen > sizeof(sockaddr_storage)) continue;
    SocketAddress& s = out.emplace_back();
    std::memcpy(&s.storage, a->ai_addr, a->ai_addrlen);
    s.length = a->ai_addrlen;
  }
  ::freeaddrinfo(found);
  ENSURE(!out.empty(), "'{}' resolved to nothing", address.host);
  return out;
}

Address to_address(const SocketAddress& address) {
  char host[NI_MAXHOST] = "";
  int rc = ::getnameinfo(address.get(), address.length, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  ENSURE(rc == 0, "getnameinfo: {}", ::gai_strerror(rc));
  const void* raw = &address.storage;
  bool ipv6 = address.family() == AF_INET6;
  return {host, ntohs(ipv6 ? static_cast<const sockaddr_in6*>(raw)->sin6_port : static_cast<const sockaddr_in*>(raw)->sin_port)};
}

}  // namespace sg::net
