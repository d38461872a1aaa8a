// Produce (API key 0): record batches to append, and where they were put.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/leader_hints.h"
#include "broker/kafka/records.h"

namespace sg::kafka {

struct ProduceResponse;

struct ProduceRequest {
  static constexpr ApiKey kApiKey = ApiKey::produce;
  using Response = ProduceResponse;

  struct Partition {
    int32_t index = 0;
    std::optional<SharedBytes> records;  // one piece: a slice of the request's frame

    bool operator==(const Partition& other) const;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partition_data;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  std::optional<std::string> transactional_id;
  int16_t acks = 0;  // 0 = no answer, 1 = the leader, -1 = all in-sync replicas
  int32_t timeout_ms = 0;
  std::vector<Topic> topic_data;

  bool operator==(const ProduceRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct ProduceResponse {
  static constexpr ApiKey kApiKey = ApiKey::produce;

  struct RecordError {
    int32_t batch_index = 0;
    std::optional<std::string> batch_index_error_message;

    bool operator==(const RecordError&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Partition {
    int32_t index = 0;
    ErrorCode error_code = ErrorCode::none;
    Offset base_offset;
    int64_t log_append_time_ms = -1;  // -1 with CreateTime
    Offset log_start_offset{-1};
    std::vector<RecordError> record_errors;
    std::optional<std::string> error_message;
    LeaderIdAndEpoch current_leader;  // with NOT_LEADER_OR_FOLLOWER

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partition_responses;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  std::vector<Topic> responses;
  int32_t throttle_time_ms = 0;
  std::vector<NodeEndpoint> node_endpoints;  // of every current_leader above

  bool operator==(const ProduceResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
