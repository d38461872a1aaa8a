#include "scenarios/workloads/produce_many.h"

#include <algorithm>
#include <set>

#include "broker/kafka/produce.h"
#include "broker/kafka/record.h"
#include "scenarios/client/certainty.h"
#include "scenarios/client/cluster_client.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {
namespace {

constexpr int16_t kProduceVersion = 9;
constexpr size_t kTooLarge = 1'100'000;  // message.max.bytes is 1,048,588

// Why a part of a request will be refused.
enum class Fault : uint8_t { none, no_partition, no_topic, checksum, size };
constexpr int kFaults = 5;

struct Part {
  PartitionName partition;
  Fault fault = Fault::none;
  size_t send = 0;  // in the history
};

SharedBytes batch_of(ValueId id, Fault fault, int64_t now_ms) {
  const ByteVec value = value_bytes(id, fault == Fault::size ? kTooLarge : 40);
  kafka::Record record;
  record.timestamp_ms = now_ms;
  record.value = value;
  kafka::BatchBuilder builder{kafka::BatchProducer{}};
  builder.add(record);
  SharedBytes batch = builder.finish();
  if (fault != Fault::checksum) return batch;
  ByteVec bytes(batch.data(), batch.data() + batch.size());
  bytes.back() ^= 1;
  return SharedBytes::copy_of(bytes);
}

// A request of one client to one broker.
class Sender {
 public:
  Sender(ClientEnv& env, const ClientPart& part, const ProduceManyOptions& options)
      : env_(env),
        part_(part),
        options_(options),
        rng_(env.rng.split("produce many")),
        cluster_(env.scheduler, env.network,
                 {.client_id = fmt::format("many-{}", part.client), .bootstrap = env.bootstrap, .versions = Versions(env.rng)}) {}

  void run(Task& task) {
    std::set<std::string> topics;
    for (const PartitionName& p : part_.partitions) topics.insert(p.topic);
    const std::vector<std::string> names(topics.begin(), topics.end());
    const int64_t rate = std::max<int64_t>(1, rng_.between(options_.rate_per_s.low, options_.rate_per_s.high) / part_.clients);
    while (part_.control.running && part_.control.writing && !task.stopping()) {
      if (!task.sleep_for(std::chrono::microseconds(rng_.between(1, 2'000'000 / rate)))) break;
      const std::vector<NodeId> brokers = cluster_.brokers();
      if (brokers.empty() || stale_) {
        stale_ = !cluster_.refresh(task, names, task.now() + 1s);
        continue;
      }
      // To the leader of some partition; others of its partitions come along, and some that it does not lead.
      const PartitionName& first = part_.partitions[rng_.below(part_.partitions.size())];
      const Leader leader = cluster_.leader(first.topic, first.partition);
      auto connection = cluster_.connection(task, leader.node == kNoNode ? brokers[rng_.below(brokers.size())] : leader.node);
      if (connection.is(Errc::stopped)) break;
      if (!connection) {
        stale_ = true;
        continue;
      }
      send(task, **connection, first);
    }
    cluster_.close(task);
  }

 private:
  void send(Task& task, BrokerConnection& connection, const PartitionName& first) {
    const int16_t acks = static_cast<int16_t>(options_.acks[rng_.below(options_.acks.size())]);
    kafka::ProduceRequest request;
    request.acks = acks;
    request.timeout_ms = static_cast<int32_t>(rng_.log_between(200, 3000));
    std::vector<Part> parts = draw_parts(first);
    for (Part& p : parts) {
      const ValueId id{part_.client, number_++};
      p.send = note_send(id, p.partition, acks, false, part_.history);
      part_.history.sends[p.send].first_attempt = task.now();
      part_.history.sends[p.send].attempts = 1;
      part_.history.sends[p.send].on_trial = true;
      auto topic = std::ranges::find(request.topic_data, p.partition.topic, &kafka::ProduceRequest::Topic::name);
      if (topic == request.topic_data.end()) topic = request.topic_data.insert(topic, {.name = p.partition.topic, .partition_data = {}});
      topic->partition_data.push_back({.index = p.partition.partition, .records = batch_of(id, p.fault, env_.clock.wall_ms())});
    }
    if (acks == 0) {
      (void)connection.send_only(version_, request);
      for (const Part& p : parts) part_.history.sends[p.send].completed = task.now();
      return;
    }
    auto response = connection.call(task, version_, request, task.now() + 4s);
    if (!response) {
      connection.close();  // an answer that comes late would be taken for the next one's
      stale_ = true;
    }
    for (const Part& p : parts) note(p, response ? &*response : nullptr, task.now());
  }

  std::vector<Part> draw_parts(const PartitionName& first) {
    std::vector<Part> parts{{first, draw_fault()}};
    const int64_t count = rng_.between(options_.partitions.low, options_.partitions.high);
    for (int64_t i = 1; i < count; ++i) {
      const PartitionName& p = part_.partitions[rng_.below(part_.partitions.size())];
      if (std::ranges::find(parts, p, &Part::partition) == parts.end()) parts.push_back({p, draw_fault()});
    }
    for (Part& p : parts) {
      if (p.fault == Fault::no_partition) p.partition.partition = 99;
      if (p.fault == Fault::no_topic) p.partition.topic = "nowhere";
    }
    return parts;
  }
  Fault draw_fault() {
    const bool refused = rng_.chance(static_cast<uint64_t>(options_.refused_percent), 100);
    const auto kind = static_cast<Fault>(1 + rng_.below(kFaults - 1));
    return refused ? kind : Fault::none;
  }

  // What the answer says of one part.
  void note(const Part& p, const kafka::ProduceResponse* response, Time now) {
    Send& s = part_.history.sends[p.send];
    s.completed = now;
    const kafka::ProduceResponse::Partition* answer = nullptr;
    if (response)
      for (const auto& t : response->responses)
        for (const auto& a : t.partition_responses)
          if (t.name == p.partition.topic && a.index == p.partition.partition) answer = &a;
    if (response && !answer) return anomaly(p, "the answer leaves out a partition of the request", now);
    if (!answer) return;
    if (answer->error_code == kafka::ErrorCode::none) {
      s.outcome = Outcome::ok;
      s.offset = answer->base_offset;
      if (p.fault != Fault::none) anomaly(p, "a batch that nobody may take was taken", now);
    } else {
      if (says_not_appended(answer->error_code)) s.outcome = Outcome::failed;
      stale_ = stale_ || p.fault == Fault::none;
    }
  }
  void anomaly(const Part& p, std::string what, Time now) {
    part_.history.anomalies.push_back({part_.client, p.partition, std::move(what), now});
  }

  ClientEnv& env_;
  const ClientPart& part_;
  const ProduceManyOptions& options_;
  Rng rng_;
  ClusterClient cluster_;
  int16_t version_ = cluster_.options().versions.of(kafka::ApiKey::produce, kProduceVersion);
  bool stale_ = true;
  int64_t number_ = 0;
};

std::shared_ptr<const Workload> read_produce_many(const Table& t, const ClusterSpec&) {
  ProduceManyOptions out;
  out.acks.clear();
  for (const std::string& acks : t.find("acks") ? t.texts("acks") : std::vector<std::string>{"all"}) {
    if (acks != "all" && acks != "1" && acks != "0") refuse_name(t.toml(), "acks", acks, {"all", "1", "0"});
    out.acks.push_back(acks == "all" ? -1 : acks == "1" ? 1 : 0);
  }
  if (out.acks.empty()) refuse(t.toml(), "acks: an empty list");
  out.rate_per_s = t.range("rate_per_s", out.rate_per_s, 1, 100'000);
  out.partitions = t.range("partitions", out.partitions, 1, 100);
  out.refused_percent = static_cast<int>(t.integer("refused_percent", out.refused_percent, 0, 100));
  return std::make_shared<ProduceMany>(out);
}

}  // namespace

void ProduceMany::run(Task& task, ClientEnv& env, const ClientPart& part) const { Sender(env, part, options_).run(task); }

WorkloadKind produce_many_kind() {
  return {"produce_many",
          "requests to several partitions, some of which are refused",
          {"acks", "rate_per_s", "partitions", "refused_percent"},
          read_produce_many};
}

}  // namespace sg::scenario
