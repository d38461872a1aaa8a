// Who votes: the one place that answers whose votes and whose copies make a majority (§4.3, joint consensus), and which configuration a
// log says is in force.
//
// A voter is a node *with the memory under which it promises* (node id, voter id). A node that lost its disk, or part of what it had
// promised, comes back under another voter id: it is another server to Raft, and counts only once a change has admitted it. So nothing
// ever counts a promise of a memory that is gone for one of a memory that is there.
//
// The configuration is entries of the log and nothing else: the newest in snapshot and log, committed or not, is what a node goes by;
// truncation reverts it. A change is joint from its append: elections and commitment need a majority of both sets. Its final entry is
// appended when the joint one is committed, and from that append on the new set alone counts.
//   Why not a simple swap of C for C': A, who alone knows of it, would decide with C', while B decides with the old C.
//   Why the new set counts from the append of the final entry and not from its commit under both: B, to be removed, may die between.
// Who is asked for a vote or sent entries answers by the ordinary rules whether it thinks itself a voter or not: a node that has not
// heard of the newest change must not stand in the way of those whom it makes voters. Only counting asks here.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "broker/raft/quorum.h"

namespace sg::raft {

struct Voter {
  NodeId node = kNoNode;
  VoterId id{};
  constexpr auto operator<=>(const Voter&) const = default;
  template <class A>
  void serialize(A& a) {
    a(node, id);
  }
};
inline constexpr Voter kNoVoter{};

// Where a node's peer port is, as an operator wrote it.
struct PeerAddress {
  std::string host;
  uint16_t port = 0;
  bool operator==(const PeerAddress&) const = default;
  template <class A>
  void serialize(A& a) {
    a(host, port);
  }
};

struct Configuration {
  std::vector<Voter> voters;      // ascending; empty: this node knows of none yet
  std::vector<Voter> next;        // of a joint configuration: the set that is to come. Empty otherwise
  std::vector<NodeId> observers;  // ascending; follow the log and do not vote once the change is finished
  std::map<NodeId, PeerAddress> addresses;
  std::vector<NodeId> founders;  // the ids of the voters at the cluster's formation, ascending
  uint64_t lineage = 0;          // which history this cluster is
  bool operator==(const Configuration&) const = default;
  template <class A>
  void serialize(A& a) {
    a(voters, next, observers, addresses, founders, lineage);
  }

  bool known() const { return !voters.empty(); }
  bool joint() const { return !next.empty(); }
  bool votes(const Voter& voter) const;
  // The voter ids under which a node votes: none, one, or two while it is being replaced.
  std::vector<Voter> voters_of(NodeId node) const;
  bool has_member(NodeId node) const;
  // Everybody who is to have the log, ascending.
  std::vector<NodeId> members() const;
  // The ids of the set that is to be in force.
  std::vector<NodeId> voter_nodes() const;
};

// Ascending, distinct, of 1, 3, 5 or 7 voters; at most one voter id of a node in a set; no observer that votes; nobody without a number.
bool well_formed(const Configuration& configuration);
SharedBytes encode(const Configuration& configuration);
// Errc::corrupt; Errc::invalid where it is not well formed.
Result<Configuration> decode_configuration(ByteSpan bytes);
// "voters 1,2,3 -> 1,2,3' observers 4", for a person: a node's voter id shows in full only where the node stands in both sets.
std::string to_string(const Configuration& configuration);

// The greatest value that a majority has reached: of a joint configuration, of both sets. `value_of` takes a Voter.
template <class F>
auto reached_by_majority(const Configuration& configuration, F value_of) {
  auto of = [&](const std::vector<Voter>& set) {
    std::vector<decltype(value_of(set.front()))> values;
    for (const Voter& voter : set) values.push_back(value_of(voter));
    return majority_reached(std::move(values));
  };
  auto reached = of(configuration.voters);
  return configuration.joint() ? std::min(reached, of(configuration.next)) : reached;
}

// Whether these answers decide an election. Answers of others than voters are passed over.
VoteResult vote_result(const Configuration& configuration, const std::map<Voter, bool>& answers);

// What a log says of its configurations: the newest at or below its base, and those above it.
class ConfigurationLog {
 public:
  // `base`: in force at `index`, which is the snapshot's or 0.
  explicit ConfigurationLog(Configuration base = {}, LogIndex index = {}) : entries_{{index, std::move(base)}} {}

  const Configuration& newest() const { return entries_.back().configuration; }
  // Of the entry that brought it; 0 for what a log began with.
  LogIndex newest_index() const { return entries_.back().index; }
  // In force at `index`, at or above the base.
  const Configuration& at(LogIndex index) const;

  void append(LogIndex index, Configuration configuration);
  // Entries from `from` on are gone. True if that changes the newest.
  bool truncate(LogIndex from);
  // Nobody will ask for what is below `index`.
  void compact(LogIndex index);

 private:
  struct At {
    LogIndex index;
    Configuration configuration;
  };
  std::deque<At> entries_;  // never empty; ascending
};

}  // namespace sg::raft

template <>
struct fmt::formatter<sg::raft::Voter> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  template <class Context>
  auto format(const sg::raft::Voter& voter, Context& ctx) const {
    return fmt::format_to(ctx.out(), "{}({:08x})", voter.node, voter.id.v >> 32);
  }
};
