// What clients do in a scenario. A kind of workload is one file in this folder and one line in registry.cc: how it is read from a scenario
// file, and the program of one of its clients, fibers over net::Network that write down what they observe.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "scenarios/client/env.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

class Table;

// When to end; looked at between operations.
struct WorkloadControl {
  bool writing = true;  // new records are sent, topics made
  bool running = true;  // everybody
};

// What one client of a workload is told. The references outlive its program.
struct ClientPart {
  int32_t client = 0;  // unique in the run; part of every value
  int clients = 1;     // of this workload
  const std::vector<PartitionName>& partitions;
  WorkloadControl& control;
  History& history;
};

class Workload {
 public:
  virtual ~Workload() = default;
  // The program of one client: until its work is done, or the control ends it.
  virtual void run(Task& task, ClientEnv& env, const ClientPart& part) const = 0;
  // Once nothing new is written it ends by itself, and a cluster that is healthy owes it the answers for that (L4).
  virtual bool is_owed_its_end() const { return false; }
};

struct WorkloadKind {
  std::string_view name;
  std::string_view about;
  std::vector<std::string_view> keys;  // of its table, beside those of every workload
  std::shared_ptr<const Workload> (*read)(const Table& table, const ClusterSpec& cluster);
};
std::span<const WorkloadKind> workload_kinds();

}  // namespace sg::scenario
