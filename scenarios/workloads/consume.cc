#include "scenarios/workloads/consume.h"

#include "scenarios/client/consumer.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {
void Consume::run(Task& task, ClientEnv& env, const ClientPart& part) const {
  const auto& [client, clients, partitions, control, history] = part;
  ClusterClient cluster(env.scheduler, env.network,
                        {.client_id = fmt::format("consumer-{}", client),
                         .bootstrap = env.bootstrap,
                         .versions = Versions(env.rng),
                         .keeps_newest_leader = options_.names_epochs});
  const ConsumerOptions options{.names_epochs = options_.names_epochs};
  TaskGroup tasks(env.scheduler);
  if (!options_.rereads)
    for (const PartitionName& p : partitions) history.followers.push_back({client, p});
  for (const PartitionName& p : partitions)
    tasks.spawn(fmt::format("consume {}", to_string(p)), [&, p](Task& t) {
      // A poll that runs into its bound is made again; only the end of the run ends it.
      PartitionConsumer consumer(cluster, p.topic, p.partition, options);
      while (control.running && !t.stopping()) {
        Result<Fetched> fetched = consumer.poll(t, t.now() + 1s);
        if (fetched) {
          write_down(*fetched, client, p, t.now(), history);
          if (options_.rereads && fetched->records.empty()) consumer.seek(Offset(0));
        } else if (fetched.is(Errc::invalid) || fetched.is(Errc::not_found)) {
          history.anomalies.push_back({client, p, fetched.error().what, t.now(), true});
          cluster.forget_leader(p.topic, p.partition);
          if (!t.sleep_for(50ms)) return;
        }
      }
    });
  while (control.running)
    if (!task.sleep_for(50ms)) break;
  tasks.stop();
  tasks.join(task);
  cluster.close(task);
}

namespace {

std::shared_ptr<const Workload> read_consume(const Table& t, const ClusterSpec&) {
  return std::make_shared<Consume>(ConsumeOptions{.names_epochs = t.boolean("names_epochs", true), .rereads = t.boolean("rereads", false)});
}

}  // namespace

WorkloadKind consume_kind() {
  return {
      "consume", "follows all partitions from their beginning, or reads them again and again", {"names_epochs", "rereads"}, read_consume};
}

}  // namespace sg::scenario
