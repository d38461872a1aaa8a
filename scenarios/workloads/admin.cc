#include "scenarios/workloads/admin.h"

#include <algorithm>

#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/find_coordinator.h"
#include "scenarios/client/producer.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {
namespace {

using kafka::ApiKey;
using kafka::ErrorCode;

constexpr int16_t kCreateTopicsVersion = 7;
constexpr int16_t kDeleteTopicsVersion = 6;     // the first that names ids, too
constexpr int16_t kFindCoordinatorVersion = 4;  // the first with several keys
constexpr Duration kRequestTimeout = 4s;

// One administrator at work.
class Administrator {
 public:
  Administrator(ClientEnv& env, const ClientPart& part, const AdminOptions& options)
      : env_(env),
        part_(part),
        options_(options),
        rng_(env.rng.split("admin")),
        cluster_(env.scheduler, env.network,
                 {.client_id = fmt::format("admin-{}", part.client),
                  .bootstrap = env.bootstrap,
                  .versions = Versions(env.rng),
                  .makes_topics = options.on_demand}) {}

  void run(Task& task) {
    std::map<std::string, int32_t> topics;  // partitions of those that are there, or may be
    for (int64_t i = 0, n = rng_.between(options_.names.low, options_.names.high); i < n; ++i)
      topics[fmt::format("admin{}-{}", part_.client, i)] = 0;
    ask_for_coordinator(task);
    while (part_.control.running && part_.control.writing && !task.stopping()) {
      if (!task.sleep_for(options_.every.draw(rng_, 1us))) break;
      auto topic = std::next(topics.begin(), static_cast<std::ptrdiff_t>(rng_.below(topics.size())));
      if (topic->second == 0) {
        topic->second = make(task, topic->first);
      } else if (rng_.chance(1, 2)) {
        write(task, topic->first, topic->second);
      } else if (remove_while_written(task, topic->first, topic->second)) {
        topic->second = 0;
      }
    }
    cluster_.close(task);
  }

 private:
  // As tools do that look for groups first; there are none.
  void ask_for_coordinator(Task& task) {
    const int16_t version = cluster_.options().versions.of(ApiKey::find_coordinator, kFindCoordinatorVersion);
    auto broker = cluster_.any_connection(task, task.now() + 2s);
    if (!broker) return;
    kafka::FindCoordinatorRequest request;
    request.key = "tools";
    if (version >= kFindCoordinatorVersion) request.coordinator_keys = {"tools"};
    (void)(*broker)->call(task, version, request, task.now() + kRequestTimeout);
  }

  // Asks a broker, and notes what became of it. `code_of`: what the answer says; none if it says nothing.
  template <class Request, class Code>
  TopicOp ask(Task& task, TopicOp::Kind kind, const std::string& topic, int16_t version, const Request& request, Code&& code_of) {
    auto broker = cluster_.any_connection(task, task.now() + 2s);
    TopicOp op{.client = part_.client, .kind = kind, .topic = topic, .begun = task.now(), .ended = {}, .alone = !options_.on_demand};
    if (!broker) {
      op.outcome = Outcome::failed;
      return op;
    }
    part_.history.topic_ops.push_back(op);
    const size_t index = part_.history.topic_ops.size() - 1;
    auto response = (*broker)->call(task, version, request, task.now() + kRequestTimeout);
    if (!response) (*broker)->close();
    op.ended = task.now();
    switch (const std::optional<ErrorCode> code = response ? code_of(*response) : std::nullopt;
            code.value_or(ErrorCode::unknown_server_error)) {
      case ErrorCode::none: op.outcome = Outcome::ok; break;
      case ErrorCode::topic_already_exists:
      case ErrorCode::unknown_topic_or_partition: op.denied = true; [[fallthrough]];
      case ErrorCode::invalid_replication_factor: op.outcome = Outcome::failed; break;
      default: break;
    }
    part_.history.topic_ops[index] = op;
    return op;
  }

  // How many partitions there are, or may be, now.
  int32_t make(Task& task, const std::string& topic) {
    const auto partitions = static_cast<int32_t>(rng_.between(options_.partitions.low, options_.partitions.high));
    const auto replicas = static_cast<int16_t>(rng_.between(options_.replicas.low, options_.replicas.high));
    const int16_t version = cluster_.options().versions.of(ApiKey::create_topics, kCreateTopicsVersion);
    kafka::CreateTopicsRequest request;
    request.timeout_ms = static_cast<int32_t>(rng_.log_between(200, 3000));
    request.topics.push_back(
        {.name = topic, .num_partitions = partitions, .replication_factor = replicas, .assignments = {}, .configs = {}});
    const TopicOp op = ask(task, TopicOp::Kind::made, topic, version, request, [](const kafka::CreateTopicsResponse& response) {
      return response.topics.size() == 1 ? std::optional(response.topics[0].error_code) : std::nullopt;
    });
    return op.outcome == Outcome::failed && !op.denied ? 0 : partitions;
  }

  // Some delete what is still written to. (Where asking for a topic makes it, that would make it again.)
  bool remove_while_written(Task& task, const std::string& topic, int32_t partitions) {
    TaskGroup writers(env_.scheduler);
    if (!options_.on_demand && rng_.chance(1, 2)) writers.spawn("admin writes on", [&](Task& t) { write(t, topic, partitions); });
    const bool gone = task.sleep_for(std::chrono::microseconds(rng_.log_between(100, 50'000))) && remove(task, topic);
    writers.join(task);
    return gone;
  }

  // It is gone, as far as this one knows.
  bool remove(Task& task, const std::string& topic) {
    const int16_t version = cluster_.options().versions.of(ApiKey::delete_topics, kDeleteTopicsVersion);
    kafka::DeleteTopicsRequest request;
    request.timeout_ms = static_cast<int32_t>(rng_.log_between(200, 3000));
    if (version < kDeleteTopicsVersion)
      request.topic_names.push_back(topic);
    else
      request.topics.push_back({.name = topic, .topic_id = {}});
    const TopicOp op = ask(task, TopicOp::Kind::deleted, topic, version, request, [](const kafka::DeleteTopicsResponse& response) {
      return response.responses.size() == 1 ? std::optional(response.responses[0].error_code) : std::nullopt;
    });
    return op.outcome == Outcome::ok || op.denied;
  }

  // Some records into one of its partitions, one after the other; each ends with the writing at the latest.
  void write(Task& task, const std::string& topic, int32_t partitions) {
    const PartitionName p{topic, static_cast<int32_t>(rng_.below(static_cast<uint64_t>(partitions)))};
    const int64_t records = rng_.between(options_.records.low, options_.records.high);
    Signal answered;
    bool done = true;
    PartitionProducer producer(cluster_, env_.scheduler, p.topic, p.partition, {.delivery_timeout = 3s},
                               [&](uint64_t token, const SendResult& r) {
                                 note_result(part_.history.sends[token], r, 0);
                                 done = true;
                                 answered.notify_all();
                               });
    TaskGroup sending(env_.scheduler);
    sending.spawn("admin sends", [&](Task& t) { producer.run(t); });
    for (int64_t i = 0; i < records && part_.control.writing; ++i) {
      const ValueId id{part_.client, number_++};
      const size_t send = note_send(id, p, -1, true, part_.history);
      part_.history.sends[send].on_trial = true;  // of a topic that not everybody has heard of
      done = false;
      const ByteVec value = value_bytes(id, 24);
      producer.enqueue(send, {&value, 1}, env_.clock.wall_ms());
      while (!done && answered.wait(task, task.now() + 5s, "the admin's record")) {}
      if (!done) break;
    }
    sending.stop();
    sending.join(task);
  }

  ClientEnv& env_;
  const ClientPart& part_;
  const AdminOptions& options_;
  Rng rng_;
  ClusterClient cluster_;
  int64_t number_ = 0;
};

std::shared_ptr<const Workload> read_admin(const Table& t, const ClusterSpec& cluster) {
  AdminOptions out;
  out.names = t.range("names", out.names, 1, 100);
  out.partitions = t.range("partitions", out.partitions, 1, 100);
  out.replicas = t.range("replicas", out.replicas, 1, 9);
  if (out.replicas.high > cluster.nodes) refuse(t.toml(), fmt::format("replicas: {} on {} nodes", out.replicas.high, cluster.nodes));
  out.records = t.range("records", out.records, 0, 1000);
  out.every = t.seconds("every_s", out.every);
  out.on_demand = t.boolean("on_demand", out.on_demand);
  return std::make_shared<Admin>(out);
}

}  // namespace

void Admin::run(Task& task, ClientEnv& env, const ClientPart& part) const { Administrator(env, part, options_).run(task); }

WorkloadKind admin_kind() {
  return {"admin",
          "makes, deletes and makes again topics of its own, and writes into them",
          {"names", "partitions", "replicas", "records", "every_s", "on_demand"},
          read_admin};
}

}  // namespace sg::scenario
