// Metadata (API key 3): the cluster's brokers, and topics with their partitions, leaders and replicas.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct MetadataResponse;

struct MetadataRequest {
  static constexpr ApiKey kApiKey = ApiKey::metadata;
  using Response = MetadataResponse;

  struct Topic {
    Uuid topic_id;                    // version 12: instead of the name
    std::optional<std::string> name;  // null from version 10 on only

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  // Version 0: empty = all topics, and null is sent as empty. Later: null = all, empty = none.
  std::optional<std::vector<Topic>> topics;
  bool allow_auto_topic_creation = true;  // below version 4: always
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;

  bool operator==(const MetadataRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct MetadataResponse {
  static constexpr ApiKey kApiKey = ApiKey::metadata;
  static constexpr int32_t kNoAuthorizedOperations = INT32_MIN;  // not asked for

  struct Broker {
    NodeId node_id{0};
    std::string host;
    int32_t port = 0;
    std::optional<std::string> rack;

    bool operator==(const Broker&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Partition {
    ErrorCode error_code = ErrorCode::none;
    int32_t partition_index = 0;
    NodeId leader_id{0};
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    std::vector<NodeId> replica_nodes;
    std::vector<NodeId> isr_nodes;
    std::vector<NodeId> offline_replicas;

    bool operator==(const Partition&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct Topic {
    ErrorCode error_code = ErrorCode::none;
    std::optional<std::string> name;  // null, from version 12 on, for an id that nobody knows
    Uuid topic_id;
    bool is_internal = false;
    std::vector<Partition> partitions;
    int32_t topic_authorized_operations = kNoAuthorizedOperations;

    bool operator==(const Topic&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  int32_t throttle_time_ms = 0;
  std::vector<Broker> brokers;
  std::optional<std::string> cluster_id;
  NodeId controller_id = kNoNode;
  std::vector<Topic> topics;
  int32_t cluster_authorized_operations = kNoAuthorizedOperations;

  bool operator==(const MetadataResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
