#include "scenarios/client/cluster_client.h"

#include "broker/kafka/create_topics.h"
#include "broker/kafka/metadata.h"

namespace sg::scenario {
namespace {

constexpr int16_t kMetadataVersion = 12;
constexpr int16_t kCreateTopicsVersion = 7;

}  // namespace

ClusterClient::ClusterClient(Scheduler& scheduler, net::Network& network, ClientOptions options)
    : scheduler_(scheduler), network_(network), options_(std::move(options)), tasks_(scheduler) {
  ENSURE(!options_.bootstrap.empty(), "a client without bootstrap addresses");
}

ClusterClient::~ClusterClient() = default;

void ClusterClient::close(Task& task) {
  for (auto& [node, c] : connections_)
    if (c) c->close();
  for (auto& [address, c] : bootstrap_connections_)
    if (c) c->close();
  tasks_.stop();
  tasks_.join(task);
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::connection(Task& task, NodeId node) {
  auto& slot = connections_[node];
  if (slot && !slot->broken()) return slot;
  auto address = brokers_.find(node);
  if (address == brokers_.end()) return fail(Errc::unavailable, fmt::format("broker {} is not known", node));
  TRY(auto opened, BrokerConnection::open(task, network_, tasks_, address->second, options_.client_id,
                                          task.now() + options_.connect_timeout, options_.versions));
  // Another task may have been faster. As in Kafka's clients one connection leads to a broker: over two, the batches of a partition would
  // overtake each other.
  auto& faster = connections_[node];
  if (faster && !faster->broken()) {
    opened->close();
    return faster;
  }
  faster = opened;
  return opened;
}

Result<std::shared_ptr<BrokerConnection>> ClusterClient::any_connection(Task& task, Time deadline) {
  size_t attempts = 0;
  while (true) {
    for (size_t i = 0; i < options_.bootstrap.size() && not_before_[bootstrap(next_bootstrap_)] > task.now(); ++i) ++next_bootstrap_;
    const size_t tried = next_bootstrap_;
    const net::Address address = bootstrap(tried);
    auto& slot = bootstrap_connections_[address];
    if (slot && !slot->broken()) return slot;
    const Duration left = deadline - task.now();
    auto opened = BrokerConnection::open(task, network_, tasks_, address, options_.client_id,
                                         std::min(deadline, task.now() + options_.connect_timeout), options_.versions);
    if (opened) {
      bootstrap_connections_[address] = *opened;
      return *opened;
    }
    if (!opened.is(Errc::stopped)) avoid(tried, left);
    if (opened.is(Errc::stopped) || task.now() >= deadline) return std::unexpected(opened.error());
    if (++attempts % options_.bootstrap.size() == 0) TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
  }
}

// It has not answered in the time that was left for it: unless that was too short for anybody it is not the first to be tried for a while.
void ClusterClient::avoid(size_t asked, Duration left) {
  if (left >= options_.connect_timeout / 2) not_before_[bootstrap(asked)] = now() + options_.reconnect_backoff;
  leave(asked);
}

void ClusterClient::leave(size_t asked) {
  if (next_bootstrap_ == asked) ++next_bootstrap_;
}

Result<> ClusterClient::refresh(Task& task, const std::vector<std::string>& topics, Time deadline) {
  TRY_DO(look_up(task, topics, deadline));
  return {};
}

// Who answered.
Result<size_t> ClusterClient::look_up(Task& task, const std::vector<std::string>& topics, Time deadline) {
  kafka::MetadataRequest request;
  request.allow_auto_topic_creation = options_.makes_topics;
  request.topics.emplace();
  // Leader epochs are told from version 7 on; before version 4 whoever asks for a topic makes it.
  const int16_t version = options_.versions.of(kafka::ApiKey::metadata, kMetadataVersion, options_.keeps_newest_leader ? 7 : 4);
  for (const std::string& name : topics) request.topics->push_back({.topic_id = {}, .name = name});
  while (true) {
    TRY(auto broker, any_connection(task, deadline));
    const size_t tried = next_bootstrap_;
    const Duration left = deadline - task.now();
    auto response = broker->call(task, version, request, std::min(deadline, task.now() + options_.request_timeout));
    if (!response) {
      if (response.is(Errc::stopped)) return std::unexpected(response.error());
      avoid(tried, left);
      if (task.now() >= deadline) return fail(Errc::unavailable, "no broker answered");
      TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
      continue;
    }
    for (const auto& b : response->brokers) {
      net::Address address{b.host, static_cast<uint16_t>(b.port)};
      auto [it, added] = brokers_.try_emplace(b.node_id, address);
      if (!added && it->second != address) {
        it->second = address;
        connections_.erase(b.node_id);
      }
    }
    for (const auto& t : response->topics) {
      if (!t.name || t.error_code != kafka::ErrorCode::none) continue;
      Known& known = topics_[*t.name];
      known.partitions.resize(std::max(known.partitions.size(), t.partitions.size()));
      for (const auto& p : t.partitions) {
        Leader& leader = known.partitions[static_cast<size_t>(p.partition_index)];
        if (p.leader_epoch >= leader.epoch || !options_.keeps_newest_leader)
          leader = {p.leader_id, p.leader_epoch};  // never back to an older leader
      }
    }
    answered_ = tried;
    return tried;
  }
}

Leader ClusterClient::leader(const std::string& topic, int32_t partition) const {
  auto it = topics_.find(topic);
  if (it == topics_.end() || static_cast<size_t>(partition) >= it->second.partitions.size()) return {};
  return it->second.partitions[static_cast<size_t>(partition)];
}

std::vector<NodeId> ClusterClient::brokers() const {
  std::vector<NodeId> out;
  for (const auto& [node, address] : brokers_) out.push_back(node);
  return out;
}

int32_t ClusterClient::partition_count(const std::string& topic) const {
  auto it = topics_.find(topic);
  return it == topics_.end() ? 0 : static_cast<int32_t>(it->second.partitions.size());
}

void ClusterClient::forget_leader(const std::string& topic, int32_t partition) {
  auto it = topics_.find(topic);
  if (it != topics_.end() && static_cast<size_t>(partition) < it->second.partitions.size())
    it->second.partitions[static_cast<size_t>(partition)].node = kNoNode;
  leave(answered_);
}

Result<Leader> ClusterClient::find_leader(Task& task, const std::string& topic, int32_t partition, Time deadline) {
  while (true) {
    Leader known = leader(topic, partition);
    if (known.node != kNoNode) return known;
    TRY(const size_t asked, look_up(task, {topic}, deadline));
    known = leader(topic, partition);
    if (known.node != kNoNode) return known;
    if (task.now() >= deadline) return fail(Errc::timeout, fmt::format("{}-{} has no leader", topic, partition));
    leave(asked);
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
  }
}

Result<> ClusterClient::create_topic(Task& task, const std::string& name, int32_t partitions, int16_t replication_factor,
                                     int32_t min_insync, Time deadline) {
  kafka::CreateTopicsRequest request;
  request.timeout_ms = 5000;
  request.topics.push_back({.name = name,
                            .num_partitions = partitions,
                            .replication_factor = replication_factor,
                            .assignments = {},
                            .configs = {{"min.insync.replicas", std::to_string(min_insync)}}});
  while (true) {
    TRY(auto broker, any_connection(task, deadline));
    auto response = broker->call(task, kCreateTopicsVersion, request, std::min(deadline, task.now() + options_.request_timeout * 2));
    if (response.is(Errc::stopped)) return std::unexpected(response.error());
    kafka::ErrorCode code = kafka::ErrorCode::network_exception;
    if (response && !response->topics.empty()) code = response->topics[0].error_code;
    if (code == kafka::ErrorCode::none || code == kafka::ErrorCode::topic_already_exists) break;
    if (task.now() >= deadline) return fail(Errc::timeout, fmt::format("topic {} was not created: error {}", name, static_cast<int>(code)));
    if (!response) ++next_bootstrap_;
    TRY_DO(task.sleep_until(std::min(deadline, task.now() + options_.retry_backoff)));
  }
  for (int32_t p = 0; p < partitions; ++p) TRY_DO(find_leader(task, name, p, deadline));
  return {};
}

}  // namespace sg::scenario
