#include "scenarios/workloads/duties.h"

#include <algorithm>

#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/metadata.h"
#include "scenarios/checks/history_checks.h"
#include "scenarios/client/consumer.h"
#include "scenarios/client/producer.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {
namespace {

constexpr int16_t kMetadataVersion = 12;
constexpr int16_t kInitProducerIdVersion = 4;
constexpr Duration kFullPatience = 3s;
constexpr Duration kListAgain = 100ms;

// Why there is none by the deadline; empty if there is.
std::string get_producer_id(Task& task, ClientEnv& env, const net::Address& address, Time deadline) {
  std::string why;
  TaskGroup tasks(env.scheduler);
  do {
    auto connection = BrokerConnection::open(task, env.network, tasks, address, "probe", deadline);
    auto response = connection ? (*connection)->call(task, kInitProducerIdVersion, kafka::InitProducerIdRequest{}, deadline)
                               : std::unexpected(connection.error());
    if (connection) (*connection)->close();
    why = !response ? response.error().what : response->error_code == kafka::ErrorCode::none ? "" : kafka::to_string(response->error_code);
  } while (!why.empty() && task.now() < deadline && task.sleep_for(kListAgain));
  tasks.stop();
  tasks.join(task);
  return why;
}

}  // namespace

std::vector<PartitionName> partitions_of(const std::vector<TopicSpec>& topics) {
  std::vector<PartitionName> out;
  for (const TopicSpec& t : topics)
    for (int32_t p = 0; p < t.partitions; ++p) out.push_back({t.name, p});
  return out;
}

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

std::string run_probe(Task& task, ClientEnv& env, const ProbePart& part, History& history, Time deadline) {
  ClusterClient cluster(env.scheduler, env.network, {.client_id = "probe", .bootstrap = env.bootstrap});
  std::string failed;
  TaskGroup tasks(env.scheduler);
  int64_t number = 0;
  // Before the deadline, so that the last answer is what counts.
  const Duration patience = part.may_be_full ? kFullPatience : ProducerOptions().delivery_timeout;
  for (const PartitionName& p : part.partitions)
    tasks.spawn(fmt::format("probe {}", to_string(p)),
                [&, p, id = ValueId{part.client, number}](Task& t) {
                  const size_t index = note_send(id, p, -1, true, history);
                  Signal answered;
                  std::optional<SendResult> result;
                  PartitionProducer producer(cluster, t.scheduler(), p.topic, p.partition, {.delivery_timeout = patience},
                                             [&](uint64_t, const SendResult& r) {
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
                  note_result(history.sends[index], *result, 0);
                  const bool ok = result->outcome == SendOutcome::ok;
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
                  const bool refused = part.may_be_full && !ok && result->error == kafka::ErrorCode::kafka_storage_error;
                  if (!seen && !refused && failed.empty())
                    failed = fmt::format("{}: a probe produce was {} by the deadline (last error: {}, {} attempts)", to_string(p),
                                         ok ? "acknowledged but not read" : "not acknowledged", kafka::to_string(result->error),
                                         result->attempts);
                }),
        ++number;
  for (const net::Address& address : env.bootstrap)
    if (part.every_broker)
      tasks.spawn(fmt::format("producer id of {}", address.host), [&](Task& t) {
        const std::string why = get_producer_id(t, env, address, deadline);
        if (!why.empty() && failed.empty()) failed = fmt::format("{} hands out no producer id by the deadline: {}", address.host, why);
      });
  tasks.join(task);
  cluster.close(task);
  return failed;
}

namespace {

// Follows one partition until `until` says so or the deadline passes; false if the deadline passed first.
template <class Until>
bool follow(Task& task, ClusterClient& cluster, int32_t client, const PartitionName& partition, Time deadline, History& history,
            Until&& until) {
  PartitionConsumer consumer(cluster, partition.topic, partition.partition, {});
  while (!until(consumer)) {
    Result<Fetched> fetched = consumer.poll(task, deadline);
    if (fetched) {
      write_down(*fetched, client, partition, task.now(), history);
    } else if (fetched.is(Errc::stopped) || fetched.is(Errc::timeout) || fetched.is(Errc::unavailable)) {
      if (fetched.is(Errc::stopped) || task.now() >= deadline) return false;
    } else {
      history.anomalies.push_back({client, partition, fetched.error().what, task.now()});
      return false;
    }
  }
  return true;
}

// What every broker lists now.
std::string list_once(Task& task, ClientEnv& env, std::vector<Listing>& out, Time deadline) {
  std::string failed;
  TaskGroup tasks(env.scheduler);
  for (const net::Address& address : env.bootstrap) {
    kafka::MetadataRequest all;
    all.allow_auto_topic_creation = false;
    auto connection = BrokerConnection::open(task, env.network, tasks, address, "lister", deadline);
    auto response = connection ? (*connection)->call(task, kMetadataVersion, all, deadline) : std::unexpected(connection.error());
    if (connection) (*connection)->close();
    if (!response) {
      if (failed.empty()) failed = fmt::format("{} does not list its topics: {}", address.host, response.error().what);
      continue;
    }
    Listing& listing = out.emplace_back();
    listing.broker = address.host;
    for (const auto& t : response->topics)
      if (t.name) listing.topics.insert(*t.name);
  }
  tasks.stop();
  tasks.join(task);
  return failed;
}

}  // namespace

std::string run_listing(Task& task, ClientEnv& env, History& history, Time deadline) {
  bool complete = false;
  std::string failed;
  do {
    std::vector<Listing> round;
    failed = list_once(task, env, round, deadline);
    // One that the deadline has cut off says less than the one before it.
    if (!failed.empty() && complete) return "";
    complete = failed.empty();
    history.listings = std::move(round);
  } while (!check_listings(history).empty() && task.sleep_for(kListAgain) && task.now() < deadline);
  return failed;
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
