// What a topic may be called and which settings it may have. Kafka's rules (org.apache.kafka.common.internals.Topic), and of the settings
// those whose meaning is kept here: a setting that would have no effect is refused, never accepted in silence.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/metadata/records.h"

namespace sg::metadata {

// 1 to 249 characters of [a-zA-Z0-9._-], neither "." nor "..".  Errc::invalid.
Result<> check_topic_name(std::string_view name);

// True if Kafka takes the two for one in metric names: equal once '.' is read as '_'.
bool names_collide(std::string_view a, std::string_view b);

struct TopicSettings {
  std::vector<ConfigEntry> configs;  // as given, sorted by name
  int32_t min_insync_replicas = 0;   // 0: not given
};

// Errc::invalid: unknown name, a name given twice, a value that is no value of this setting; Errc::unsupported: known and not offered.
Result<TopicSettings> check_configs(std::vector<ConfigEntry> configs);

}  // namespace sg::metadata
