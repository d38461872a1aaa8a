#include "scenarios/workloads/watch_metadata.h"

#include "broker/kafka/metadata.h"
#include "scenarios/client/broker_connection.h"
#include "scenarios/toml_table.h"

namespace sg::scenario {
namespace {

constexpr int16_t kMetadataVersion = 12;

}  // namespace

void WatchMetadata::run(Task& task, ClientEnv& env, const ClientPart& part) const {
  Rng rng = env.rng.split("watch metadata");
  const Versions versions(env.rng);
  // Before version 4 whoever asks for a topic makes it.
  const int16_t version = versions.of(kafka::ApiKey::metadata, kMetadataVersion, 4);
  TaskGroup tasks(env.scheduler);
  std::vector<std::shared_ptr<BrokerConnection>> connections(env.bootstrap.size());
  while (part.control.running && !task.stopping()) {
    if (!task.sleep_for(options_.every.draw(rng, 1us))) break;
    const size_t which = rng.below(connections.size());
    const bool all = rng.chance(1, 2);
    const PartitionName& one = part.partitions[rng.below(part.partitions.size())];
    auto& connection = connections[which];
    if (!connection || connection->broken()) {
      auto opened = BrokerConnection::open(task, env.network, tasks, env.bootstrap[which], fmt::format("metadata-{}", part.client),
                                           task.now() + 500ms, versions);
      if (opened.is(Errc::stopped)) break;
      if (!opened) continue;
      connection = *opened;
    }
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    if (!all) request.topics.emplace().push_back({.topic_id = {}, .name = one.topic});
    auto response = connection->call(task, version, request, task.now() + 3s);
    if (response.is(Errc::stopped)) break;
    if (!response) connection->close();
  }
  for (const auto& c : connections)
    if (c) c->close();
  tasks.stop();
  tasks.join(task);
}

namespace {

std::shared_ptr<const Workload> read_watch_metadata(const Table& t, const ClusterSpec&) {
  WatchMetadataOptions out;
  out.every = t.seconds("every_s", out.every);
  return std::make_shared<WatchMetadata>(out);
}

}  // namespace

WorkloadKind watch_metadata_kind() {
  return {"watch_metadata", "asks every broker for one topic or for all, again and again", {"every_s"}, read_watch_metadata};
}

}  // namespace sg::scenario
