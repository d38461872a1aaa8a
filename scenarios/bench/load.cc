#include "scenarios/bench/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/system_clock.h"
#include "net/event_loop.h"
#include "net/poller.h"
#include "net/socket_network.h"

namespace sg::scenario {
namespace {

constexpr Duration kPrepareTimeout = 15s;

}  // namespace

BenchExit run_in_real_world(const std::function<BenchExit(Task&, BenchWorld&)>& body) {
  auto poller = net::make_poller(net::PollerPreference::automatic, Log());
  net::SocketNetwork network(*poller);
  SystemClock clock;
  StackPool stacks;
  Scheduler scheduler(clock, stacks, "bench");
  BenchWorld world{scheduler, clock, network};
  BenchExit code = BenchExit::platform;
  bool ended = false;
  scheduler.spawn("bench", [&](Task& task) {
    code = body(task, world);
    ended = true;
  });
  net::run_event_loop(scheduler, *poller, clock, [&] { return ended && scheduler.live() == 0; });
  return code;
}

Result<> prepare_topic(Task& task, ClusterClient& client, const BenchOptions& options) {
  const bool replicated = options.bootstrap.size() >= 3;
  const Time deadline = task.now() + kPrepareTimeout;
  return client.create_topic(task, options.topic, options.partitions, replicated ? 3 : 1, replicated ? 2 : 1, deadline);
}

BenchExit bench_failed(const Error& error) {
  fmt::print(stderr, "stormglass bench: {}: {}\n", to_string(error.code), error.what);
  return BenchExit::platform;
}

Result<> write_json(const std::string& file, const std::string& line) {
  if (file.empty()) return {};
  std::FILE* out = std::fopen(file.c_str(), "w");
  if (!out) return fail(Errc::io, fmt::format("cannot write {}", file));
  const bool written = std::fwrite(line.data(), 1, line.size(), out) == line.size() && std::fputc('\n', out) != EOF;
  if (std::fclose(out) != 0 || !written) return fail(Errc::io, fmt::format("cannot write {}", file));
  return {};
}

BenchExit report_load(const char* command, const BenchOptions& options, const LoadFigures& figures) {
  const auto elapsed_us = static_cast<uint64_t>(std::max<int64_t>(1, figures.elapsed_us));
  const uint64_t per_s = figures.acknowledged * 1'000'000 / elapsed_us;
  const uint64_t bytes_per_s = per_s * static_cast<uint64_t>(options.size);
  const Histogram& h = figures.latency_us;
  fmt::print("{}: {} partition(s), {} B, acks={}, {}.{:01} s\n", command, options.partitions, options.size,
             options.acks < 0 ? "all" : std::to_string(options.acks), elapsed_us / 1'000'000, elapsed_us % 1'000'000 / 100'000);
  fmt::print("{} msg/s, {}.{:02} MB/s; {} acknowledged, {} failed\n", per_s, bytes_per_s / 1'000'000, bytes_per_s % 1'000'000 / 10'000,
             figures.acknowledged, figures.failed);
  if (h.count() > 0)
    fmt::print("latency of a batch in µs: p50 {}, p99 {}, p99.9 {}, max {}\n", h.percentile(500), h.percentile(990), h.percentile(999),
               h.max());
  Result<> written = write_json(
      options.json,
      fmt::format(R"({{"bench":"{}","partitions":{},"size":{},"acks":{},"in_flight":{},"elapsed_us":{},"messages_per_s":{},)"
                  R"("bytes_per_s":{},"acknowledged":{},"failed":{},"batches":{},"p50_us":{},"p99_us":{},"p999_us":{},"max_us":{}}})",
                  command, options.partitions, options.size, options.acks, options.in_flight, elapsed_us, per_s, bytes_per_s,
                  figures.acknowledged, figures.failed, h.count(), h.percentile(500), h.percentile(990), h.percentile(999), h.max()));
  if (!written) return bench_failed(written.error());
  return figures.acknowledged > 0 && figures.failed == 0 ? BenchExit::passed : BenchExit::failed;
}

}  // namespace sg::scenario
