// The log, majorities and messages against dumb twins.
#include "broker/raft/log.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "base/archive.h"
#include "broker/raft/quorum.h"
#include "tests/base/nth_run.h"

namespace sg::raft::test {
namespace {

Entry entry(int64_t term, int64_t index, size_t size) {
  ByteVec zeros(size);
  return {Term(term), LogIndex(index), EntryKind::command, SharedBytes::copy_of(zeros)};
}

// The twin: all entries that ever were, by plain search.
struct DumbLog {
  std::vector<Entry> all;  // [0] is the base
  LogIndex base;
  LogIndex last() const { return LogIndex(static_cast<int64_t>(all.size()) - 1); }
};

std::vector<LogIndex> indexes(const std::vector<Entry>& entries) {
  std::vector<LogIndex> out;
  for (const Entry& e : entries) out.push_back(e.index);
  return out;
}

}  // namespace

TEST_CASE("raft log: given any appends, truncations and compactions, then every question has the twin's answer") {
  CHECK(rc::check([] {
    Log log;
    DumbLog twin{{entry(0, 0, 0)}, LogIndex(0)};
    int64_t term = 1;
    int steps = *rc::gen::inRange(1, 60);
    for (int i = 0; i < steps; ++i) {
      int choice = *rc::gen::inRange(0, 10);
      if (choice == 0) {
        LogIndex from(*rc::gen::inRange(twin.base.v + 1, twin.last().v + 2));
        log.truncate(from);
        twin.all.resize(static_cast<size_t>(from.v));
        ++term;
      } else if (choice == 1) {
        LogIndex to(*rc::gen::inRange(twin.base.v, twin.last().v + 1));
        log.compact(to);
        twin.base = to;
      } else {
        if (choice == 2) ++term;
        Entry e = entry(term, twin.last().v + 1, static_cast<size_t>(*rc::gen::inRange(0, 50)));
        log.append(e);
        twin.all.push_back(e);
      }
      RC_ASSERT(log.base_index() == twin.base);
      RC_ASSERT(log.last_index() == twin.last());
      RC_ASSERT(log.last_term() == twin.all.back().term);
      for (int64_t j = -1; j <= twin.last().v + 1; ++j) {
        bool known = j >= twin.base.v && j <= twin.last().v;
        RC_ASSERT(log.term_at(LogIndex(j)) == (known ? std::optional(twin.all[static_cast<size_t>(j)].term) : std::nullopt));
        if (!known || j == twin.base.v) continue;
        int64_t first = j;
        while (first - 1 > twin.base.v && twin.all[static_cast<size_t>(first - 1)].term == twin.all[static_cast<size_t>(j)].term) --first;
        RC_ASSERT(log.first_of_term_at(LogIndex(j)) == LogIndex(first));
      }
      for (int64_t t = 0; t <= term + 1; ++t) {
        int64_t last = twin.last().v;
        while (last > twin.base.v && twin.all[static_cast<size_t>(last)].term > Term(t)) --last;
        RC_ASSERT(log.last_at_or_below_term(Term(t)) == LogIndex(last));
      }
      LogIndex from(*rc::gen::inRange(twin.base.v + 1, twin.last().v + 2));
      auto max_entries = static_cast<size_t>(*rc::gen::inRange(0, 10));
      auto max_bytes = static_cast<size_t>(*rc::gen::inRange(0, 120));
      std::vector<LogIndex> expected;
      size_t bytes = 0;
      for (LogIndex j = from; j <= twin.last() && expected.size() < max_entries; ++j) {
        bytes += twin.all[static_cast<size_t>(j.v)].data.size();
        if (!expected.empty() && bytes > max_bytes) break;
        expected.push_back(j);
      }
      RC_ASSERT(indexes(log.slice(from, max_entries, max_bytes)) == expected);
    }
  }));
}

TEST_CASE("raft log: given a slice, then no byte is copied") {
  Log log;
  Entry e = entry(1, 1, 100);
  log.append(e);
  CHECK(log.slice(LogIndex(1), 1, 1000).front().data.data() == e.data.data());
}

TEST_CASE("quorum: given any values, then a majority has reached the result, and no majority more than it") {
  CHECK(rc::check([](const std::vector<uint8_t>& values) {
    RC_PRE(!values.empty());
    uint8_t reached = majority_reached(values);
    size_t at_least = 0, above = 0;
    for (uint8_t v : values) {
      at_least += v >= reached;
      above += v > reached;
    }
    RC_ASSERT(at_least > values.size() / 2);
    RC_ASSERT(above <= values.size() / 2);
  }));
}

TEST_CASE("quorum: given any votes, then won and lost say what every way of casting the rest would say") {
  for (size_t voters = 1; voters <= 7; ++voters) {
    for (size_t granted = 0; granted <= voters; ++granted) {
      for (size_t refused = 0; granted + refused <= voters; ++refused) {
        bool can_win = false, can_lose = false;
        for (size_t more = 0; more <= voters - granted - refused; ++more) {
          (2 * (granted + more) > voters ? can_win : can_lose) = true;
        }
        VoteResult expected = can_win && can_lose ? VoteResult::pending : can_win ? VoteResult::won : VoteResult::lost;
        CHECK(vote_result(voters, granted, refused) == expected);
      }
    }
  }
}

TEST_CASE("raft messages: given each kind, when packed and unpacked, then it is the same; when cut, then it is refused") {
  AppendEntries append{LogIndex(6), Term(2), LogIndex(5), {entry(2, 7, 3), entry(3, 8, 0)}};
  AppendEntriesReply reply{true, LogIndex(1), LogIndex(2), LogIndex(3), Term(4)};
  Configuration configuration;
  configuration.voters = {{NodeId(1), VoterId(6)}, {NodeId(2), VoterId(7)}, {NodeId(3), VoterId(8)}};
  configuration.addresses[NodeId(1)] = {"host", 9192};
  InstallSnapshot install{0, true, LogIndex(9), {LogIndex(8), Term(3), configuration, entry(1, 1, 5).data}};
  std::vector<MessageBody> bodies{RequestVote{true, false, LogIndex(3), Term(1)},
                                  RequestVoteReply{false, true},
                                  append,
                                  reply,
                                  install,
                                  InstallSnapshotReply{LogIndex(8)},
                                  TimeoutNow{},
                                  Distrust{LogIndex(4)}};
  for (const MessageBody& body : bodies) {
    Message m{NodeId(1), NodeId(2), VoterId(6), sg::test::nth_run(7), sg::test::nth_run(8), Term(3), body};
    CHECK(well_formed(m));
    ByteVec packed = pack(m);
    auto back = unpack<Message>(SharedBytes::copy_of(packed));
    REQUIRE(back);
    CHECK(to_string(*back) == to_string(m));
    CHECK(pack(*back) == packed);
    for (size_t n = 0; n < packed.size(); ++n) CHECK(!unpack<Message>(ByteSpan(packed).first(n)));
    // Whatever a changed byte makes of it, reading it stays within bounds.
    for (size_t at = 0; at < packed.size(); ++at) {
      ByteVec changed = packed;
      changed[at] ^= 0xff;
      if (auto other = unpack<Message>(ByteSpan(changed))) (void)well_formed(*other);
    }
  }
}

TEST_CASE("raft messages: given entries with a gap, a falling term, a term beyond the sender's or an unknown kind, then not well formed") {
  auto append = [](std::vector<Entry> entries) {
    return Message{NodeId(1),
                   NodeId(2),
                   VoterId(6),
                   sg::test::nth_run(1),
                   {},
                   Term(5),
                   AppendEntries{LogIndex(1), Term(2), LogIndex(0), std::move(entries)}};
  };
  CHECK(well_formed(append({entry(2, 2, 1), entry(5, 3, 1)})));
  CHECK(!well_formed(append({entry(2, 3, 1)})));
  CHECK(!well_formed(append({entry(2, 2, 1), entry(2, 4, 1)})));
  CHECK(!well_formed(append({entry(1, 2, 1)})));
  CHECK(!well_formed(append({entry(6, 2, 1)})));
  Message beyond_the_last = append({entry(2, INT64_MIN, 1)});
  std::get<AppendEntries>(beyond_the_last.body).prev_index = LogIndex(INT64_MAX);
  CHECK(!well_formed(beyond_the_last));
  Message unknown = append({entry(2, 2, 1)});
  std::get<AppendEntries>(unknown.body).entries[0].kind = static_cast<EntryKind>(9);
  CHECK(!well_formed(unknown));
}

}  // namespace sg::raft::test
