// CreateTopics (API key 19).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct CreateTopicsResponse;

struct CreateTopicsRequest {
  static constexpr ApiKey kApiKey = ApiKey::create_topics;
  using Response = CreateTopicsResponse;

  struct Assignment {
    int32_t partition_index = 0;
    std::vector<NodeId> broker_ids;

    bool operator==(const Assignment&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Config {
    std::string name;
    std::optional<std::string> value;

    bool operator==(const Config&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    int32_t num_partitions = 0;           // -1: the default, or as many as are assigned
    int16_t replication_factor = 0;       // -1: likewise
    std::vector<Assignment> assignments;  // empty: the broker places the replicas
    std::vector<Config> configs;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  std::vector<Topic> topics;
  int32_t timeout_ms = 60'000;
  bool validate_only = false;

  bool operator==(const CreateTopicsRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct CreateTopicsResponse {
  static constexpr ApiKey kApiKey = ApiKey::create_topics;

  struct Config {
    std::string name;
    std::optional<std::string> value;
    bool read_only = false;
    int8_t config_source = -1;
    bool is_sensitive = false;

    bool operator==(const Config&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message;
    ErrorCode topic_config_error_code = ErrorCode::none;  // why `configs` is null
    int32_t num_partitions = -1;
    int16_t replication_factor = -1;
    std::optional<std::vector<Config>> configs;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  bool operator==(const CreateTopicsResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
