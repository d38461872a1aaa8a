#include "broker/kafka/errors.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::kafka {

std::string to_string(ErrorCode code) {
  auto upper = [](std::string name) {
    std::ranges::transform(name, name.begin(), [](char c) { return 'a' <= c && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    return name;
  };
  switch (code) {
#define SG_KAFKA_NAME(number, name, retriable) \
  case ErrorCode::name: return upper(#name);
    SG_KAFKA_ERRORS(SG_KAFKA_NAME)
#undef SG_KAFKA_NAME
  }
  return fmt::format("ERROR_{}", static_cast<int16_t>(code));
}

bool is_retriable(ErrorCode code) {
  switch (code) {
#define SG_KAFKA_RETRIABLE(number, name, retriable) \
  case ErrorCode::name: return retriable;
    SG_KAFKA_ERRORS(SG_KAFKA_RETRIABLE)
#undef SG_KAFKA_RETRIABLE
  }
  return false;
}

}  // namespace sg::kafka
