#include "broker/raft/messages.h"

#include <fmt/format.h>

#include <limits>

namespace sg::raft {
namespace {

bool known_kind(const Entry& e) {
  switch (e.kind) {
    case EntryKind::noop:
    case EntryKind::command: return true;
    case EntryKind::configuration: return decode_configuration(e.data).has_value();
  }
  return false;
}

bool entries_follow(LogIndex prev_index, Term prev_term, const std::vector<Entry>& entries) {
  for (const Entry& e : entries) {
    if (prev_index.v == std::numeric_limits<int64_t>::max()) return false;
    ++prev_index;
    if (e.index != prev_index || e.term < prev_term || !known_kind(e)) return false;
    prev_term = e.term;
  }
  return true;
}

struct WellFormed {
  Term term;
  bool operator()(const RequestVote& r) const { return r.last_index.v >= 0 && r.last_term.v >= 0 && r.last_term <= term; }
  bool operator()(const RequestVoteReply&) const { return true; }
  bool operator()(const AppendEntries& r) const {
    Term last_term = r.entries.empty() ? r.prev_term : r.entries.back().term;
    return r.prev_index.v >= 0 && r.prev_term.v >= 0 && r.commit.v >= 0 && last_term <= term &&
           entries_follow(r.prev_index, r.prev_term, r.entries);
  }
  bool operator()(const AppendEntriesReply& r) const {
    return r.match.v >= 0 && r.rejected.v >= 0 && r.conflict_index.v >= 0 && r.conflict_term.v >= 0;
  }
  bool operator()(const InstallSnapshot& r) const {
    return r.snapshot.index.v > 0 && r.snapshot.term.v > 0 && r.snapshot.term <= term && well_formed(r.snapshot.configuration);
  }
  bool operator()(const InstallSnapshotReply& r) const { return r.match.v >= 0; }
  bool operator()(const TimeoutNow&) const { return true; }
  bool operator()(const Distrust& d) const { return d.counted.v >= 0; }
};

struct Describe {
  std::string operator()(const RequestVote& r) const {
    return fmt::format("{} last={}/{}{}", r.pre_vote ? "PreVote" : "RequestVote", r.last_index, r.last_term, r.transfer ? " transfer" : "");
  }
  std::string operator()(const RequestVoteReply& r) const {
    return fmt::format("{} {}", r.pre_vote ? "PreVoteReply" : "RequestVoteReply", r.granted ? "granted" : "refused");
  }
  std::string operator()(const AppendEntries& r) const {
    return fmt::format("AppendEntries prev={}/{} +{} commit={}", r.prev_index, r.prev_term, r.entries.size(), r.commit);
  }
  std::string operator()(const AppendEntriesReply& r) const {
    if (r.success) return fmt::format("AppendEntriesReply match={}", r.match);
    return fmt::format("AppendEntriesReply refused={} conflict={}/{}", r.rejected, r.conflict_index, r.conflict_term);
  }
  std::string operator()(const InstallSnapshot& r) const {
    return fmt::format("InstallSnapshot {}/{} {}B commit={}", r.snapshot.index, r.snapshot.term, r.snapshot.data.size(), r.commit);
  }
  std::string operator()(const InstallSnapshotReply& r) const { return fmt::format("InstallSnapshotReply match={}", r.match); }
  std::string operator()(const TimeoutNow&) const { return "TimeoutNow"; }
  std::string operator()(const Distrust& d) const { return fmt::format("Distrust counted={}", d.counted); }
};

}  // namespace

bool well_formed(const Message& message) { return message.term.v >= 0 && std::visit(WellFormed{message.term}, message.body); }

std::string to_string(const Message& message) {
  return fmt::format("{}->{} t{} {}", message.from, message.to, message.term, std::visit(Describe{}, message.body));
}

}  // namespace sg::raft
