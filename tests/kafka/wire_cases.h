// tests/kafka/wire_cases.txt: random valid bodies of every served message and version, made from Kafka's own definitions by
// kafka_wire_cases.py --count 2. One line each: request|response KEY VERSION HEX, "-" = empty.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/kafka/hex.h"

namespace sg::kafka_test {

struct WireCase {
  bool request = false;
  int16_t key = 0;
  int16_t version = 0;
  ByteVec body;
};

inline std::vector<WireCase> load_wire_cases() {
  std::ifstream file(std::filesystem::path(__FILE__).parent_path() / "wire_cases.txt");
  std::vector<WireCase> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, body;
    WireCase wire_case;
    words >> kind >> wire_case.key >> wire_case.version >> body;
    wire_case.request = kind == "request";
    wire_case.body = hex(body == "-" ? "" : body);
    cases.push_back(std::move(wire_case));
  }
  ENSURE(!cases.empty(), "wire_cases.txt is not next to {}", __FILE__);
  return cases;
}

}  // namespace sg::kafka_test
