// Who makes a majority, against a dumb twin that counts; and what a log says of its configurations.
#include "broker/raft/configuration.h"

#include <doctest/doctest.h>

#include <rapidcheck.h>

#include <set>

#include "base/archive.h"
#include "tests/raft/solo.h"

namespace sg::raft::test {
namespace {

Configuration joint(const Configuration& from, const Configuration& to) {
  Configuration c = from;
  c.next = to.voters;
  return c;
}

// 1, 3, 5 or 7 voters of eight nodes with one of two memories each.
std::vector<Voter> any_set(Rng& rng) {
  size_t size = 1 + 2 * rng.below(4);
  std::map<NodeId, Voter> set;
  while (set.size() < size) {
    NodeId node(static_cast<int32_t>(rng.between(1, 8)));
    VoterId id(1 + rng.below(2));
    set.try_emplace(node, Voter{node, id});
  }
  std::vector<Voter> out;
  for (const auto& [node, v] : set) out.push_back(v);
  return out;
}

bool majority_of(const std::vector<Voter>& set, const std::set<Voter>& said) {
  size_t n = 0;
  for (const Voter& v : set) n += said.contains(v) ? 1 : 0;
  return 2 * n > set.size();
}

}  // namespace

TEST_CASE("configuration: given any sets and answers, then an election is won, lost or open as counting every set says") {
  CHECK(rc::check([](uint64_t seed) {
    Rng rng(seed);
    Configuration c;
    c.voters = any_set(rng);
    if (rng.chance(1, 2)) c.next = any_set(rng);
    RC_ASSERT(well_formed(c));
    std::map<Voter, bool> answers;
    std::set<Voter> granted, not_refused;
    for (int node = 1; node < 9; ++node) {
      for (uint64_t id : {1u, 2u}) {
        uint64_t answer = rng.below(3);
        if (answer < 2) answers[voter(node, id)] = answer == 1;
        if (answer == 1) granted.insert(voter(node, id));
        if (answer != 0) not_refused.insert(voter(node, id));
      }
    }
    auto both = [&](const std::set<Voter>& said) { return majority_of(c.voters, said) && (!c.joint() || majority_of(c.next, said)); };
    VoteResult expected = both(granted) ? VoteResult::won : both(not_refused) ? VoteResult::pending : VoteResult::lost;
    RC_ASSERT(vote_result(c, answers) == expected);
    bool reached = reached_by_majority(c, [&](const Voter& v) { return granted.contains(v); });
    RC_ASSERT(reached == both(granted));
  }));
}

TEST_CASE("configuration: given two memories of a node, then each is a voter of its own") {
  Configuration c = joint(voters_to(3), voters_to(3));
  c.next[2] = voter(3, 33);
  CHECK(c.votes(voter(3)));
  CHECK(c.votes(voter(3, 33)));
  CHECK(!c.votes(voter(3, 34)));
  CHECK(c.voters_of(NodeId(3)).size() == 2);
  CHECK(c.members() == std::vector<NodeId>{NodeId(1), NodeId(2), NodeId(3)});
  // A and the new memory of C are no majority of the old set.
  CHECK(vote_result(c, {{voter(1), true}, {voter(3, 33), true}}) == VoteResult::pending);
  CHECK(vote_result(c, {{voter(1), true}, {voter(2), true}}) == VoteResult::won);
}

TEST_CASE("configuration: given sets that cannot be, then they are refused") {
  CHECK(well_formed(voters_to(3)));
  CHECK(!well_formed(Configuration{}));
  CHECK(!well_formed(voters_to(2)));
  CHECK(!well_formed(voters_to(9)));
  Configuration twice = voters_to(3);
  twice.voters[1] = voter(1, 7);
  CHECK(!well_formed(twice));
  Configuration both = voters_to(3);
  both.observers = {NodeId(2)};
  CHECK(!well_formed(both));
  CHECK(!well_formed(joint(voters_to(3), voters_to(4))));
  ByteVec bytes = pack(voters_to(2));
  CHECK(decode_configuration(bytes).is(Errc::invalid));
  CHECK(decode_configuration(ByteSpan(bytes).first(5)).is(Errc::corrupt));
  CHECK(decode_configuration(encode(voters_to(3))).value() == voters_to(3));
}

TEST_CASE("configuration log: given any appends, truncations and compactions, then it answers as a list of all entries does") {
  CHECK(rc::check([](uint64_t seed) {
    Rng rng(seed);
    ConfigurationLog log(voters_to(1), LogIndex(0));
    std::map<LogIndex, Configuration> twin{{LogIndex(0), voters_to(1)}};
    LogIndex base, end;
    for (int i = 0; i < 40; ++i) {
      int64_t by = rng.between(1, 3);
      switch (rng.below(4)) {
        case 0: {
          LogIndex from = std::max(base + 1, end - by);
          if (from > end) break;
          log.truncate(from);
          twin.erase(twin.lower_bound(from), twin.end());
          end = from - 1;
          break;
        }
        case 1:
          base = std::min(end, base + by);
          log.compact(base);
          break;
        default: {
          end = end + by;
          Configuration c = voters_to(1 + 2 * static_cast<int>(by % 3));
          log.append(end, c);
          twin[end] = c;
        }
      }
      RC_ASSERT(log.newest() == twin.rbegin()->second);
      for (LogIndex at = base; at <= end; ++at) RC_ASSERT(log.at(at) == std::prev(twin.upper_bound(at))->second);
    }
  }));
}

}  // namespace sg::raft::test
