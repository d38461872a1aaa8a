// DeleteTopics (API key 20): by name, or from version 6 on by name or id.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct DeleteTopicsResponse;

struct DeleteTopicsRequest {
  static constexpr ApiKey kApiKey = ApiKey::delete_topics;
  using Response = DeleteTopicsResponse;

  struct Topic {
    std::optional<std::string> name;  // null: by id
    Uuid topic_id;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  std::vector<Topic> topics;             // version 6 on
  std::vector<std::string> topic_names;  // versions below 6
  int32_t timeout_ms = 0;

  bool operator==(const DeleteTopicsRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct DeleteTopicsResponse {
  static constexpr ApiKey kApiKey = ApiKey::delete_topics;

  struct Topic {
    std::optional<std::string> name;  // null from version 6 on only
    Uuid topic_id;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  std::vector<Topic> responses;

  bool operator==(const DeleteTopicsResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
