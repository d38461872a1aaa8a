// `bench latency`: one batch of one record in flight in all, on partition 0, 1, ... in turn: what an unloaded cluster answers.
#include "scenarios/bench/load.h"
#include "scenarios/bench/single_write.h"

namespace sg::scenario {

BenchExit bench_latency(Task& task, BenchWorld& world, const BenchOptions& options) {
  ClusterClient client(world.scheduler, world.network, {.client_id = "stormglass-bench", .bootstrap = options.bootstrap});
  LoadFigures figures;
  Result<> result = prepare_topic(task, client, options);
  const Time begin = task.now();
  const Time end = begin + std::chrono::seconds(options.seconds);
  for (int32_t next = 0; result && task.now() < end; next = (next + 1) % options.partitions) {
    auto leader = client.find_leader(task, options.topic, next, end + 5s);
    if (!leader) {
      result = std::unexpected(leader.error());
      break;
    }
    auto connection = client.connection(task, leader->node);
    const Time sent = task.now();
    Result<kafka::ErrorCode> answer = kafka::ErrorCode::network_exception;
    if (connection) answer = write_one(task, **connection, options, next, world.clock.wall_ms());
    if (answer.is(Errc::stopped)) break;
    if (answer && *answer == kafka::ErrorCode::none) {
      ++figures.acknowledged;
      figures.latency_us.add((task.now() - sent) / 1us);
    } else {
      ++figures.failed;
      client.forget_leader(options.topic, next);
      result = task.sleep_for(50ms);
    }
  }
  figures.elapsed_us = (task.now() - begin) / 1us;
  client.close(task);
  return result ? report_load("latency", options, figures) : bench_failed(result.error());
}

}  // namespace sg::scenario
