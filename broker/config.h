// The configuration of one node, with its defaults (platform.md). How it is read from TOML and flags: broker/config_file.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "net/network.h"

namespace sg::broker {

struct Voter {
  NodeId id;
  net::Address address;
};

struct Config {
  NodeId node_id{1};
  std::string data_dir = "data";
  std::string rack;
  std::vector<Voter> voters;  // empty: this node alone
  bool form = false;          // may form a new cluster together with all its voters

  struct Listen {
    net::Address kafka{"127.0.0.1", 9092};
    std::optional<net::Address> advertise;  // what clients are told; the kafka address when absent
    net::Address peer{"127.0.0.1", 9192};
  } listen;

  // Kafka's broker settings, under Kafka's names.
  struct Broker {
    bool auto_create_topics_enable = true;
    int32_t default_replication_factor = -1;  // -1: min(3, voters)
    int32_t min_insync_replicas = -1;         // -1: 2 when the factor is >= 3, else 1
    int32_t num_partitions = 1;
    int32_t message_max_bytes = 1'048'588;
  } broker;

  struct Timing {
    Duration heartbeat = 100ms;
    Duration election_min = 500ms;
    Duration election_max = 1000ms;
    Duration session_timeout = 3s;
    Duration replica_lag_time_max = 10s;
    Duration link_timeout = 1s;  // a link to another node on which nothing has come for so long is closed and dialed again
  } timing;

  struct Journal {
    uint64_t segment_bytes = 64ull << 20;
    uint64_t first_segment_bytes = 4ull << 20;
    uint64_t tail_cache_bytes = 64ull << 20;
    uint64_t budget_bytes = 4096ull << 20;
    bool direct = true;
    bool copy_check = true;  // refuses a data directory that is a copy or a restored backup
  } journal;

  struct Raft {
    int64_t snapshot_every = 10'000;      // entries between two snapshots of the catalogue
    size_t append_max_entries = 1024;     // of one message to a follower
    int64_t kept_behind_snapshot = 1000;  // entries kept in memory for followers that are a little late
  } raft;

  // Bounds on what clients and peers can make a node hold.
  struct Limits {
    size_t request_max_bytes = 100ull << 20;           // one Kafka frame (Kafka: socket.request.max.bytes)
    size_t answer_max_bytes = 55ull << 20;             // records of one answer (Kafka: fetch.max.bytes)
    size_t connection_max_requests = 1000;             // pipelined and unanswered, per connection
    size_t connection_max_in_flight_bytes = 64 << 20;  // request bytes held, per connection
    size_t connection_max_answer_bytes = 4 << 20;      // answers that the client has not taken: no further request is read above it
    size_t node_max_in_flight_bytes = 256 << 20;       // over all connections: requests,
    size_t node_max_unfinished_bytes = 256 << 20;      // large requests that are still arriving,
    size_t node_max_answer_bytes = 256 << 20;          // and answers
    size_t connections = 4096;                         // of clients (Kafka: max.connections)
    size_t peer_connections = 1024;                    // on the peer port
    Duration connection_max_idle = 600s;               // Kafka: connections.max.idle.ms
    Duration last_answers = 10s;                       // for answers to a client that has finished sending
    Duration patience = 2s;                            // with a client that holds memory for requests or answers while it is short
    size_t replica_window_bytes = 4 << 20;             // sent and not yet durable at the follower, per partition
  } limits;

  net::Address advertised() const { return listen.advertise.value_or(listen.kafka); }
};

// Lowers the bounds on connections so that they and the journal's files fit into what this process may open; peers keep a quarter.
// Errc::invalid with what is needed where too little is left to serve anybody.
Result<> fit_to_descriptors(Config& config, size_t descriptors);

// Errc::invalid with one line that says which key, what is wrong with it, and what would be right.
Result<> validate(const Config& config);

}  // namespace sg::broker
