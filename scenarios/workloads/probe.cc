// What is asked of a cluster that is healthy: topics are created, and a record goes in and comes out (L4).
#include <algorithm>

#include "scenarios/client/consumer.h"
#include "scenarios/client/producer.h"
#include "scenarios/workloads/workloads.h"

namespace sg::scenario {

std::string create_topics(Task& task, ClientEnv& env, const std::vector<TopicSpec>& topics, Time deadline) {
  ClusterClient cluster(env.scheduler, env.network, {.client_id = "admin", .bootstrap = env.bootstrap});
  std::string failed;
  for (const TopicSpec& t : topics) {
    Result<> created = cluster.create_topic(task, t.name, t.partitions, static_cast<int16_t>(t.replicas), t.min_insync, deadline);
    if (!created && failed.empty()) failed = fmt::format("{}: {}", t.name, created.error().what);
  }
  cluster.close(task);
  return failed;
}

std::string run_probe(Task& task, ClientEnv& env, int32_t client, const std::vector<PartitionName>& partitions, History& history,
                      Time deadline) {
  ClusterClient cluster(env.scheduler, env.network, {.client_id = "probe", .bootstrap = env.bootstrap});
  std::string failed;
  TaskGroup tasks(env.scheduler);
  int64_t number = 0;
  for (const PartitionName& p : partitions)
    tasks.spawn(fmt::format("probe {}", to_string(p)),
                [&, p, id = ValueId{client, number}](Task& t) {
                  const size_t index = history.sends.size();
                  history.sends.push_back({.value = id,
                                           .partition = p,
                                           .acks = -1,
                                           .idempotent = true,
                                           .first_attempt = {},
                                           .completed = {},
                                           .outcome = Outcome::unknown,
                                           .offset = Offset(-1)});
                  Signal answered;
                  std::optional<SendResult> result;
                  PartitionProducer producer(cluster, t.scheduler(), p.topic, p.partition, {}, [&](uint64_t, const SendResult& r) {
                    result = r;
                    answered.notify_all();
                  });
                  ByteVec value = value_bytes(id, 16);
                  producer.enqueue(1, {&value, 1}, env.clock.wall_ms());
                  TaskGroup sending(t.scheduler());
                  sending.spawn("probe send", [&](Task& s) { producer.run(s); });
                  while (!result && answered.wait(t, deadline, "the probe's acknowledgement")) {}
                  sending.stop();
                  sending.join(t);
                  Send& send = history.sends[index];
                  send.first_attempt = result->first_attempt;
                  send.completed = result->completed;
                  send.attempts = result->attempts;
                  const bool ok = result->outcome == SendOutcome::ok;
                  send.outcome = ok ? Outcome::ok : result->outcome == SendOutcome::failed ? Outcome::failed : Outcome::unknown;
                  if (ok) send.offset = result->base_offset;
                  bool seen = false;
                  PartitionConsumer consumer(cluster, p.topic, p.partition, {}, ok ? result->base_offset : Offset(0));
                  while (ok && !seen) {
                    Result<Fetched> fetched = consumer.poll(t, deadline);
                    if (!fetched) break;
                    seen = std::any_of(fetched->records.begin(), fetched->records.end(), [&](const kafka::Record& r) {
                      auto v = parse_value(r.value.value_or(ByteSpan()));
                      return v && *v == id;
                    });
                    if (t.now() >= deadline) break;
                  }
                  if (!seen && failed.empty())
                    failed = fmt::format("{}: a probe produce was {} by the deadline (last error: {}, {} attempts)", to_string(p),
                                         ok ? "acknowledged but not read" : "not acknowledged", kafka::to_string(result->error),
                                         result->attempts);
                }),
        ++number;
  tasks.join(task);
  cluster.close(task);
  return failed;
}

}  // namespace sg::scenario
