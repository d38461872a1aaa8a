// ListOffsets (API key 2): the first or latest offset of a partition, or the first one from a timestamp on.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct ListOffsetsResponse;

struct ListOffsetsRequest {
  static constexpr ApiKey kApiKey = ApiKey::list_offsets;
  using Response = ListOffsetsResponse;

  // Values of `timestamp` that are no time.
  static constexpr int64_t kLatest = -1;
  static constexpr int64_t kEarliest = -2;
  static constexpr int64_t kMaxTimestamp = -3;   // the record with the greatest timestamp; version 7 (KIP-734)
  static constexpr int64_t kEarliestLocal = -4;  // version 8 (KIP-405)
  static constexpr int64_t kLatestTiered = -5;   // version 9 (KIP-1005)

  struct Partition {
    int32_t partition_index = 0;
    LeaderEpoch current_leader_epoch = kNoLeaderEpoch;  // -1: do not fence
    int64_t timestamp = 0;                              // ms since the Unix epoch, or one of the above

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  NodeId replica_id = kNoNode;  // -1: a consumer
  int8_t isolation_level = 0;   // 0 = read_uncommitted, 1 = read_committed
  std::vector<Topic> topics;

  bool operator==(const ListOffsetsRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct ListOffsetsResponse {
  static constexpr ApiKey kApiKey = ApiKey::list_offsets;

  struct Partition {
    int32_t partition_index = 0;
    ErrorCode error_code = ErrorCode::none;
    int64_t timestamp = -1;  // of the record at `offset`; -1 for first and latest
    Offset offset{-1};       // -1: no such record
    LeaderEpoch leader_epoch = kNoLeaderEpoch;

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    std::string name;
    std::vector<Partition> partitions;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  std::vector<Topic> topics;

  bool operator==(const ListOffsetsResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
