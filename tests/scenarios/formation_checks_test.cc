// What is said and done while a cluster is formed: for each rule a story that must be flagged, and its clean neighbour.
#include "scenarios/checks/formation_checks.h"

#include <doctest/doctest.h>

#include "base/archive.h"
#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

const raft::Round kRound{3, NodeId(2)};

raft::Promise promise() { return {kRound, Uuid{0, 7}, *Bench::three_voters()}; }

struct Fixture : Bench {
  void on_append(NodeId n, StreamId stream, const LogEntry& e, ByteSpan aux, ByteSpan payload, const wal::HardState& hard) override {
    if (stream == wal::kRaftFormation) formation.on_state(n, e.first, *unpack<raft::FormationState>(payload));
    if (stream != wal::kRaftFormation) Bench::on_append(n, stream, e, aux, payload, hard);
  }
  void on_durable(NodeId n, StreamId stream) override {
    if (stream == wal::kRaftFormation) formation.on_durable(n);
  }
  // The next state of a node is written; `synced`: and durable.
  void write(int i, const raft::FormationState& state, bool synced = true) {
    node(i).disk.syncs = synced;
    node(i).commit({entry(wal::kRaftFormation, positions[i], positions[i] + 1, 0, pack(state))});
    ++positions[i];
  }
  void answer(int from, raft::Standing standing = raft::Standing::forming) {
    raft::Answer a;
    a.round = a.answered = kRound;
    a.standing = standing;
    formation.on_message(NodeId(from), a);
  }
  void promised(int from) { formation.on_message(NodeId(from), raft::Promised{kRound}); }

  FormationChecks formation{ledgers, judge};
  std::map<int, int64_t> positions;
};

const AddPairs kFormationPairs({
    {"E27", "\"not formed\" is said before it is durable",
     [](bool broken) {
       Fixture f;
       f.write(1, {kRound, {}}, !broken);
       f.answer(1);
       return f.all_found();
     }},
    {"E27", "a promise is told that the disk has in an earlier round only",
     [](bool broken) {
       Fixture f;
       f.write(1, {kRound, promise()}, !broken);
       f.promised(1);
       return f.all_found();
     }},
    {"E27", "a log begins before the last voter's promise is durable",
     [](bool broken) {
       Fixture f;
       for (int i = 1; i <= 3; ++i) f.write(i, {kRound, promise()}, !broken || i < 3);
       f.formation.on_log_begins(NodeId(1), promise().configuration);
       return f.all_found();
     }},
    {"E27", "a proposer forms its cluster after it has answered in a higher round",
     [](bool broken) {
       Fixture f;
       for (int i = 1; i <= 3; ++i) f.write(i, {kRound, promise()});
       const int proposer = kRound.proposer.v;
       if (broken) f.write(proposer, {{kRound.number + 1, NodeId(proposer % 3 + 1)}, promise()});
       f.formation.on_log_begins(kRound.proposer, promise().configuration);
       return f.all_found();
     }},
});

}  // namespace

TEST_CASE("formation: an answer in a round above what is durable is E27; \"formed\" needs no round") {
  Fixture f;
  f.answer(1, raft::Standing::formed);
  CHECK(f.found() == "");
  f.write(1, {{kRound.number - 1, NodeId(3)}, {}});
  f.answer(1);
  CHECK(f.found() == "E27");
}

TEST_CASE("formation: a promise may be told late, when a higher round was answered meanwhile") {
  Fixture f;
  f.write(1, {{kRound.number + 1, NodeId(3)}, promise()});
  f.promised(1);
  CHECK(f.found() == "");
}

TEST_CASE("formation: a founder whose disk is emptied has promised all the same; the disk that it has then has not") {
  Fixture f;
  for (int i = 1; i <= 3; ++i) f.write(i, {kRound, promise()});
  f.ledger(3).died(sim::Death::wipe);
  f.formation.emptied(NodeId(3));
  f.formation.on_log_begins(NodeId(1), promise().configuration);
  CHECK(f.found() == "");
  f.answer(3);
  CHECK(f.found() == "E27");
}

TEST_CASE("formation: who is sent the first entry by a leader has not formed anything; of an exchanged disk nothing is known") {
  Fixture f;
  raft::Promise other = promise();
  other.configuration.voters[2].id = VoterId(33);
  f.write(1, {kRound, other});
  f.formation.on_log_begins(NodeId(1), promise().configuration);
  f.formation.on_log_begins(NodeId(2), promise().configuration);
  CHECK(f.found() == "");
  f.formation.exchanged(NodeId(2));
  f.answer(2);
  CHECK(f.found() == "");
}
