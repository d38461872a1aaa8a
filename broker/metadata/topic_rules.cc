#include "broker/metadata/topic_rules.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sg::metadata {

Result<> check_topic_name(std::string_view name) {
  auto legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (name.empty()) return fail(Errc::invalid, "a topic name must not be empty");
  if (name == "." || name == "..") return fail(Errc::invalid, "a topic name must not be '.' or '..'");
  if (name.size() > kMaxTopicNameBytes) {
    return fail(Errc::invalid, fmt::format("a topic name has at most {} characters, this one {}", kMaxTopicNameBytes, name.size()));
  }
  if (!std::ranges::all_of(name, legal)) return fail(Errc::invalid, "a topic name consists of a-z, A-Z, 0-9, '.', '_' and '-'");
  return {};
}

bool names_collide(std::string_view a, std::string_view b) {
  auto same = [](char x, char y) { return (x == '.' ? '_' : x) == (y == '.' ? '_' : y); };
  return std::ranges::equal(a, b, same);
}

namespace {

std::optional<int32_t> parse_int(std::string_view text) {
  int32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Settings of which only one value is offered, because it is what the broker does anyway.
struct FixedSetting {
  std::string_view name;
  std::string_view value;
};
constexpr FixedSetting kFixed[] = {
    {"cleanup.policy", "delete"}, {"compression.type", "producer"}, {"message.timestamp.type", "CreateTime"},
    {"retention.bytes", "-1"},    {"retention.ms", "-1"},           {"unclean.leader.election.enable", "false"},
};

Result<> check_one(const ConfigEntry& entry, TopicSettings& settings) {
  if (entry.name == "min.insync.replicas") {
    std::optional<int32_t> value = parse_int(entry.value);
    if (!value || *value < 1)
      return fail(Errc::invalid, fmt::format("min.insync.replicas must be an integer >= 1, found '{}'", entry.value));
    settings.min_insync_replicas = *value;
    return {};
  }
  for (const FixedSetting& fixed : kFixed) {
    if (entry.name != fixed.name) continue;
    if (entry.value == fixed.value) return {};
    return fail(Errc::unsupported,
                fmt::format("{}={} is not offered yet; only {}={} is", entry.name, entry.value, fixed.name, fixed.value));
  }
  return fail(Errc::invalid, fmt::format("unknown or unsupported topic setting '{}'", entry.name));
}

}  // namespace

Result<TopicSettings> check_configs(std::vector<ConfigEntry> configs) {
  TopicSettings settings;
  std::ranges::sort(configs, {}, &ConfigEntry::name);
  if (auto twice = std::ranges::adjacent_find(configs, {}, &ConfigEntry::name); twice != configs.end()) {
    return fail(Errc::invalid, fmt::format("topic setting '{}' is given twice", twice->name));
  }
  for (const ConfigEntry& entry : configs) TRY_DO(check_one(entry, settings));
  settings.configs = std::move(configs);
  return settings;
}

}  // namespace sg::metadata
