#include "scenarios/checks/run_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

namespace sg::scenario {
namespace {

constexpr Duration kRefusalDue = 1s;
// To one node that does not answer: control and replication, each dialled every 200 ms, for 1 s (broker/peer/reach.h).
constexpr size_t kDials = 2 * 5;

std::optional<Violation> wrong(std::string text) {
  return Violation{"calm", std::move(text) + "; expected: nothing changes without a fault"};
}

}  // namespace

std::optional<Violation> check_calm(const ClusterView& start, const ClusterView& end, const History& history) {
  if (end.term != start.term) return wrong(fmt::format("term {} has followed term {}", end.term, start.term));
  for (const ClusterView::Partition& p : end.partitions) {
    if (p.isr.size() != p.replicas.size())
      return wrong(fmt::format("the ISR of {} is {} of the replicas {}", p.name, list(p.isr), list(p.replicas)));
    auto was = std::ranges::find(start.partitions, p.stream, &ClusterView::Partition::stream);
    if (was == start.partitions.end()) {
      const std::string_view topic = std::string_view(p.name).substr(0, p.name.rfind('-'));
      if (std::ranges::find(history.topic_ops, topic, &TopicOp::topic) == history.topic_ops.end())
        return wrong(fmt::format("{} was not there at first", p.name));
      continue;
    }
    if (p.leader != was->leader || p.leader_epoch != was->leader_epoch)
      return wrong(fmt::format("{} is led by node {} in epoch {}, and was led by node {} in epoch {}", p.name, p.leader, p.leader_epoch,
                               was->leader, was->leader_epoch));
    if (p.partition_epoch != was->partition_epoch || p.isr != was->isr)
      return wrong(fmt::format("the ISR of {} has changed {} times, from {} to {}", p.name, p.partition_epoch.v - was->partition_epoch.v,
                               list(was->isr), list(p.isr)));
  }
  for (const Send& s : history.sends) {
    if (s.first_attempt < start.now || s.on_trial) continue;
    if ((s.outcome == Outcome::ok || s.acks == 0) && s.attempts == 1) continue;
    return wrong(fmt::format("record {} of client {} to {} was sent {} times, first at {}.{:03} s, and {}", s.value.number, s.value.client,
                             to_string(s.partition), s.attempts, s.first_attempt.ns / 1'000'000'000, s.first_attempt.ns / 1'000'000 % 1000,
                             s.outcome == Outcome::ok ? "acknowledged then" : "never acknowledged"));
  }
  return std::nullopt;
}

std::optional<Violation> check_exit(const ProcessEnd& end, const std::vector<Refusal>& refusals) {
  if (end.code == broker::kExitDisk && (end.disk_failures > 0 || end.disk_was_full)) return std::nullopt;
  if (end.code == broker::kExitRefused && !end.mistake.empty()) {
    std::vector<std::string_view> lines;
    for (const Refusal& r : refusals)
      if (r.mistake == end.mistake) lines.push_back(r.line);
    if (std::ranges::any_of(lines, [&](std::string_view line) { return end.why.find(line) != std::string::npos; })) return std::nullopt;
    return Violation{"exit", fmt::format("{} was started wrongly ({}), refused, and said: {}; expected: a line that contains one of [{}]",
                                         end.node, end.mistake, end.why, fmt::join(lines, "; "))};
  }
  return Violation{"exit",
                   fmt::format("{} ended by itself with code {}: {}; expected: it runs until it is stopped, or ends with code {} when "
                               "its disk has failed, which was {} times",
                               end.node, end.code, end.why, broker::kExitDisk, end.disk_failures)};
}

namespace {

// A client that the network still knows may have something under way.
std::optional<Violation> check_held(const Holding& h) {
  const broker::Held& held = h.held;
  struct Kind {
    std::string_view what;
    size_t count;
    size_t allowed;
  };
  constexpr size_t kAny = std::numeric_limits<size_t>::max();
  const size_t by_clients = h.client_connections == 0 ? 0 : kAny;
  for (const Kind& k : std::initializer_list<Kind>{{"client connections", held.connections, h.client_connections},
                                                   {"bytes of requests", held.request_bytes, by_clients},
                                                   {"bytes of requests that are still arriving", held.unfinished_bytes, by_clients},
                                                   {"bytes of answers", held.answer_bytes, by_clients},
                                                   {"parts of produce requests that wait", held.produces, by_clients},
                                                   {"waits of fetch requests", held.fetches, by_clients},
                                                   {"proposals that wait", held.proposals, by_clients},
                                                   {"open files", h.open_files, h.files}})
    if (k.count > k.allowed)
      return Violation{"resources",
                       fmt::format("{} holds {} {} when all clients have gone; expected: {} at most, with {} client connections "
                                   "that the network still knows",
                                   h.node, k.count, k.what, k.allowed, h.client_connections)};
  return std::nullopt;
}

}  // namespace

std::optional<Violation> check_resources(const Holding& h) {
  static const std::set<std::string, std::less<>> kStanding = {
      "main", "journal-commit", "journal-prepare", "journal-watch", "pulses",     "peer server",   "kafka server",
      "raft", "formation",      "controller",      "membership",    "partitions", "client upkeep", "cluster id"};
  std::map<std::string, size_t> counts;
  for (size_t at = 0; at < h.tasks.size();) {
    const size_t end = std::min(h.tasks.find('\n', at), h.tasks.size());
    std::string name = h.tasks.substr(at, std::min(h.tasks.find(':', at), end) - at);
    at = end + 1;
    name.erase(0, name.find_first_not_of(' '));
    const bool of_a_node = name.find_first_of("0123456789") != std::string::npos;
    if (!name.empty()) ++counts[of_a_node ? name.substr(0, name.find_first_of("0123456789")) : name];
  }
  for (const auto& [name, count] : counts) {
    // For each of the others its link of each kind; for a client its reader, its writer and the request that waits.
    const size_t allowed = kStanding.contains(name) ? 1
                           : name == "peer link"    ? h.peer_connections
                           : name == "connect"      ? kDials * h.others
                           : name == "dial "        ? 2 * h.others
                           : name.ends_with(' ')    ? h.others
                                                    : h.client_connections;
    if (count > allowed)
      return Violation{"resources",
                       fmt::format("{} has {} tasks \"{}\" when all clients have gone; expected: {} at most, with {} other nodes and {} "
                                   "client connections that the network still knows. All tasks:\n{}",
                                   h.node, count, name, allowed, h.others, h.client_connections, h.tasks)};
  }
  return check_held(h);
}

std::optional<Violation> check_refused(const MistakeEnd& end, const std::vector<Refusal>& refusals) {
  const bool must = std::ranges::any_of(refusals, [&](const Refusal& r) { return r.must && r.mistake == end.mistake; });
  if (!must || end.refused || !end.running || *end.running < kRefusalDue) return std::nullopt;
  return Violation{"refusal", fmt::format("{} was started wrongly ({}) and has been running for {} ms; expected: it refuses with code {} "
                                          "and says why",
                                          end.node, end.mistake, *end.running / 1ms, broker::kExitRefused)};
}

}  // namespace sg::scenario
