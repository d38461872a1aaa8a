// Our Kafka client's view of a cluster: brokers, leaders, and a connection to each broker that is needed. Producer, consumer and
// admin calls stand on it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "scenarios/client/broker_connection.h"

namespace sg::scenario {

struct ClientOptions {
  std::string client_id = "stormglass";
  std::vector<net::Address> bootstrap;
  Duration connect_timeout = 1s;
  Duration request_timeout = 3s;
  Duration retry_backoff = 50ms;
  Duration reconnect_backoff = 2s;
  Versions versions{};
  bool keeps_newest_leader = true;  // of two answers the one with the later epoch counts; false: the later answer, as with old clients
  bool makes_topics = true;         // by asking for them, if the cluster does that
};

struct Leader {
  NodeId node = kNoNode;
  LeaderEpoch epoch = kNoLeaderEpoch;
};

class ClusterClient {
 public:
  // The network outlives the client.
  ClusterClient(Scheduler& scheduler, net::Network& network, ClientOptions options);
  // After close().
  ~ClusterClient();

  const ClientOptions& options() const { return options_; }
  Time now() const { return scheduler_.now(); }

  // Asks some broker for the given topics' metadata (creating them if the cluster does that) and remembers it.
  // Errc::unavailable: no broker answered. Errc::stopped.
  Result<> refresh(Task& task, const std::vector<std::string>& topics, Time deadline);

  // As last heard; node kNoNode if unknown.
  Leader leader(const std::string& topic, int32_t partition) const;
  // All brokers that were named so far, in the order of their ids.
  std::vector<NodeId> brokers() const;
  // 0 if unknown.
  int32_t partition_count(const std::string& topic) const;
  // Forgets a leader that turned out not to be one.
  void forget_leader(const std::string& topic, int32_t partition);

  // The leader, refreshing metadata until there is one.  Errc::timeout, Errc::stopped.
  Result<Leader> find_leader(Task& task, const std::string& topic, int32_t partition, Time deadline);

  // A live connection to a broker.  Errc::unavailable: unknown broker; else as BrokerConnection::open.
  Result<std::shared_ptr<BrokerConnection>> connection(Task& task, NodeId node);
  // To any broker.
  Result<std::shared_ptr<BrokerConnection>> any_connection(Task& task, Time deadline);
  // Whom any_connection() has led to last, and that this one was of no use: unless another task has done so already, the next is taken.
  // Else tasks that share a disappointment would come round to the same broker together.
  size_t asked() const { return next_bootstrap_; }
  void leave(size_t asked);

  // Creates topics and waits until each partition has a leader. Topics that are there already are fine.
  Result<> create_topic(Task& task, const std::string& name, int32_t partitions, int16_t replication_factor, int32_t min_insync,
                        Time deadline);

  // Ends all connections and waits for their tasks.
  void close(Task& task);

 private:
  struct Known {
    std::vector<Leader> partitions;
  };
  Result<size_t> look_up(Task& task, const std::vector<std::string>& topics, Time deadline);

  Scheduler& scheduler_;
  net::Network& network_;
  ClientOptions options_;
  TaskGroup tasks_;
  std::map<NodeId, net::Address> brokers_;
  std::map<NodeId, std::shared_ptr<BrokerConnection>> connections_;
  std::map<net::Address, std::shared_ptr<BrokerConnection>> bootstrap_connections_;
  std::map<std::string, Known> topics_;
  void avoid(size_t asked, Duration left);
  const net::Address& bootstrap(size_t index) const { return options_.bootstrap[index % options_.bootstrap.size()]; }
  std::map<net::Address, Time> not_before_;  // who did not answer is not tried first again
  size_t next_bootstrap_ = 0;
  size_t answered_ = 0;  // whose metadata came last
};

}  // namespace sg::scenario
