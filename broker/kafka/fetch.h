// Fetch (API key 1): record batches from an offset on, to consumers. (Replicas of this broker have a protocol of their own.)
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

struct FetchResponse;

struct FetchRequest {
  static constexpr ApiKey kApiKey = ApiKey::fetch;
  using Response = FetchResponse;

  struct Partition {
    int32_t partition = 0;
    LeaderEpoch current_leader_epoch = kNoLeaderEpoch;  // -1: do not fence
    Offset fetch_offset;
    LeaderEpoch last_fetched_epoch = kNoLeaderEpoch;  // -1: do not look for divergence
    Offset log_start_offset{-1};                      // from followers only
    int32_t partition_max_bytes = 0;

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct ForgottenTopic {
    std::string topic;
    std::vector<int32_t> partitions;

    bool operator==(const ForgottenTopic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  std::optional<std::string> cluster_id;
  NodeId replica_id = kNoNode;  // -1: a consumer
  int32_t max_wait_ms = 0;
  int32_t min_bytes = 0;
  int32_t max_bytes = INT32_MAX;
  int8_t isolation_level = 0;  // 0 = read_uncommitted, 1 = read_committed
  int32_t session_id = 0;      // 0 = none
  int32_t session_epoch = -1;
  std::vector<Topic> topics;
  std::vector<ForgottenTopic> forgotten_topics_data;
  std::string rack_id;

  bool operator==(const FetchRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct FetchResponse {
  static constexpr ApiKey kApiKey = ApiKey::fetch;

  struct EpochEndOffset {
    LeaderEpoch epoch = kNoLeaderEpoch;
    Offset end_offset{-1};

    bool operator==(const EpochEndOffset&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct SnapshotId {
    Offset end_offset{-1};
    LeaderEpoch epoch = kNoLeaderEpoch;

    bool operator==(const SnapshotId&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct AbortedTransaction {
    ProducerId producer_id{0};
    Offset first_offset;

    bool operator==(const AbortedTransaction&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::none;
    Offset high_watermark;
    Offset last_stable_offset{-1};
    Offset log_start_offset{-1};
    EpochEndOffset diverging_epoch;
    LeaderIdAndEpoch current_leader;  // with NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH
    SnapshotId snapshot_id;
    std::optional<std::vector<AbortedTransaction>> aborted_transactions;  // null with read_uncommitted
    NodeId preferred_read_replica = kNoNode;
    std::optional<Records> records;

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string topic;
    std::vector<Partition> partitions;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  int32_t session_id = 0;
  std::vector<Topic> responses;

  bool operator==(const FetchResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
