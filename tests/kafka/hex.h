// Bytes written by hand or in a file of cases, as hexadecimal digits; blanks are for the reader.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace sg::kafka_test {

// Nothing for an odd number of digits or anything that is no digit.
inline std::optional<ByteVec> from_hex(std::string_view text) {
  auto digit = [](char c) {
    if ('0' <= c && c <= '9') return c - '0';
    if ('a' <= c && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  ByteVec bytes;
  int high = -1;
  for (char c : text) {
    if (c == ' ' || c == '\n') continue;
    int value = digit(c);
    if (value < 0) return std::nullopt;
    if (high >= 0) bytes.push_back(static_cast<uint8_t>(high << 4 | value));
    high = high >= 0 ? -1 : value;
  }
  if (high >= 0) return std::nullopt;
  return bytes;
}

// The same for literals in tests.
inline ByteVec hex(std::string_view text) {
  auto bytes = from_hex(text);
  ENSURE(bytes.has_value(), "not hexadecimal: {}", text);
  return *bytes;
}

}  // namespace sg::kafka_test
