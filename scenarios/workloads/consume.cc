// Consumers: followers of a partition, and the final read of everything. Each answer is written down as it came.
#include "scenarios/client/consumer.h"
#include "scenarios/workloads/workloads.h"

namespace sg::scenario {
namespace {

// Writes down what one answer showed.
void record(const Fetched& fetched, int32_t client, const PartitionName& partition, Time now, History& history) {
  if (fetched.leader_epoch != kNoLeaderEpoch)
    history.ends.push_back({client, partition, fetched.broker, fetched.leader_epoch, fetched.high_watermark, now});
  for (const kafka::Record& r : fetched.records) {
    Result<ValueId> value = parse_value(r.value.value_or(ByteSpan()));
    if (value) {
      history.reads.push_back({client, partition, r.offset, *value, now});
    } else {
      history.anomalies.push_back({client, partition, fmt::format("offset {}: {}", r.offset, value.error().what), now});
    }
  }
}

// Follows one partition until `until` says so or the deadline passes; false if the deadline passed first.
template <class Until>
bool follow(Task& task, ClusterClient& cluster, int32_t client, const PartitionName& partition, Time deadline, History& history,
            Until&& until) {
  PartitionConsumer consumer(cluster, partition.topic, partition.partition, {});
  while (!until(consumer)) {
    Result<Fetched> fetched = consumer.poll(task, deadline);
    if (fetched) {
      record(*fetched, client, partition, task.now(), history);
    } else if (fetched.is(Errc::stopped) || fetched.is(Errc::timeout) || fetched.is(Errc::unavailable)) {
      if (fetched.is(Errc::stopped) || task.now() >= deadline) return false;
    } else {
      history.anomalies.push_back({client, partition, fetched.error().what, task.now()});
      return false;
    }
  }
  return true;
}

}  // namespace

void run_consume(Task& task, ClientEnv& env, const WorkloadSpec& spec, int32_t client, const std::vector<PartitionName>& partitions,
                 WorkloadControl& control, History& history) {
  ClusterClient cluster(
      env.scheduler, env.network,
      {.client_id = fmt::format("consumer-{}", client), .bootstrap = env.bootstrap, .keeps_newest_leader = spec.names_epochs});
  const ConsumerOptions options{.names_epochs = spec.names_epochs};
  TaskGroup tasks(env.scheduler);
  if (!spec.rereads)
    for (const PartitionName& p : partitions) history.followers.push_back({client, p});
  for (const PartitionName& p : partitions)
    tasks.spawn(fmt::format("consume {}", to_string(p)), [&, p](Task& t) {
      // A poll that runs into its bound is made again; only the end of the run ends it.
      PartitionConsumer consumer(cluster, p.topic, p.partition, options);
      while (control.running && !t.stopping()) {
        Result<Fetched> fetched = consumer.poll(t, t.now() + 1s);
        if (fetched) {
          record(*fetched, client, p, t.now(), history);
          if (spec.rereads && fetched->records.empty()) consumer.seek(Offset(0));
        } else if (fetched.is(Errc::invalid) || fetched.is(Errc::not_found)) {
          history.anomalies.push_back({client, p, fetched.error().what, t.now()});
          return;
        }
      }
    });
  while (control.running)
    if (!task.sleep_for(50ms)) break;
  tasks.stop();
  tasks.join(task);
  cluster.close(task);
}

std::string run_final_read(Task& task, ClientEnv& env, int32_t client, const std::vector<PartitionName>& partitions, History& history,
                           Time deadline) {
  ClusterClient cluster(env.scheduler, env.network, {.client_id = fmt::format("reader-{}", client), .bootstrap = env.bootstrap});
  std::string failed;
  for (const PartitionName& p : partitions) {
    PartitionConsumer ends(cluster, p.topic, p.partition, {});
    Result<Offset> end = ends.latest(task, deadline);
    bool complete =
        end && follow(task, cluster, client, p, deadline, history, [&](const PartitionConsumer& c) { return c.position() >= *end; });
    if (!complete && failed.empty()) failed = fmt::format("{}: the final read did not reach the end in time", to_string(p));
  }
  cluster.close(task);
  return failed;
}

}  // namespace sg::scenario
