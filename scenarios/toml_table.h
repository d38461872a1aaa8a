// One table of a scenario file: its keys are all known, its values have their types and lie within their bounds. Whatever is not so is
// refused with its place, by an exception that scenario_file.cc turns into a Result at its border.
#pragma once

#include <fmt/format.h>
#include <toml++/toml.h>

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/scenario.h"

namespace sg::scenario {

// Thrown while a scenario file is read, and by nobody else.
struct Refused {
  toml::source_region where;
  std::string what;
};
[[noreturn]] void refuse(const toml::node& node, std::string what);
// "workload kind 'x' does not exist; did you mean 'y'?"
[[noreturn]] void refuse_name(const toml::node& node, std::string_view what, std::string_view name,
                              const std::vector<std::string_view>& known);

class Table {
 public:
  // `known`: the keys that may be there. Borrows the table.
  Table(const toml::table& table, const std::vector<std::string_view>& known);

  const toml::table& toml() const { return table_; }
  const toml::node* find(std::string_view key) const { return table_.get(key); }
  std::string text(std::string_view key, std::string fallback) const;
  int64_t integer(std::string_view key, int64_t fallback, int64_t low, int64_t high) const;
  bool boolean(std::string_view key, bool fallback) const;
  // One string, or a list of them.
  std::vector<std::string> texts(std::string_view key) const;
  // A number or a pair [low, high].
  IntRange range(std::string_view key, IntRange fallback, int64_t low, int64_t high) const;
  // Seconds, with fractions, or a pair of them.
  sim::DurationRange seconds(std::string_view key, sim::DurationRange fallback) const;

  static Duration seconds_of(const toml::node& n, std::string_view key);
  static int64_t integer_of(const toml::node& n, std::string_view key, int64_t low, int64_t high);

 private:
  const toml::table& table_;
};

// Calls f(table) for each [[key]]; `node` may be null.
template <class F>
void each_table(const toml::node* node, std::string_view key, F&& f) {
  if (!node) return;
  const toml::array* array = node->as_array();
  if (!array) refuse(*node, fmt::format("{}: expected tables, [[{}]]", key, key));
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (!table) refuse(element, fmt::format("{}: expected a table", key));
    f(*table);
  }
}

}  // namespace sg::scenario
