// An address as people write it: host:port, with an IPv6 host in brackets.
#include "net/network.h"

#include <fmt/format.h>

#include <charconv>

namespace sg::net {

std::string to_string(const Address& address) {
  bool ipv6 = address.host.find(':') != std::string::npos;
  return ipv6 ? fmt::format("[{}]:{}", address.host, address.port) : fmt::format("{}:{}", address.host, address.port);
}

Result<Address> parse_address(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return fail(Errc::invalid, fmt::format("'{}' is not host:port", text));
  std::string_view host = text.substr(0, colon);
  std::string_view port_text = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (error != std::errc() || end != port_text.data() + port_text.size() || host.empty())
    return fail(Errc::invalid, fmt::format("'{}' is not host:port with a port from 0 to 65535", text));
  return Address{std::string(host), port};
}

}  // namespace sg::net
