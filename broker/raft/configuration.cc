#include "broker/raft/configuration.h"

#include <fmt/ranges.h>

#include "base/archive.h"

namespace sg::raft {
namespace {

bool contains(const std::vector<Voter>& set, const Voter& voter) { return std::ranges::binary_search(set, voter); }

bool possible_set(const std::vector<Voter>& set) {
  auto same_node = [](const Voter& a, const Voter& b) { return a.node >= b.node; };
  bool distinct = std::ranges::adjacent_find(set, same_node) == set.end();
  return distinct && set.size() % 2 == 1 && set.size() <= 7 && set.front().node.v >= 0;
}

VoteResult result_of(const std::vector<Voter>& set, const std::map<Voter, bool>& answers) {
  size_t granted = 0, refused = 0;
  for (const Voter& voter : set) {
    auto answer = answers.find(voter);
    if (answer == answers.end()) continue;
    ++(answer->second ? granted : refused);
  }
  return vote_result(set.size(), granted, refused);
}

std::string names(const std::vector<Voter>& set, const std::vector<Voter>& other) {
  std::vector<std::string> out;
  for (const Voter& voter : set) {
    bool replaced = !other.empty() && !contains(other, voter) && std::ranges::find(other, voter.node, &Voter::node) != other.end();
    out.push_back(replaced ? fmt::format("{}", voter) : fmt::format("{}", voter.node));
  }
  return fmt::format("{}", fmt::join(out, ","));
}

}  // namespace

bool Configuration::votes(const Voter& voter) const { return contains(voters, voter) || contains(next, voter); }

std::vector<Voter> Configuration::voters_of(NodeId node) const {
  std::vector<Voter> out;
  for (const std::vector<Voter>* set : {&voters, &next}) {
    for (const Voter& voter : *set)
      if (voter.node == node && std::ranges::find(out, voter) == out.end()) out.push_back(voter);
  }
  return out;
}

bool Configuration::has_member(NodeId node) const {
  return !voters_of(node).empty() || std::ranges::find(observers, node) != observers.end();
}

std::vector<NodeId> Configuration::members() const {
  std::vector<NodeId> out = observers;
  for (const Voter& voter : voters) out.push_back(voter.node);
  for (const Voter& voter : next) out.push_back(voter.node);
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<NodeId> Configuration::voter_nodes() const {
  std::vector<NodeId> out;
  for (const Voter& voter : joint() ? next : voters) out.push_back(voter.node);
  return out;
}

bool well_formed(const Configuration& c) {
  if (!c.known() || !possible_set(c.voters) || (c.joint() && !possible_set(c.next))) return false;
  if (!std::ranges::is_sorted(c.observers) || !std::ranges::is_sorted(c.founders)) return false;
  // Of a joint configuration the observers are those of the set that is to come: a voter that leaves may be one.
  const std::vector<NodeId> nodes = c.voter_nodes();
  return std::ranges::none_of(c.observers, [&](NodeId node) { return node.v < 0 || std::ranges::binary_search(nodes, node); });
}

SharedBytes encode(const Configuration& configuration) {
  ENSURE(well_formed(configuration), "{}", to_string(configuration));
  return SharedBytes::copy_of(pack(configuration));
}

Result<Configuration> decode_configuration(ByteSpan bytes) {
  TRY(auto configuration, unpack<Configuration>(bytes));
  if (!well_formed(configuration)) return fail(Errc::invalid, "an impossible configuration: " + to_string(configuration));
  return configuration;
}

std::string to_string(const Configuration& c) {
  std::string out = "voters " + names(c.voters, c.next);
  if (c.joint()) out += " -> " + names(c.next, c.voters);
  if (!c.observers.empty()) out += fmt::format(" observers {}", fmt::join(c.observers, ","));
  return out;
}

VoteResult vote_result(const Configuration& c, const std::map<Voter, bool>& answers) {
  VoteResult result = result_of(c.voters, answers);
  if (!c.joint() || result == VoteResult::lost) return result;
  VoteResult next = result_of(c.next, answers);
  if (next == VoteResult::lost) return next;
  return result == VoteResult::won ? next : result;
}

const Configuration& ConfigurationLog::at(LogIndex index) const {
  auto behind = std::ranges::upper_bound(entries_, index, {}, &At::index);
  ENSURE(behind != entries_.begin(), "the configuration at {} is not kept; the oldest is of {}", index, entries_.front().index);
  return std::prev(behind)->configuration;
}

void ConfigurationLog::append(LogIndex index, Configuration configuration) {
  ENSURE(index > newest_index(), "a configuration at {} behind one at {}", index, newest_index());
  entries_.push_back({index, std::move(configuration)});
}

bool ConfigurationLog::truncate(LogIndex from) {
  bool changed = false;
  for (; entries_.size() > 1 && entries_.back().index >= from; changed = true) entries_.pop_back();
  return changed;
}

void ConfigurationLog::compact(LogIndex index) {
  while (entries_.size() > 1 && entries_[1].index <= index) entries_.pop_front();
}

}  // namespace sg::raft
