#include "scenarios/workloads/produce.h"

#include <algorithm>
#include <map>
#include <set>

#include "scenarios/client/producer.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {

namespace {

// The sends of one client: which records a batch holds, so that its result can be told to each of them.
class Sends {
 public:
  explicit Sends(History& history) : history_(history) {}

  // Indices of the history's sends that token `token` stands for.
  uint64_t add(std::vector<size_t> records) {
    open_[next_] = std::move(records);
    return next_++;
  }
  void done(uint64_t token, const SendResult& result) {
    auto it = open_.find(token);
    ENSURE(it != open_.end());
    int64_t delta = 0;
    for (size_t index : it->second) {
      note_result(history_.sends[index], result, delta);
      ++delta;
    }
    // An acknowledgement by the leader alone may be forgotten with it, and its sequence too.
    const Send& first = history_.sends[it->second.front()];
    if (result.lost_count && first.acks == -1) {
      std::string what = fmt::format("the broker lost count of producer {}: {} with nothing unfinished before it", result.producer_id,
                                     kafka::to_string(result.error));
      history_.anomalies.push_back(
          {.client = first.value.client, .partition = first.partition, .what = std::move(what), .at = result.completed});
    }
    open_.erase(it);
  }

 private:
  History& history_;
  std::map<uint64_t, std::vector<size_t>> open_;
  uint64_t next_ = 1;
};

// As clients do: a new leader may be known while answers of the old one are still awaited.
void look_for_leaders(Task& task, ClusterClient& cluster, const std::vector<PartitionName>& partitions, const ProduceOptions& spec,
                      const Rng& random) {
  Rng rng = random.split("metadata");
  std::set<std::string> topics;
  for (const PartitionName& p : partitions) topics.insert(p.topic);
  const std::vector<std::string> asked(topics.begin(), topics.end());
  while (task.sleep_for(spec.metadata_every.draw(rng, 1ms))) (void)cluster.refresh(task, asked, task.now() + 1s);
}

}  // namespace

void Produce::run(Task& task, ClientEnv& env, const ClientPart& part) const {
  const ProduceOptions& spec = options_;
  const auto& [client, clients, partitions, control, history] = part;
  Rng rng = env.rng.split("produce");
  ProducerOptions options;
  options.acks = static_cast<int16_t>(spec.acks);
  options.idempotent = spec.idempotent;
  options.raises_epoch = spec.raises_epoch;
  options.max_in_flight = static_cast<int>(rng.between(spec.in_flight.low, spec.in_flight.high));
  options.delivery_timeout = std::chrono::milliseconds(rng.log_between(2000, 30'000));
  options.timeout_ms = static_cast<int32_t>(rng.log_between(200, 5000));
  if (spec.delivery.high > 0s) {
    Rng delivery = env.rng.split("delivery");
    options.delivery_timeout = spec.delivery.draw(delivery, 1ms);
    options.queue_counts = true;
  }
  if (spec.first_sequence.high > 0)
    options.first_sequence = static_cast<int32_t>(rng.between(spec.first_sequence.low, spec.first_sequence.high));
  if (spec.identity_batches.high > 0)
    options.identity_batches = static_cast<int>(rng.between(spec.identity_batches.low, spec.identity_batches.high));
  const int64_t rate = std::max<int64_t>(1, rng.between(spec.rate_per_s.low, spec.rate_per_s.high) / clients);

  ClusterClient cluster(env.scheduler, env.network,
                        {.client_id = fmt::format("producer-{}", client), .bootstrap = env.bootstrap, .versions = Versions(env.rng)});
  Sends sends(history);
  std::vector<std::unique_ptr<PartitionProducer>> producers;
  TaskGroup tasks(env.scheduler);
  for (const PartitionName& p : partitions) {
    producers.push_back(std::make_unique<PartitionProducer>(cluster, env.scheduler, p.topic, p.partition, options,
                                                            [&sends](uint64_t token, const SendResult& r) { sends.done(token, r); }));
    tasks.spawn(fmt::format("produce {}", to_string(p)), [producer = producers.back().get()](Task& t) { producer->run(t); });
  }
  if (spec.metadata_every.high > 0s) tasks.spawn("metadata", [&](Task& t) { look_for_leaders(t, cluster, partitions, spec, env.rng); });
  int64_t number = 0;
  Rng rests = env.rng.split("rests");
  Time rest_at = task.now() + spec.works.draw(rests, 1ms);
  while (control.running && control.writing && !task.stopping()) {
    const auto which = static_cast<size_t>(rng.below(partitions.size()));
    int64_t records = rng.between(spec.records_per_batch.low, spec.records_per_batch.high);
    if (spec.records > 0) records = std::min(records, spec.records - number);
    if (records == 0) break;
    std::vector<ByteVec> values;
    std::vector<size_t> indices;
    for (int64_t i = 0; i < records; ++i) {
      const ValueId id{client, number++};
      values.push_back(value_bytes(
          id, static_cast<size_t>(rng.between(std::max<int64_t>(16, spec.value_bytes.low), std::max<int64_t>(16, spec.value_bytes.high)))));
      indices.push_back(note_send(id, partitions[which], options.acks, options.idempotent, history));
      history.sends.back().on_trial = options.identity_batches > 0;
    }
    producers[which]->enqueue(sends.add(std::move(indices)), values, env.clock.wall_ms());
    if (spec.rests.high > 0s && task.now() >= rest_at) {
      if (!task.sleep_for(spec.rests.draw(rests, 1ms))) break;
      rest_at = task.now() + spec.works.draw(rests, 1ms);
    }
    // Exponential gaps would need floats; a uniform one around the mean has the same rate.
    const int64_t mean_us = records * 1'000'000 / rate;
    if (!task.sleep_for(std::chrono::microseconds(rng.between(1, 2 * mean_us)))) break;
  }
  auto unfinished = [&] { return std::any_of(producers.begin(), producers.end(), [](const auto& p) { return p->unfinished() > 0; }); };
  while (control.running && unfinished())
    if (!task.sleep_for(20ms)) break;
  tasks.stop();
  tasks.join(task);
  cluster.close(task);
}

namespace {

std::shared_ptr<const Workload> read_produce(const Table& t, const ClusterSpec&) {
  ProduceOptions out;
  const std::string acks = t.text("acks", "all");
  if (acks != "all" && acks != "1" && acks != "0") refuse(t.toml(), fmt::format("acks '{}': \"all\", \"1\" and \"0\" exist", acks));
  out.acks = acks == "all" ? -1 : acks == "1" ? 1 : 0;
  out.idempotent = t.boolean("idempotent", out.acks == -1);
  if (out.idempotent && out.acks != -1) refuse(t.toml(), "an idempotent producer needs acks = \"all\"");
  out.first_sequence = t.range("first_sequence", out.first_sequence, 0, INT32_MAX);
  out.raises_epoch = t.boolean("raises_epoch", false);
  out.identity_batches = t.range("identity_batches", out.identity_batches, 0, 1'000'000);
  out.metadata_every = t.seconds("metadata_every_s", out.metadata_every);
  out.rate_per_s = t.range("rate_per_s", out.rate_per_s, 1, 100'000);
  out.delivery = t.seconds("delivery_s", out.delivery);
  out.works = t.seconds("works_s", out.works);
  out.rests = t.seconds("rests_s", out.rests);
  out.in_flight = t.range("in_flight", out.in_flight, 1, 5);
  out.records_per_batch = t.range("records_per_batch", out.records_per_batch, 1, 1000);
  out.value_bytes = t.range("value_bytes", out.value_bytes, 1, 1 << 20);
  out.records = t.integer("records", 0, 0, INT64_MAX);
  return std::make_shared<Produce>(out);
}

}  // namespace

WorkloadKind produce_kind() {
  return {"produce",
          "records with unique values at a drawn rate to all partitions",
          {"acks", "idempotent", "first_sequence", "identity_batches", "raises_epoch", "metadata_every_s", "rate_per_s", "delivery_s",
           "works_s", "rests_s", "in_flight", "records_per_batch", "value_bytes", "records"},
          read_produce};
}

}  // namespace sg::scenario
