#include "scenarios/campaign.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"
#include "scenarios/judge.h"
#include "scenarios/world/holds.h"
#include "sim/fault.h"

namespace sg::scenario {
namespace {

using enum kafka::ErrorCode;

// What docs/kafka-support.md promises.
const std::map<kafka::ApiKey, std::vector<kafka::ErrorCode>> kPromised = {
    {kafka::ApiKey::produce,
     {none, not_leader_or_follower, unknown_topic_or_partition, invalid_request, invalid_required_acks, message_too_large, corrupt_message,
      invalid_record, invalid_timestamp, unsupported_compression_type, kafka_storage_error, not_enough_replicas, unsupported_version}},
    {kafka::ApiKey::fetch,
     {none, not_leader_or_follower, unknown_topic_or_partition, fetch_session_id_not_found, unknown_leader_epoch, fenced_leader_epoch,
      kafka_storage_error, offset_out_of_range}},
    {kafka::ApiKey::list_offsets,
     {none, not_leader_or_follower, unknown_topic_or_partition, offset_not_available, unknown_leader_epoch, fenced_leader_epoch,
      unsupported_version}},
    {kafka::ApiKey::metadata, {none, leader_not_available, unknown_topic_or_partition, invalid_topic_exception}},
    {kafka::ApiKey::find_coordinator, {coordinator_not_available}},
    {kafka::ApiKey::api_versions, {none, unsupported_version}},
    {kafka::ApiKey::create_topics, {none, topic_already_exists, invalid_replication_factor, request_timed_out}},
    {kafka::ApiKey::delete_topics, {none, unknown_topic_or_partition, request_timed_out}},
    {kafka::ApiKey::init_producer_id, {none, coordinator_load_in_progress, coordinator_not_available}},
};

struct Unreachable {
  std::string_view probe;
  std::string_view why;
};
constexpr Unreachable kUnreachable[] = {
    {"fetch: the client's log has diverged", "what a consumer has read is committed, and never diverges"},
    {"net: a write was short", "of real sockets: tests/net/, tests/live/"},
    {"net: accept without resources", "of real sockets: tests/net/, tests/live/"},
    {"net: submission queue full", "of real sockets: tests/net/, tests/live/"},
    {"raft.leader_left_the_voters",
     "a leader replaces others only; one that must go would be elected while its successor is being made: tests/raft/cluster_test.cc"},
    {"raft.message_of_an_older_run",
     "who no longer bears a node's id is refused at its link (broker/peer/bearers.h): tests/raft/cluster_test.cc"},
    {"raft.configuration_assumed", "of logs that an older release began: tests/raft/membership_test.cc"},
    {"voters: an older log knows others, the list names none", "of logs that an older release began: tests/broker/voters_list_test.cc"},
    {"wal: an identity that is older than the segments", "nothing puts back the identity without the segments: tests/wal/identity_test.cc"},
};

}  // namespace

std::string_view unreachable(std::string_view probe) {
  auto it = std::ranges::find(kUnreachable, probe, &Unreachable::probe);
  return it == std::end(kUnreachable) ? std::string_view() : it->why;
}

void Campaign::on_run(const RunRecord& run) {
  Row& row = rows_[run.scenario];
  ++row.runs;
  row.failed += run.passed() ? 0 : 1;
  row.acked += run.acked;
  for (const auto& [kind, count] : run.struck) row.struck[kind] += count;
  for (const auto& [check, facts] : run.judged) {
    row.facts += facts;
    Facts& f = checks_[check];
    f.facts += facts;
    if (facts > 0) f.scenarios.insert(run.scenario);
  }
  seen_.insert(run.seen.begin(), run.seen.end());
}

std::string Campaign::scenarios_table() const {
  std::string out =
      "| scenario | seeds | faults that struck | records acknowledged | facts judged | failures |\n|---|---|---|---|---|---|\n";
  Row all;
  for (const auto& [name, row] : rows_) {
    std::vector<std::string> faults;
    for (const auto& [kind, count] : row.struck) faults.push_back(fmt::format("{} {}", kind, count));
    out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", name, row.runs,
                       faults.empty() ? "none" : fmt::format("{}", fmt::join(faults, ", ")), row.acked, row.facts, row.failed);
    all.runs += row.runs;
    all.acked += row.acked;
    all.facts += row.facts;
    all.failed += row.failed;
    for (const auto& [kind, count] : row.struck) all.struck[kind] += count;
  }
  uint64_t faults = 0;
  for (const auto& [kind, count] : all.struck) faults += count;
  return out + fmt::format("| all | {} | {} | {} | {} | {} |\n", all.runs, faults, all.acked, all.facts, all.failed);
}

std::string Campaign::checks_table() const {
  std::string out = "| check | facts judged | in scenarios |\n|---|---|---|\n";
  for (const auto& [check, f] : checks_) out += fmt::format("| {} | {} | {} |\n", check, f.facts, f.scenarios.size());
  return out;
}

void Campaign::unspoken_versions(std::vector<std::string>& out) const {
  for (const kafka::Api& api : kafka::apis()) {
    std::vector<int16_t> missing;
    for (int16_t v = api.served.min; v <= api.served.max; ++v) {
      const std::string prefix = fmt::format("{} v{} ", api.name, v);
      if (std::ranges::none_of(seen_, [&](const std::string& s) { return s.starts_with(prefix); })) missing.push_back(v);
    }
    if (!missing.empty()) out.push_back(fmt::format("nobody was answered to {} in version {}", api.name, fmt::join(missing, ", ")));
  }
}

void Campaign::ungiven_codes(std::vector<std::string>& out) const {
  for (const auto& [key, codes] : kPromised)
    for (kafka::ErrorCode code : codes) {
      const std::string prefix = fmt::format("{} v", kafka::to_string(key));
      const std::string suffix = fmt::format(" {}", kafka::to_string(code));
      const bool given = std::ranges::any_of(seen_, [&](const std::string& s) { return s.starts_with(prefix) && s.ends_with(suffix); });
      if (!given) out.push_back(fmt::format("nobody was answered {} to {}", kafka::to_string(code), kafka::to_string(key)));
    }
}

std::vector<std::string> Campaign::never() const {
  std::vector<std::string> out;
  for (const auto& [check, f] : checks_)
    if (f.facts == 0) out.push_back(fmt::format("check {} has judged nothing", check));
  for (std::string_view kind : peer_kinds())
    if (!seen_.contains(fmt::format("message {}", kind))) out.push_back(fmt::format("no node sent {}", kind));
  unspoken_versions(out);
  ungiven_codes(out);
  for (int i = 0; i < sim::kFaultKinds; ++i) {
    const std::string_view kind = sim::to_string(static_cast<sim::FaultKind>(i));
    for (std::string_view role : {"the controller", "a leader", "a follower", "one that recovers", "one that stands still"})
      if (std::string what = fmt::format("{} of {}", kind, role); !seen_.contains(what)) out.push_back("no " + what);
  }
  return out;
}

}  // namespace sg::scenario
