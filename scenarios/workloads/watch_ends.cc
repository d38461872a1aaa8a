#include "scenarios/workloads/watch_ends.h"

#include <set>

#include "broker/kafka/list_offsets.h"
#include "scenarios/client/cluster_client.h"
#include "scenarios/toml_table.h"

namespace sg::scenario {
namespace {

constexpr int16_t kListOffsetsVersion = 7;

}  // namespace

void WatchEnds::run(Task& task, ClientEnv& env, const ClientPart& part) const {
  const auto& [client, clients, partitions, control, history] = part;
  Rng rng = env.rng.split("watch ends");
  ClusterClient cluster(env.scheduler, env.network,
                        {.client_id = fmt::format("ends-{}", client), .bootstrap = env.bootstrap, .versions = Versions(env.rng)});
  const int16_t version = cluster.options().versions.of(kafka::ApiKey::list_offsets, kListOffsetsVersion, 4);
  std::set<std::string> topics;
  for (const PartitionName& p : partitions) topics.insert(p.topic);
  const std::vector<std::string> names(topics.begin(), topics.end());
  while (control.running && !task.stopping()) {
    if (!task.sleep_for(options_.every.draw(rng, 1us))) break;
    const std::vector<NodeId> brokers = cluster.brokers();
    const PartitionName& p = partitions[rng.below(partitions.size())];
    if (brokers.empty() || rng.chance(1, 20)) (void)cluster.refresh(task, names, task.now() + 1s);
    if (brokers.empty()) continue;
    const bool latest = rng.chance(2, 3);
    const int64_t age_ms = options_.age.draw(rng, 1ms) / 1ms;
    const int64_t time = latest ? kafka::ListOffsetsRequest::kLatest : env.clock.wall_ms() - age_ms;
    // Mostly of the leader; the others must not answer for it.
    const Leader leader = cluster.leader(p.topic, p.partition);
    const NodeId asked = leader.node != kNoNode && rng.chance(1, 2) ? leader.node : brokers[rng.below(brokers.size())];
    auto connection = cluster.connection(task, asked);
    if (connection.is(Errc::stopped)) break;
    if (!connection) continue;
    kafka::ListOffsetsRequest request;
    request.topics.push_back({.name = p.topic, .partitions = {{.partition_index = p.partition, .timestamp = time}}});
    if (options_.names_epochs) request.topics[0].partitions[0].current_leader_epoch = leader.epoch;
    const Time begun = task.now();
    auto response = (*connection)->call(task, version, request, task.now() + 3s);
    if (response.is(Errc::stopped)) break;
    if (!response || response->topics.size() != 1 || response->topics[0].partitions.size() != 1) continue;
    const auto& answer = response->topics[0].partitions[0];
    if (answer.error_code != kafka::ErrorCode::none) {
      if (asked == leader.node) cluster.forget_leader(p.topic, p.partition);
    } else if (latest) {
      history.ends.push_back({client, p, asked, answer.leader_epoch, answer.offset, task.now()});
    } else {
      history.time_looks.push_back({client, p, time, answer.timestamp, answer.offset, begun, task.now()});
    }
  }
  cluster.close(task);
}

namespace {

std::shared_ptr<const Workload> read_watch_ends(const Table& t, const ClusterSpec&) {
  WatchEndsOptions out;
  out.every = t.seconds("every_s", out.every);
  out.age = t.seconds("age_s", out.age);
  out.names_epochs = t.boolean("names_epochs", false);
  return std::make_shared<WatchEnds>(out);
}

}  // namespace

WorkloadKind watch_ends_kind() {
  return {"watch_ends",
          "asks for the end, and for the first offset from a time on, of every broker again and again",
          {"every_s", "age_s", "names_epochs"},
          read_watch_ends};
}

}  // namespace sg::scenario
