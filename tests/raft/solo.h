// One Raft node whose peers are the test: it hands in messages, decides when the disk is done, and looks at what comes out. The node is
// number 1; the invariants are checked after every event.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "broker/raft/invariants.h"
#include "broker/raft/raft.h"
#include "tests/base/nth_run.h"

namespace sg::raft::test {

inline SharedBytes bytes_of(std::string_view text) { return SharedBytes::copy_of(as_bytes(text)); }
inline Entry command(int64_t term, int64_t index, std::string_view data = "x") {
  return {Term(term), LogIndex(index), EntryKind::command, bytes_of(data)};
}

inline Config config_of(int voters) {
  Config c;
  c.self = NodeId(1);
  c.run = sg::test::nth_run(10);
  for (int i = 1; i <= voters; ++i) c.voters.push_back(NodeId(i));
  return c;
}

class Solo {
 public:
  explicit Solo(Config config, Recovered recovered = {}) : raft(config, recovered, Rng(1)), invariants_(recovered) {
    take(raft.start(now));
  }
  explicit Solo(int voters, Recovered recovered = {}) : Solo(config_of(voters), std::move(recovered)) {}

  // Each event returns the texts of the messages that it sent.
  std::vector<std::string> take(Output output) {
    Result<> holds = invariants_.check(raft, output);
    std::string broken = holds ? "" : holds.error().what;
    CHECK(broken == "");
    std::vector<std::string> texts;
    for (const Message& m : output.messages) texts.push_back(to_string(m));
    last = std::move(output);
    return texts;
  }
  std::vector<std::string> receive(int from, int64_t term, MessageBody body, uint64_t run = 1) {
    return take(raft.receive(now, {NodeId(from), NodeId(1), sg::test::nth_run(run), sg::test::nth_run(10), Term(term), std::move(body)}));
  }
  std::vector<std::string> disk_done() { return take(raft.durable(now, raft.last_sequence())); }
  std::vector<std::string> tick_at_deadline() {
    now = raft.deadline();
    return take(raft.tick(now));
  }
  std::vector<std::string> propose(std::string_view data) {
    SharedBytes bytes = bytes_of(data);
    return take(raft.propose(now, {&bytes, 1}));
  }
  void pass(Duration d) { now = now + d; }

  // Elects the node in its next term, with node 2's vote and a quick disk.
  void elect() {
    tick_at_deadline();
    receive(2, raft.term().v, RequestVoteReply{true, true});
    disk_done();
    receive(2, raft.term().v, RequestVoteReply{false, true});
    REQUIRE(raft.is_leader());
  }
  void acknowledge(int from, int64_t match, bool counts = true) {
    AppendEntriesReply r;
    r.success = true;
    r.counts = counts;
    r.match = LogIndex(match);
    receive(from, raft.term().v, r);
  }

  Raft raft;
  Time now;
  Output last;

 private:
  Invariants invariants_;
};

using Texts = std::vector<std::string>;

}  // namespace sg::raft::test
