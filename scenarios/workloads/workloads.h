// What clients do in a scenario. Each workload is the program of one client host, simulated or real: fibers over net::Network that
// record what they observe.
#pragma once

#include <functional>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "scenarios/client/cluster_client.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

struct ClientEnv {
  Scheduler& scheduler;
  const Clock& clock;
  net::Network& network;
  Rng rng;
  std::vector<net::Address> bootstrap;
};

// When to end; looked at between operations.
struct WorkloadControl {
  bool writing = true;  // producers send new records
  bool running = true;  // everybody
};

// The partitions of the given topics.
std::vector<PartitionName> partitions_of(const std::vector<TopicSpec>& topics);

// Sends at a drawn rate to all partitions until writing ends, then waits for what is unfinished.
// `client`: unique in the run; part of every value.
void run_produce(Task& task, ClientEnv& env, const WorkloadSpec& spec, int32_t client, int clients,
                 const std::vector<PartitionName>& partitions, WorkloadControl& control, History& history);

// Follows all partitions from their beginning while the run lasts, or reads them again and again.
void run_consume(Task& task, ClientEnv& env, const WorkloadSpec& spec, int32_t client, const std::vector<PartitionName>& partitions,
                 WorkloadControl& control, History& history);

// Creates the topics and waits until each partition has a leader. The name of what failed; empty if nothing did.
std::string create_topics(Task& task, ClientEnv& env, const std::vector<TopicSpec>& topics, Time deadline);

// L4: one acknowledged produce to every partition, and its read. What did not come about by the deadline, for a person; empty if all did.
std::string run_probe(Task& task, ClientEnv& env, int32_t client, const std::vector<PartitionName>& partitions, History& history,
                      Time deadline);

// Reads every partition from the beginning to the end that its leader names.
std::string run_final_read(Task& task, ClientEnv& env, int32_t client, const std::vector<PartitionName>& partitions, History& history,
                           Time deadline);

}  // namespace sg::scenario
