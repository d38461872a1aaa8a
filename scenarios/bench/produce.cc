// `bench produce`: batches of up to 16 KiB or 1,000 records, --in-flight of them under way per partition, for --seconds.
// With acks=0 nobody answers, so after every --in-flight batches a ListOffsets on the same connection holds the load back until the
// broker has read them all: what is counted has arrived.
#include <algorithm>
#include <memory>

#include "scenarios/bench/load.h"
#include "scenarios/client/consumer.h"
#include "scenarios/client/producer.h"

namespace sg::scenario {
namespace {

constexpr int32_t kBatchBytes = 16 * 1024;
constexpr int32_t kBatchRecords = 1000;
constexpr Duration kDrainTimeout = 35s;  // above the delivery timeout of a producer
// More batches than a broker remembers per producer (KIP-98) cannot be told apart when they are sent again.
constexpr int32_t kMaxIdempotentInFlight = 5;

// Keeps one partition busy. Its producer lives in `tasks`.
class PartitionLoad {
 public:
  PartitionLoad(ClusterClient& client, BenchWorld& world, const BenchOptions& options, int32_t partition, int32_t records,
                LoadFigures& figures)
      : world_(world),
        options_(options),
        figures_(figures),
        values_(static_cast<size_t>(records), ByteVec(static_cast<size_t>(options.size), uint8_t{'x'})),
        barrier_(client, options.topic, partition, {}),
        producer_(client, world.scheduler, options.topic, partition, producer_options(options),
                  [this](uint64_t, const SendResult& result) { done(result); }) {}

  // Loads until `end`, and waits for what is under way then.
  void run(Task& task, Time end) {
    TaskGroup tasks(world_.scheduler);
    tasks.spawn("producer", [this](Task& t) { producer_.run(t); });
    while (task.now() < end && !task.stopping()) {
      while (producer_.unfinished() < static_cast<size_t>(options_.in_flight)) producer_.enqueue(next_++, values_, world_.clock.wall_ms());
      if (!wait_for_room(task, end)) break;
    }
    const Time drained = task.now() + kDrainTimeout;
    while (producer_.unfinished() > 0 && task.now() < drained)
      if (changed_.wait(task, drained, "the last batches").is(Errc::stopped)) break;
    if (options_.acks == 0) (void)barrier_.latest(task, drained);
    tasks.stop();
    tasks.join(task);
  }

 private:
  static ProducerOptions producer_options(const BenchOptions& options) {
    ProducerOptions out;
    out.acks = options.acks;
    out.idempotent = options.acks == -1 && options.in_flight <= kMaxIdempotentInFlight;
    out.max_in_flight = options.in_flight;
    return out;
  }

  // False: stopped.
  bool wait_for_room(Task& task, Time end) {
    while (producer_.unfinished() >= static_cast<size_t>(options_.in_flight)) {
      Result<> woken = changed_.wait(task, end, "room for a batch");
      if (woken.is(Errc::stopped)) return false;
      if (woken.is(Errc::timeout)) return true;
    }
    if (options_.acks != 0) return true;
    while (producer_.unfinished() > 0)
      if (changed_.wait(task, end + kDrainTimeout, "batches to leave").is(Errc::stopped)) return false;
    return !barrier_.latest(task, end + kDrainTimeout).is(Errc::stopped);
  }

  void done(const SendResult& result) {
    const bool ok = options_.acks == 0 ? result.error == kafka::ErrorCode::none : result.outcome == SendOutcome::ok;
    (ok ? figures_.acknowledged : figures_.failed) += values_.size();
    if (ok && options_.acks != 0) figures_.latency_us.add((result.completed - result.first_attempt) / 1us);
    changed_.notify_all();
  }

  BenchWorld& world_;
  const BenchOptions& options_;
  LoadFigures& figures_;
  std::vector<ByteVec> values_;
  PartitionConsumer barrier_;
  PartitionProducer producer_;
  Signal changed_;
  uint64_t next_ = 1;
};

}  // namespace

BenchExit bench_produce(Task& task, BenchWorld& world, const BenchOptions& options) {
  ClusterClient client(world.scheduler, world.network, {.client_id = "stormglass-bench", .bootstrap = options.bootstrap});
  LoadFigures figures;
  Result<> prepared = prepare_topic(task, client, options);
  if (prepared) {
    const int32_t records = std::clamp(kBatchBytes / std::max(1, options.size), 1, kBatchRecords);
    const Time begin = task.now();
    const Time end = begin + std::chrono::seconds(options.seconds);
    std::vector<std::unique_ptr<PartitionLoad>> loads;
    TaskGroup tasks(world.scheduler);
    for (int32_t p = 0; p < options.partitions; ++p) {
      loads.push_back(std::make_unique<PartitionLoad>(client, world, options, p, records, figures));
      tasks.spawn("load", [load = loads.back().get(), end](Task& t) { load->run(t, end); });
    }
    tasks.join(task);
    figures.elapsed_us = (task.now() - begin) / 1us;
  }
  client.close(task);
  return prepared ? report_load("produce", options, figures) : bench_failed(prepared.error());
}

}  // namespace sg::scenario
