// One Raft node whose peers are the test: it hands in messages, decides when the disk is done, and looks at what comes out. The node is
// number 1; the voter id of node n is n, unless a test says otherwise; the invariants are checked after every event.
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

inline Voter voter(int node) { return {NodeId(node), VoterId(static_cast<uint64_t>(node))}; }
inline Voter voter(int node, uint64_t id) { return {NodeId(node), VoterId(id)}; }

inline Configuration voters_to(int last, int first = 1) {
  Configuration c;
  for (int i = first; i <= last; ++i) c.voters.push_back(voter(i));
  return c;
}
inline Entry configured(int64_t term, int64_t index, const Configuration& c) {
  return {Term(term), LogIndex(index), EntryKind::configuration, encode(c)};
}

inline Config config_of_node_1() {
  Config c;
  c.self = NodeId(1);
  c.voter = VoterId(1);
  c.run = sg::test::nth_run(10);
  return c;
}

inline Recovered found(int64_t term, Voter vote = kNoVoter, std::vector<Entry> entries = {}) {
  Recovered r;
  r.term = Term(term);
  r.vote = vote;
  r.entries = std::move(entries);
  return r;
}

class Solo {
 public:
  explicit Solo(Recovered recovered, const Config& config = config_of_node_1()) : raft(config, recovered, Rng(1)), invariants_(recovered) {
    take(raft.start(now));
  }
  // Of a cluster of the nodes 1 to `voters`.
  explicit Solo(int voters, Recovered recovered = {}) : Solo(with(voters_to(voters), std::move(recovered))) {}

  // A log that begins behind this configuration.
  static Recovered with(Configuration configuration, Recovered recovered = {}) {
    if (!recovered.snapshot) recovered.snapshot.emplace();
    if (!recovered.snapshot->configuration.known()) recovered.snapshot->configuration = std::move(configuration);
    return recovered;
  }

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
  std::vector<std::string> receive(Voter from, int64_t term, MessageBody body, Run run = sg::test::nth_run(1)) {
    return take(raft.receive(now, {from.node, NodeId(1), from.id, run, sg::test::nth_run(10), Term(term), std::move(body)}));
  }
  std::vector<std::string> receive(int from, int64_t term, MessageBody body, uint64_t run = 1) {
    return receive(voter(from), term, std::move(body), sg::test::nth_run(run));
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
  std::vector<std::string> acknowledge(Voter from, int64_t match, Run run = sg::test::nth_run(1)) {
    AppendEntriesReply r;
    r.success = true;
    r.match = LogIndex(match);
    return receive(from, raft.term().v, r, run);
  }
  std::vector<std::string> acknowledge(int from, int64_t match) { return acknowledge(voter(from), match); }

  Raft raft;
  Time now;
  Output last;

 private:
  Invariants invariants_;
};

using Texts = std::vector<std::string>;

}  // namespace sg::raft::test
