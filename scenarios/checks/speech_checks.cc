#include "scenarios/checks/speech_checks.h"

#include <fmt/format.h>

#include <algorithm>

namespace sg::scenario {
namespace {

// An answer that was made in time may leave so much later: its turn on the connection, and clocks that drift.
constexpr Duration kLeaving = 100ms;
// What acks=all waits for at most without a controller, and how long a request may stand behind others of its connection.
constexpr Duration kPatience = 1s;
constexpr Duration kInQueue = 500ms;
constexpr size_t kKept = 4096;

bool is_word(const Answer& a) {
  return a.error == kafka::ErrorCode::none || a.error == kafka::ErrorCode::offset_out_of_range || a.diverging;
}

// Answers leave in the order of their requests: one that was made early may have stood behind one that waited.
Time may_be_made(Time now, const Answer& a) { return now > a.first + kLeaving ? now - kLeaving : a.asked; }

std::string describe(const Answer& a) {
  std::string text(to_string(a.kind));
  if (a.kind == Answer::Kind::produced) text += fmt::format(" acks={}", a.acks);
  if (a.named_epoch != kNoLeaderEpoch) text += fmt::format(" of a request that names epoch {}", a.named_epoch);
  text += a.error == kafka::ErrorCode::none ? std::string(" with success") : fmt::format(" with {}", kafka::to_string(a.error));
  if (a.diverging) text += " and a diverging epoch";
  if (a.kind == Answer::Kind::fetched && a.error == kafka::ErrorCode::none && !a.has_records) text += " and no record";
  return text;
}

// What is wrong with a word of a node without a controller; empty: nothing.
std::string wrong_in_silence(const Answer& a) {
  switch (a.kind) {
    case Answer::Kind::produced: return a.acks == -1 ? "" : "only acks=all goes on";
    case Answer::Kind::fetched:
      if (a.error != kafka::ErrorCode::none || a.diverging) return "that is for who knows that he leads";
      if (!a.has_records) return "an empty success";
      return a.named_epoch == kNoLeaderEpoch ? "the request names no epoch" : "";
    case Answer::Kind::offsets: return "nobody is to be told an offset";
    case Answer::Kind::claimed: return "its own leadership is what it does not know";
  }
  return "";
}

}  // namespace

std::string_view to_string(Answer::Kind kind) {
  static constexpr std::string_view kNames[] = {"Produce", "Fetch", "ListOffsets", "Metadata"};
  return kNames[static_cast<size_t>(kind)];
}

// --- What a node must know -------------------------------------------------------------------------------------------------------

void SpeechChecks::on_catalogue_changed(LogIndex index, const metadata::Record& record) {
  if (const auto* r = std::get_if<metadata::RegisterBroker>(&record)) registered_.insert(r->run);
  const auto& brokers = ghost_.fold.facts().brokers;
  for (const auto& [id, broker] : brokers) {
    Process& holder = processes_[ledgers_.machine_of(id)];
    if (holder.id == kNoNode) holder.id = id;
  }
  for (auto& [machine, process] : processes_) {
    auto broker = brokers.find(process.id);
    if (broker == brokers.end()) continue;
    const bool out = broker->second.fenced || (process.run && broker->second.run != *process.run);
    if (!out) {
      process.out_since.reset();
    } else if (!process.out_since) {
      process.out_since = index;
    }
  }
}

void SpeechChecks::on_run(Time now, MachineId machine, NodeId id, const Run& run) {
  Process& process = processes_[machine];
  if (process.run == run) return;
  process = Process{.id = id, .run = run, .applied = {}, .heartbeats = {}, .heard = now, .controlled = {}, .out_since = process.out_since};
}

void SpeechChecks::on_died(MachineId machine) { processes_.erase(machine); }

void SpeechChecks::on_seen(Time now, MachineId machine, LogIndex applied, bool is_controller) {
  Process& process = processes_[machine];
  if (process.applied.empty() || process.applied.back().first < applied) process.applied.emplace_back(applied, now);
  if (process.applied.size() > kKept) process.applied.pop_front();
  if (is_controller) process.controlled = now;
}

void SpeechChecks::on_heartbeat(Time now, MachineId from, const metadata::Heartbeat& heartbeat) {
  on_run(now, from, heartbeat.node, heartbeat.run);
  Process& process = processes_[from];
  process.heartbeats[heartbeat.sequence] = now;
  if (process.heartbeats.size() > kKept) process.heartbeats.erase(process.heartbeats.begin());
}

void SpeechChecks::on_heartbeat_reply(MachineId to, const metadata::HeartbeatReply& reply) {
  Process& process = processes_[to];
  auto sent = process.heartbeats.find(reply.sequence);
  if (process.run == reply.run && sent != process.heartbeats.end())
    process.heard = std::max(process.heard, sent->second - Duration(reply.age_ns));
}

NodeId SpeechChecks::claimed_id(MachineId machine) const {
  auto it = processes_.find(machine);
  if (it != processes_.end() && it->second.id != kNoNode) return it->second.id;
  return is_spare(machine) ? kNoNode : machine;
}

std::optional<Time> SpeechChecks::knows_since(const Process& process, LogIndex index) const {
  auto at = std::ranges::lower_bound(process.applied, index, {}, &std::pair<LogIndex, Time>::first);
  if (at == process.applied.end()) return std::nullopt;
  return at->second;
}

void SpeechChecks::on_suspended(MachineId machine, Time until) {
  Process& process = processes_[machine];
  process.suspended_until = std::max(process.suspended_until, until);
}

// A leader of Raft answers its own heartbeats, as of when a majority was last in contact with it.
Time SpeechChecks::silent_from(const Process& process) const {
  Time heard = std::max(process.heard, process.suspended_until);
  if (process.controlled) heard = std::max(heard, *process.controlled);
  return heard + timing_.session_timeout;
}

// --- What leaves it --------------------------------------------------------------------------------------------------------------

// What is wrong with a word (not an error) of a node that is outside, or whose leadership is over, and that knows it; empty: nothing.
std::string SpeechChecks::wrong_outside(Time now, const Process& process, MachineId machine, const Answer& a) const {
  auto is_late = [&](Time since) { return may_be_made(now, a) > since && (a.kind != Answer::Kind::claimed || a.asked >= since); };
  if (process.out_since)
    if (auto since = knows_since(process, *process.out_since); since && is_late(*since))
      return fmt::format("it is fenced or superseded since catalogue index {}, which it applied {} ms ago", *process.out_since,
                         (now - *since) / 1ms);
  auto ghost = ghost_.partitions.find(a.stream);
  if (ghost == ghost_.partitions.end()) return "";
  for (auto s = ghost->second.states.rbegin(); s != ghost->second.states.rend(); ++s) {
    auto since = knows_since(process, s->since);
    if (!since) continue;
    if (s->leader == machine || !is_late(*since)) break;
    return fmt::format("node {} leads in epoch {}, which it applied {} ms ago (catalogue index {})", s->leader, s->leader_epoch,
                       (now - *since) / 1ms, s->since);
  }
  if (a.named_epoch == kNoLeaderEpoch) return "";
  auto led = ghost->second.leaders.find(a.named_epoch);
  if (led != ghost->second.leaders.end() && led->second == machine) return "";
  return "it has never led in that epoch";
}

void SpeechChecks::on_answer(Time now, MachineId from, const Answer& a, Time running_since, const std::string& partition) {
  const Process& process = processes_[from];
  const Time silent = silent_from(process);
  const bool is_silent = now > silent + kLeaving;
  const Time made = may_be_made(now, a);
  if (is_silent) ++judged_in_silence_;
  std::string wrong;
  if (is_word(a)) {
    wrong = wrong_outside(now, process, from, a);
    const bool made_before = made < silent || (a.kind == Answer::Kind::claimed && a.asked < silent);
    if (wrong.empty() && is_silent && !made_before) wrong = wrong_in_silence(a);
  }
  // Nobody waits then: a Fetch not at all, acks=all for a moment. (acks=1 is refused as it comes.) Records may have been under way.
  const bool may_wait = a.kind == Answer::Kind::produced || (a.kind == Answer::Kind::fetched && !a.has_records);
  if (wrong.empty() && is_silent && may_wait) {
    const Duration bound = a.kind == Answer::Kind::produced ? kPatience + kInQueue : kInQueue;
    const Time owed = std::max({a.asked + bound, a.first + kInQueue, silent + kLeaving, running_since + bound});
    if (now > owed) wrong = fmt::format("it had to be let go {} ms earlier", (now - owed) / 1ms);
  }
  const auto state = [&] {
    return is_silent ? fmt::format("has heard no controller for a session since {} ms", (now - silent) / 1ms) : std::string("is in office");
  };
  judge_.check(Check::e25, wrong.empty(), [&] {
    return fmt::format("{}: node {}, which {}, answers {} (asked {} ms ago): {}", partition, from, state(), describe(a),
                       (now - a.asked) / 1ms, wrong);
  });
}

void SpeechChecks::on_promise(MachineId from, std::string_view what, StreamId stream) {
  const Process& process = processes_[from];
  judge_.check(Check::e26, process.run && registered_.contains(*process.run), [&] {
    return fmt::format("stream {}: node {} sends {}, and its run {} has never been registered", stream, from, what,
                       process.run ? fmt::format("{}", *process.run) : std::string("(unknown)"));
  });
}

// Who is outside does not know what exists, and who has heard of a partition before it was asked does.
void SpeechChecks::on_denied(MachineId from, Time asked, const std::string& partition, std::optional<StreamId> known) {
  const Process& process = processes_[from];
  const bool was_member = judge_.check(Check::e26, process.run && registered_.contains(*process.run), [&] {
    return fmt::format("{}: machine {} tells a client that there is no such partition, and its run {} has never been registered", partition,
                       from, process.run ? fmt::format("{}", *process.run) : std::string("(unknown)"));
  });
  if (!was_member) return;
  const std::optional<Time> out = process.out_since ? knows_since(process, *process.out_since) : std::nullopt;
  judge_.check(Check::e25, !out || *out >= asked, [&] {
    return fmt::format(
        "{}: machine {} tells a client that there is no such partition; it is fenced or superseded since catalogue index {}, "
        "which it had applied {} ms before it was asked",
        partition, from, *process.out_since, (asked - *out) / 1ms);
  });
  auto ghost = known ? ghost_.partitions.find(*known) : ghost_.partitions.end();
  if (ghost == ghost_.partitions.end() || ghost->second.states.empty()) return;
  const LogIndex made = ghost->second.states.front().since;
  const std::optional<Time> heard = knows_since(process, made);
  judge_.check(Check::e25, !heard || *heard >= asked, [&] {
    return fmt::format(
        "{}: machine {} tells a client that there is no such partition; it was made by catalogue index {}, which the machine had "
        "applied {} ms before it was asked, and it has it still",
        partition, from, made, (asked - *heard) / 1ms);
  });
}

void SpeechChecks::on_told(MachineId from) {
  const Process& process = processes_[from];
  judge_.check(Check::e26, process.run && registered_.contains(*process.run), [&] {
    return fmt::format("machine {} tells a client of the cluster, and its run {} has never been registered; expected: it waits until it is",
                       from, process.run ? fmt::format("{}", *process.run) : std::string("(unknown)"));
  });
}

}  // namespace sg::scenario
