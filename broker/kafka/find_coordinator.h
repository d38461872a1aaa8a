// FindCoordinator (API key 10): the broker that coordinates a group or transaction. One key below version 4, several from there on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct FindCoordinatorResponse;

struct FindCoordinatorRequest {
  static constexpr ApiKey kApiKey = ApiKey::find_coordinator;
  using Response = FindCoordinatorResponse;

  std::string key;                            // versions 0-3
  int8_t key_type = 0;                        // 0 = group, 1 = transaction, 2 = share
  std::vector<std::string> coordinator_keys;  // version 4 on

  bool operator==(const FindCoordinatorRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct FindCoordinatorResponse {
  static constexpr ApiKey kApiKey = ApiKey::find_coordinator;

  struct Coordinator {
    std::string key;
    NodeId node_id{0};
    std::string host;
    int32_t port = 0;
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> error_message;

    bool operator==(const Coordinator&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  // Versions 0-3.
  ErrorCode error_code = ErrorCode::none;
  std::optional<std::string> error_message;
  NodeId node_id{0};
  std::string host;
  int32_t port = 0;
  // Version 4 on: one per key of the request.
  std::vector<Coordinator> coordinators;

  bool operator==(const FindCoordinatorResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
