// What a list of voters on the command line may say against what the directory knows.
#include "broker/cluster/voters_list.h"

#include <doctest/doctest.h>

namespace sg::broker {
namespace {

std::vector<NodeId> nodes(std::initializer_list<int> ids) {
  std::vector<NodeId> out;
  for (int id : ids) out.push_back(NodeId(id));
  return out;
}

// Formed by 1, 2 and 3; 4 has taken the place of 3 since.
raft::Configuration changed() {
  raft::Configuration c;
  for (int id : {1, 2, 4}) c.voters.push_back({NodeId(id), VoterId(static_cast<uint64_t>(id))});
  c.founders = nodes({1, 2, 3});
  return c;
}

ListVerdict judge(std::initializer_list<int> list, int self = 1) { return judge_voters_list(nodes(list), NodeId(self), changed()).verdict; }

}  // namespace

TEST_CASE("list of voters: given it is absent, of the formation, or the newest, in any order, then it is fine") {
  CHECK(judge({}) == ListVerdict::fine);
  CHECK(judge({3, 1, 2}) == ListVerdict::fine);
  CHECK(judge({4, 2, 1}) == ListVerdict::fine);
}

TEST_CASE("list of voters: given this node and a majority of the newest, then a warning; given anything else, then both lists are said") {
  CHECK(judge({1, 2, 7}) == ListVerdict::warning);
  CHECK(judge({1, 2, 4, 5, 6}) == ListVerdict::warning);
  CHECK(judge({2, 4, 7}) == ListVerdict::refused);  // without itself
  CHECK(judge({1}) == ListVerdict::refused);        // alone
  CHECK(judge({1, 8, 9}) == ListVerdict::refused);
  const JudgedList judged = judge_voters_list(nodes({1, 8, 9}), NodeId(1), changed());
  CHECK(judged.line.find("--voters names the nodes 1,8,9") != std::string::npos);
  CHECK(judged.line.find("are 1,2,4") != std::string::npos);
}

TEST_CASE("list of voters: given a directory that knows of no voters, then any list will do") {
  CHECK(judge_voters_list(nodes({1, 2, 3}), NodeId(1), {}).verdict == ListVerdict::fine);
}

TEST_CASE("list of voters: given an older log that knows others, when the list is absent or names this node alone, then it is refused") {
  auto judge = [](std::initializer_list<int> list, std::initializer_list<int> named) {
    return judge_first_list(nodes(list), NodeId(1), nodes(named));
  };
  CHECK(judge({}, {}).verdict == ListVerdict::fine);
  CHECK(judge({}, {1}).verdict == ListVerdict::fine);
  CHECK(judge({1}, {1}).verdict == ListVerdict::fine);
  CHECK(judge({3, 2, 1}, {1, 2, 3}).verdict == ListVerdict::fine);
  CHECK(judge({1, 2, 3}, {2}).verdict == ListVerdict::fine);
  CHECK(judge({}, {1, 2, 3}).verdict == ListVerdict::refused);
  CHECK(judge({}, {2}).verdict == ListVerdict::refused);
  CHECK(judge({1}, {1, 2, 3}).verdict == ListVerdict::refused);
  CHECK(judge({2, 3, 4}, {}).verdict == ListVerdict::refused);  // without this node
  CHECK(judge({}, {1, 2, 3}).line.find("--voters is absent, the catalogue of this directory names the nodes 1,2,3") == 0);
  CHECK(judge({1}, {1, 2, 3}).line.find("--voters names the node 1 alone, the catalogue of this directory names the nodes 1,2,3") == 0);
  CHECK(judge({2, 3, 4}, {}).line.find("--voters names the nodes 2,3,4, and not this node 1") == 0);
}

}  // namespace sg::broker
