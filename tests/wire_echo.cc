// wire_echo: reads lines `request|response KEY VERSION HEX` ("-" = empty body), decodes each body, encodes it again, and prints the
// same form. One output line per input line, always: `unsupported request|response KEY VERSION` for what is not served, and
// `error ...` for what cannot be decoded or is no such line. Exit code 0.
#include <iostream>
#include <sstream>
#include <string>

#include "broker/kafka/codec.h"
#include "tests/kafka/hex.h"

namespace {

std::string echo(const std::string& line) {
  std::istringstream words(line);
  std::string kind, hex, extra;
  int16_t key = 0;
  int16_t version = 0;
  if (!(words >> kind >> key >> version >> hex) || (words >> extra) || (kind != "request" && kind != "response"))
    return "error expected: request|response KEY VERSION HEX";
  auto body = sg::kafka_test::from_hex(hex == "-" ? "" : hex);
  if (!body) return "error the body is not hexadecimal";
  auto encoded = sg::kafka::reencode(kind == "request", key, version, *body);
  std::string head = kind + " " + std::to_string(key) + " " + std::to_string(version);
  if (encoded.is(sg::Errc::unsupported)) return "unsupported " + head;
  if (!encoded) return "error " + head + ": " + encoded.error().what;
  return head + " " + (encoded->empty() ? "-" : sg::to_hex(*encoded));
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) std::cout << echo(line) << '\n';
}
