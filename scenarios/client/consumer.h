// The consumer of our Kafka client, for one partition: assigned, without a group. Follows the leader, reads whole batches, and hands on
// every record in offset order exactly once.
#pragma once

#include <functional>
#include <string>

#include "broker/kafka/errors.h"
#include "broker/kafka/record.h"
#include "scenarios/client/cluster_client.h"

namespace sg::scenario {

struct ConsumerOptions {
  Duration max_wait = 500ms;
  int32_t max_bytes = 1 << 20;
  int32_t min_bytes = 1;
  Duration request_timeout = 3s;
  Duration retry_backoff = 30ms;
  bool names_epochs = true;  // the leader's, so that another one refuses, and that of the last record read
};

// One answer of a leader.
struct Fetched {
  NodeId broker;
  LeaderEpoch leader_epoch;  // none where the request named none
  Offset high_watermark;
  std::vector<kafka::Record> records;  // from the position on; they borrow from `batches`
  std::vector<SharedBytes> batches;
};

class PartitionConsumer {
 public:
  PartitionConsumer(ClusterClient& client, std::string topic, int32_t partition, ConsumerOptions options, Offset from = Offset(0));

  // The next answer of the leader, perhaps without records; retries until there is one. The position moves behind its records.
  // Errc::timeout, Errc::stopped; Errc::invalid: what came is no valid answer (the text says why).
  // Errc::not_found: the leader says that the position is out of its range.
  Result<Fetched> poll(Task& task, Time deadline);

  // The end that the leader gives to consumers now (ListOffsets latest).  Errors as above.
  Result<Offset> latest(Task& task, Time deadline);

  Offset position() const { return position_; }
  void seek(Offset to) {
    position_ = to;
    last_epoch_ = kNoLeaderEpoch;
  }

 private:
  Result<Fetched> attempt(Task& task, Leader leader, BrokerConnection& connection);

  ClusterClient& client_;
  std::string topic_;
  int32_t partition_;
  ConsumerOptions options_;
  Offset position_;
  LeaderEpoch last_epoch_ = kNoLeaderEpoch;  // of the last batch read
};

}  // namespace sg::scenario
