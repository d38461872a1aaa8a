// `bench failover`: one record in flight with acks=all, tried again every 5 ms; the leader's process is killed (SIGKILL) between two
// writes, and the time until the next acknowledgement is what clients see of a failover. Who leads is asked of all bootstrap brokers
// at once, so that a dead one never delays the answer; the highest leader epoch wins.
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "scenarios/bench/load.h"
#include "scenarios/bench/single_write.h"

namespace sg::scenario {
namespace {

constexpr Duration kRetry = 5ms;
constexpr Duration kGiveUp = 60s;
constexpr Duration kAfterwards = 1s;  // writing goes on, to see whether the new leader stays
constexpr int32_t kPartition = 0;

// A view of the cluster per bootstrap broker, each refreshed by its own task while somebody wants to know.
class LeaderWatch {
 public:
  LeaderWatch(BenchWorld& world, const BenchOptions& options) : topic_(options.topic), tasks_(world.scheduler) {
    for (const net::Address& address : options.bootstrap) {
      ClientOptions one{.client_id = "stormglass-bench", .bootstrap = {address}};
      one.connect_timeout = 200ms;
      one.request_timeout = 200ms;
      one.retry_backoff = kRetry;
      clients_.push_back(std::make_unique<ClusterClient>(world.scheduler, world.network, std::move(one)));
      tasks_.spawn("leader watch", [this, client = clients_.back().get()](Task& t) { watch(t, *client); });
    }
  }

  // The newest leader that any broker has told of, and a client that knows its address; nullptr if none is known.
  std::pair<ClusterClient*, Leader> newest() const {
    std::pair<ClusterClient*, Leader> best{nullptr, {}};
    for (const auto& client : clients_) {
      Leader leader = client->leader(topic_, kPartition);
      if (leader.node != kNoNode && (!best.first || leader.epoch > best.second.epoch)) best = {client.get(), leader};
    }
    return best;
  }

  // Whether the brokers are asked (every 5 ms each).
  void ask(bool wanted) {
    wanted_ = wanted;
    wake_.notify_all();
  }

  void close(Task& task) {
    tasks_.stop();
    tasks_.join(task);
    for (const auto& client : clients_) client->close(task);
  }

 private:
  void watch(Task& task, ClusterClient& client) {
    while (!task.stopping()) {
      Result<> next;
      if (wanted_) {
        (void)client.refresh(task, {topic_}, task.now() + 200ms);
        next = task.sleep_for(kRetry);
      } else {
        next = wake_.wait(task, Time::never(), "somebody to ask for the leader");
      }
      if (!next) return;
    }
  }

  std::string topic_;
  TaskGroup tasks_;
  std::vector<std::unique_ptr<ClusterClient>> clients_;
  Signal wake_;
  bool wanted_ = true;
};

struct Failover {
  Leader before;
  Leader after;
  Time killed_at;
  Time last_ack;  // before the kill
  Time next_ack;  // after it
  uint64_t acknowledged = 0;
  uint64_t failed = 0;  // attempts, of all times
  int64_t longest_gap_us = 0;
};

// One attempt at the newest leader.  True: acknowledged.
Result<bool> attempt(Task& task, BenchWorld& world, const BenchOptions& options, LeaderWatch& leaders, Leader& by) {
  auto [client, leader] = leaders.newest();
  if (!client) return false;
  by = leader;
  auto connection = client->connection(task, leader.node);
  if (connection.is(Errc::stopped)) return std::unexpected(connection.error());
  if (!connection) return false;
  auto answer = write_one(task, **connection, options, kPartition, world.clock.wall_ms());
  if (answer.is(Errc::stopped)) return std::unexpected(answer.error());
  return answer && *answer == kafka::ErrorCode::none;
}

Result<Failover> measure(Task& task, BenchWorld& world, const BenchOptions& options, LeaderWatch& leaders) {
  Failover out;
  Time kill_at = task.now() + std::chrono::seconds(options.seconds);
  Time end = kill_at + kGiveUp;
  Time previous_ack;
  bool killed = false;
  bool recovered = false;
  while (task.now() < end) {
    Leader by;
    TRY(bool acknowledged, attempt(task, world, options, leaders, by));
    leaders.ask(!acknowledged);
    if (!acknowledged) {
      ++out.failed;
      TRY_DO(task.sleep_for(kRetry));
      continue;
    }
    ++out.acknowledged;
    const Time now = task.now();
    if (previous_ack.ns != 0) out.longest_gap_us = std::max<int64_t>(out.longest_gap_us, (now - previous_ack) / 1us);
    previous_ack = now;
    if (killed && !recovered) {
      recovered = true;
      out.after = by;
      out.next_ack = now;
      end = now + kAfterwards;
    }
    if (killed || now < kill_at) continue;
    auto pid = options.pids.find(by.node);
    if (pid == options.pids.end()) return fail(Errc::invalid, fmt::format("node {} leads; name its process with --pid", by.node));
    if (::kill(pid->second, SIGKILL) != 0) return fail(Errc::invalid, fmt::format("kill {}: {}", pid->second, std::strerror(errno)));
    killed = true;
    out.before = by;
    out.killed_at = out.last_ack = now;
    leaders.ask(true);
  }
  if (!killed) return fail(Errc::unavailable, "no write was acknowledged: nothing was killed");
  return out;
}

BenchExit report(const BenchOptions& options, const Failover& f) {
  if (f.next_ack.ns == 0) {
    fmt::print("failover: node {} was killed; no write was acknowledged within {} s\n", f.before.node, kGiveUp / 1s);
    (void)write_json(options.json, fmt::format(R"({{"bench":"failover","killed":{},"recovered":false}})", f.before.node));
    return BenchExit::failed;
  }
  const int64_t us = (f.next_ack - f.killed_at) / 1us;
  fmt::print("failover: node {} (epoch {}) was killed; node {} (epoch {}) acknowledged the next write\n", f.before.node, f.before.epoch,
             f.after.node, f.after.epoch);
  fmt::print("{}.{:03} ms from the kill to the next acknowledged write; longest gap between two acknowledgements {}.{:03} ms\n", us / 1000,
             us % 1000, f.longest_gap_us / 1000, f.longest_gap_us % 1000);
  fmt::print("{} acknowledged, {} attempts failed\n", f.acknowledged, f.failed);
  Result<> written =
      write_json(options.json, fmt::format(R"({{"bench":"failover","killed":{},"next_leader":{},"recovered":true,"failover_us":{},)"
                                           R"("longest_gap_us":{},"acknowledged":{},"failed_attempts":{}}})",
                                           f.before.node, f.after.node, us, f.longest_gap_us, f.acknowledged, f.failed));
  return written ? BenchExit::passed : bench_failed(written.error());
}

}  // namespace

BenchExit bench_failover(Task& task, BenchWorld& world, const BenchOptions& options) {
  ClusterClient client(world.scheduler, world.network, {.client_id = "stormglass-bench", .bootstrap = options.bootstrap});
  Result<> prepared = prepare_topic(task, client, options);
  client.close(task);
  if (!prepared) return bench_failed(prepared.error());
  LeaderWatch leaders(world, options);
  Result<Failover> measured = measure(task, world, options, leaders);
  leaders.close(task);
  return measured ? report(options, *measured) : bench_failed(measured.error());
}

}  // namespace sg::scenario
