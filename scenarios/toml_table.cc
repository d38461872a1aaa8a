#include "scenarios/toml_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/nearest.h"

namespace sg::scenario {

void refuse(const toml::node& node, std::string what) { throw Refused{node.source(), std::move(what)}; }

void refuse_name(const toml::node& node, std::string_view what, std::string_view name, const std::vector<std::string_view>& known) {
  refuse(node, fmt::format("{} '{}' does not exist; did you mean '{}'?", what, name, nearest(name, known)));
}

Table::Table(const toml::table& table, const std::vector<std::string_view>& known) : table_(table) {
  for (const auto& [key, node] : table)
    if (std::ranges::find(known, key.str()) == known.end())
      throw Refused{key.source(), fmt::format("unknown key '{}'; did you mean '{}'?", key.str(), nearest(key.str(), known))};
}

std::string Table::text(std::string_view key, std::string fallback) const {
  const toml::node* n = find(key);
  if (!n) return fallback;
  auto value = n->value_exact<std::string>();
  if (!value) refuse(*n, fmt::format("{}: expected a string", key));
  return *value;
}

int64_t Table::integer(std::string_view key, int64_t fallback, int64_t low, int64_t high) const {
  const toml::node* n = find(key);
  return n ? integer_of(*n, key, low, high) : fallback;
}

bool Table::boolean(std::string_view key, bool fallback) const {
  const toml::node* n = find(key);
  if (!n) return fallback;
  auto value = n->value_exact<bool>();
  if (!value) refuse(*n, fmt::format("{}: expected true or false", key));
  return *value;
}

std::vector<std::string> Table::texts(std::string_view key) const {
  std::vector<std::string> out;
  const toml::node* n = find(key);
  if (!n) return out;
  if (auto one = n->value_exact<std::string>()) return {*one};
  const toml::array* array = n->as_array();
  if (!array) refuse(*n, fmt::format("{}: expected a string or a list of strings", key));
  for (const toml::node& element : *array) {
    auto value = element.value_exact<std::string>();
    if (!value) refuse(element, fmt::format("{}: expected a string", key));
    out.push_back(*value);
  }
  return out;
}

IntRange Table::range(std::string_view key, IntRange fallback, int64_t low, int64_t high) const {
  const toml::node* n = find(key);
  if (!n) return fallback;
  const toml::array* pair = n->as_array();
  if (!pair) {
    int64_t value = integer_of(*n, key, low, high);
    return {value, value};
  }
  if (pair->size() != 2) refuse(*n, fmt::format("{}: a range has two values, [least, greatest]", key));
  IntRange out{integer_of(*pair->get(0), key, low, high), integer_of(*pair->get(1), key, low, high)};
  if (out.low > out.high) refuse(*n, fmt::format("{}: {} is above {}", key, out.low, out.high));
  return out;
}

sim::DurationRange Table::seconds(std::string_view key, sim::DurationRange fallback) const {
  const toml::node* n = find(key);
  if (!n) return fallback;
  const toml::array* pair = n->as_array();
  if (!pair) return {seconds_of(*n, key), seconds_of(*n, key)};
  if (pair->size() != 2) refuse(*n, fmt::format("{}: a range has two values, [least, greatest]", key));
  sim::DurationRange out{seconds_of(*pair->get(0), key), seconds_of(*pair->get(1), key)};
  if (out.low > out.high) refuse(*n, fmt::format("{}: the first value is above the second", key));
  return out;
}

Duration Table::seconds_of(const toml::node& n, std::string_view key) {
  auto value = n.value<double>();
  if (!value || !(*value >= 0 && *value <= 86'400)) refuse(n, fmt::format("{}: expected seconds between 0 and 86400", key));
  return std::chrono::milliseconds(static_cast<int64_t>(*value * 1000 + 0.5));
}

int64_t Table::integer_of(const toml::node& n, std::string_view key, int64_t low, int64_t high) {
  auto value = n.value_exact<int64_t>();
  if (!value) refuse(n, fmt::format("{}: expected an integer", key));
  if (*value < low || *value > high) refuse(n, fmt::format("{}: {} is not between {} and {}", key, *value, low, high));
  return *value;
}

}  // namespace sg::scenario
