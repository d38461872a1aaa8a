// What a run itself asks of its cluster, as a client: topics are created, a healthy cluster takes a record and gives it back (L4), and
// everything is read once more at the end.
#pragma once

#include <string>

#include "scenarios/client/env.h"
#include "scenarios/history.h"
#include "scenarios/scenario.h"

namespace sg::scenario {

// The partitions of the given topics.
std::vector<PartitionName> partitions_of(const std::vector<TopicSpec>& topics);

// Creates the topics and waits until each partition has a leader. The name of what failed; empty if nothing did.
std::string create_topics(Task& task, ClientEnv& env, const std::vector<TopicSpec>& topics, Time deadline);

struct ProbePart {
  int32_t client = 0;
  std::vector<PartitionName> partitions;
  bool every_broker = false;  // hands out producer ids as well
  bool may_be_full = false;   // a journal may refuse the write, as it is documented: KAFKA_STORAGE_ERROR, again and again
};
// L4: one acknowledged produce to every partition, and its read; and a producer id from every broker. What did not come about by the
// deadline, for a person; empty if all did.
std::string run_probe(Task& task, ClientEnv& env, const ProbePart& part, History& history, Time deadline);

// Every broker's list of all topics, into history.listings: again until each knows what was made and deleted last. What did not come about
// by the deadline; empty if all did.
std::string run_listing(Task& task, ClientEnv& env, History& history, Time deadline);

// Reads every partition from the beginning to the end that its leader names. What did not come about by the deadline; empty if all did.
std::string run_final_read(Task& task, ClientEnv& env, int32_t client, const std::vector<PartitionName>& partitions, History& history,
                           Time deadline);

}  // namespace sg::scenario
