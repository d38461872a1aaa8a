// What the bench commands share: their options, the production world that they run in, and how a result is told.
// Invariant: a command ends within its --seconds plus a fixed bound, whatever the cluster does. Contract: platform.md.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "scenarios/bench/histogram.h"
#include "scenarios/client/cluster_client.h"

namespace sg::scenario {

// Exit codes of the platform.
enum class BenchExit : int { passed = 0, failed = 1, usage = 2, platform = 3 };

struct BenchOptions {
  std::vector<net::Address> bootstrap;
  std::string topic;
  int32_t partitions = 1;
  int32_t size = 100;  // bytes of a value
  int32_t seconds = 10;
  int16_t acks = -1;
  int32_t in_flight = 5;         // batches per partition
  std::string json;              // file; empty: none
  std::map<NodeId, pid_t> pids;  // failover
};

struct BenchWorld {
  Scheduler& scheduler;
  const Clock& clock;
  net::Network& network;
};

// What became of a load; times in µs.
struct LoadFigures {
  uint64_t acknowledged = 0;  // records; with acks=0 those that were sent, as far as the broker has read them
  uint64_t failed = 0;        // records; refused, or without a known outcome
  int64_t elapsed_us = 0;
  Histogram latency_us;  // per batch, from its first attempt to its acknowledgement
};

// Runs `body` as the first task of a scheduler over real sockets, until it and all that it started has returned.
BenchExit run_in_real_world(const std::function<BenchExit(Task&, BenchWorld&)>& body);

// Creates the topic (three replicas if three brokers are named, else one) or takes the one that is there.
Result<> prepare_topic(Task& task, ClusterClient& client, const BenchOptions& options);

// One line for a failure; the code for it.
BenchExit bench_failed(const Error& error);

// Prints the figures for a person, and writes them to options.json. Exit `failed` if a record failed or none was acknowledged.
BenchExit report_load(const char* command, const BenchOptions& options, const LoadFigures& figures);

// Writes one line to the file, if one is named.
Result<> write_json(const std::string& file, const std::string& line);

BenchExit bench_produce(Task& task, BenchWorld& world, const BenchOptions& options);
BenchExit bench_latency(Task& task, BenchWorld& world, const BenchOptions& options);
BenchExit bench_failover(Task& task, BenchWorld& world, const BenchOptions& options);

}  // namespace sg::scenario
