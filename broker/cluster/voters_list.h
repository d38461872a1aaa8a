// What an operator's list of voters (--voters) may say. It finds peers and nothing else: who votes is in Raft's log. So a list may be
// absent, or older than the newest change; but one that names another cluster's nodes is a mistake to be told, not to be acted upon.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/raft/configuration.h"

namespace sg::broker {

enum class ListVerdict : uint8_t {
  fine,     // absent, or the voters at the cluster's formation, or the newest known ones
  warning,  // this node and a majority of the newest known voters
  refused,  // anything else
};

struct JudgedList {
  ListVerdict verdict = ListVerdict::fine;
  std::string line;  // warning, refused: both lists, and what to do
};

// `configuration`: the newest that this directory knows; unknown: nothing contradicts.
JudgedList judge_voters_list(std::vector<NodeId> list, NodeId self, const raft::Configuration& configuration);

// Of a directory that knows of no voters: it is empty, or its log is of the older format, whose set is taken from the list. `named`: the
// nodes that its log speaks of none the less, ascending. So a list has to name this node, and where the log knows others it may not be
// absent, nor name this node alone: what they hold as well would be decided here alone.
JudgedList judge_first_list(std::vector<NodeId> list, NodeId self, const std::vector<NodeId>& named);

}  // namespace sg::broker
