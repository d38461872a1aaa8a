// The durability ledger: each kind of loss is flagged, and its clean neighbour passes.
#include <doctest/doctest.h>

#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;

namespace {

struct Fixture {
  Bench bench;
  FakeJournal& journal = bench.node(1);
  Ledger& ledger = bench.ledger(1);
  Fixture() { journal.commit({entry(kOrders, 0, 2, 1), entry(kOrders, 2, 3, 1)}); }
  void crash(sim::Death death = sim::Death::power_cut) { ledger.died(death); }
};

}  // namespace

TEST_CASE("what is written counts as durable once the disk would keep it") {
  Fixture f;
  CHECK(f.ledger.durable_end(kOrders) == 3);
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 5, 1)});
  CHECK(f.ledger.durable_end(kOrders) == 3);
  f.journal.disk.syncs = true;
  f.ledger.synced();
  CHECK(f.ledger.durable_end(kOrders) == 5);
  CHECK(f.bench.found() == "");
}

TEST_CASE("a restart that goes on behind the last durable commit passes") {
  Fixture f;
  f.crash();
  f.journal.open();
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  CHECK(f.bench.found() == "");
}

TEST_CASE("a restart that loses a durable commit is E21") {
  Fixture f;
  wal::ChainEnd before = f.journal.end;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.crash();
  f.journal.open(before);
  CHECK(f.bench.found() == "E21");
}

TEST_CASE("after a wipe nothing is expected until the node registers again") {
  Fixture f;
  f.crash(sim::Death::wipe);
  f.journal.generation = 0;
  f.journal.open(wal::ChainEnd{});
  CHECK(f.bench.found() == "");
  CHECK(f.ledger.damaged());
}

TEST_CASE("a commit that the cut left whole may be accepted or lost, until it was promised") {
  for (bool accepted : {true, false}) {
    Fixture f;
    wal::ChainEnd before = f.journal.end;
    f.journal.disk.syncs = false;
    f.journal.commit({entry(kOrders, 3, 4, 1)});
    wal::ChainEnd after = f.journal.end;
    f.crash();
    f.journal.disk.syncs = true;
    f.journal.open(accepted ? after : before);
    CHECK(f.bench.found() == "");
    CHECK(f.ledger.durable_end(kOrders) == (accepted ? 4 : 3));
  }
}

TEST_CASE("a commit is accepted whose bytes the cut has torn: E22") {
  Fixture f;
  f.journal.disk.syncs = false;
  std::string path = f.journal.path();
  uint64_t at = f.journal.position;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.crash();
  f.journal.disk.put(path, at, ByteVec(512));
  f.journal.open();
  CHECK(f.bench.found() == "E22");
}

TEST_CASE("a commit is accepted of whose two headers the cut has left one") {
  Fixture f;
  f.journal.disk.syncs = false;
  std::string path = f.journal.path();
  uint64_t at = f.journal.position;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.crash();
  f.journal.disk.put(path, at, ByteVec(16));
  f.journal.disk.syncs = true;
  f.journal.open();
  CHECK(f.bench.found() == "");
}

TEST_CASE("a commit comes back that an earlier recovery had cut: E22") {
  Fixture f;
  wal::ChainEnd before = f.journal.end;
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  wal::ChainEnd cut = f.journal.end;
  f.crash();
  f.journal.disk.syncs = true;
  f.journal.open(before);
  CHECK(f.bench.found() == "");
  f.crash();
  f.journal.open(cut);
  CHECK(f.bench.found() == "E22");
}

TEST_CASE("what recovery accepted must be durable before a new segment vouches for it: E24") {
  Fixture f;
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.crash(sim::Death::kill);
  f.journal.open();
  CHECK(f.bench.found() == "E24");
}

TEST_CASE("appending to the old segment after a crash is E21; after an orderly stop nothing is lost by a new one") {
  Fixture f;
  f.crash(sim::Death::kill);
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  CHECK(f.bench.found() == "E21");
}

TEST_CASE("a synced block is written again: E21; once the floor has passed its segment it may be") {
  for (bool recycled : {true, false}) {
    Fixture f;
    std::string old = f.journal.path();
    f.journal.open();
    f.journal.floor = recycled ? 2 : 1;
    f.journal.commit({truncation(kOrders, 0)});
    f.journal.write(old, wal::kBlockBytes, ByteVec(wal::kBlockBytes));
    CHECK(f.bench.found() == (recycled ? "" : "E21"));
  }
}

TEST_CASE("the floor passes a segment with a live entry: E21") {
  Fixture f;
  f.journal.open();
  f.journal.floor = 2;
  f.journal.commit({});
  CHECK(f.bench.found() == "E21");
}

TEST_CASE("a log that is appended to below its end has lost entries: E21; above it, believes in too many: E22") {
  const std::pair<int64_t, std::string> cases[] = {{2, "E21"}, {3, ""}, {4, "E22"}};
  for (const auto& [first, verdict] : cases) {
    Fixture f;
    f.journal.commit({entry(kOrders, first, first + 1, 1)});
    CHECK(f.bench.found() == verdict);
  }
}

TEST_CASE("after a truncation the log goes on where it was cut") {
  Fixture f;
  f.journal.commit({truncation(kOrders, 2), entry(kOrders, 2, 6, 2)});
  CHECK(f.bench.found() == "");
  CHECK(f.ledger.durable_end(kOrders) == 6);
}

TEST_CASE("an entry whose checksum its bytes do not have is E21") {
  Fixture f;
  Item bad = entry(kOrders, 3, 4, 1);
  bad.payload[0] ^= 1;
  f.journal.commit({bad});
  CHECK(f.bench.found() == "E21");
}

TEST_CASE("a term or a vote that goes back is E2") {
  struct Case {
    wal::HardState before, after;
    std::string verdict;
  };
  const Case cases[] = {
      {{Term(3), NodeId(1)}, {Term(2), NodeId(1)}, "E2"}, {{Term(3), NodeId(1)}, {Term(3), NodeId(2)}, "E2"},
      {{Term(3), NodeId(1)}, {Term(3), kNoNode}, "E2"},   {{Term(3), kNoNode}, {Term(3), NodeId(2)}, ""},
      {{Term(3), NodeId(1)}, {Term(4), NodeId(2)}, ""},
  };
  for (const Case& c : cases) {
    Fixture f;
    f.journal.hard = c.before;
    f.journal.commit({});
    f.journal.hard = c.after;
    f.journal.commit({});
    CHECK(f.bench.found() == c.verdict);
  }
}

TEST_CASE("two logs have equal chains exactly as far as they are equal") {
  Fixture f;
  FakeJournal& other = f.bench.node(2);
  other.commit({entry(kOrders, 0, 2, 1), entry(kOrders, 2, 3, 2)});
  CHECK(f.ledger.chain_at(kOrders, 2) == f.bench.ledger(2).chain_at(kOrders, 2));
  CHECK(f.ledger.chain_at(kOrders, 3) != f.bench.ledger(2).chain_at(kOrders, 3));
  CHECK_FALSE(f.ledger.chain_at(kOrders, 1).has_value());
}

// --- Told twice (pairs.h) --------------------------------------------------------------------------------------------------------

namespace {

const AddPairs kLedgerPairs({
    {"E21", "a restart goes on without a durable commit",
     [](bool broken) {
       Fixture f;
       const wal::ChainEnd before = f.journal.end;
       f.journal.disk.syncs = broken;  // else the power cut may take it
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       f.crash();
       f.journal.disk.syncs = true;
       f.journal.open(before);
       return f.bench.all_found();
     }},
    {"E21", "a stream that lies wholly in a file that is gone is in nobody's list",
     [](bool broken) {
       Fixture f;
       const wal::ChainEnd before = f.journal.end;
       f.journal.open();
       const std::string lost = f.journal.path();
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       f.journal.commit({entry(StreamId{17}, 0, 1, 1)});
       f.crash(sim::Death::kill);
       f.ledger.file_lost(lost);
       f.journal.open(before);
       const std::vector<StreamId> named = {kOrders};
       f.ledger.registered(Incarnation(1), broken, named);
       return f.bench.all_found();
     }},
    {"E21", "a block that holds a synced commit is written again",
     [](bool broken) {
       Fixture f;
       const std::string old = f.journal.path();
       f.journal.open();
       f.journal.floor = broken ? 1 : 2;
       f.journal.commit({truncation(kOrders, 0)});
       f.journal.write(old, wal::kBlockBytes, ByteVec(wal::kBlockBytes));
       return f.bench.all_found();
     }},
    {"E21", "a file is recycled that only a commit has freed which the power cut has taken",
     [](bool broken) {
       Fixture f;
       const std::string old = f.journal.path();
       f.journal.open();
       const wal::ChainEnd before = f.journal.end;
       f.journal.disk.syncs = false;
       f.journal.floor = 2;
       f.journal.commit({truncation(kOrders, 0)});
       const wal::ChainEnd after = f.journal.end;
       f.crash();
       f.journal.disk.syncs = true;
       f.journal.open_in(old, broken ? before : after);
       return f.bench.all_found();
     }},
    {"E21", "the floor passes a segment with a live entry",
     [](bool broken) {
       Fixture f;
       f.journal.open();
       if (!broken) f.journal.commit({truncation(kOrders, 0)});
       f.journal.floor = 2;
       f.journal.commit({});
       return f.bench.all_found();
     }},
    {"E21", "the old segment is appended to after a crash",
     [](bool broken) {
       Fixture f;
       f.crash(sim::Death::kill);
       if (!broken) f.journal.open();
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       return f.bench.all_found();
     }},
    {"E21", "an entry is written with a checksum that its bytes do not have",
     [](bool broken) {
       Fixture f;
       Item item = entry(kOrders, 3, 4, 1);
       if (broken) item.payload[0] ^= 1;
       f.journal.commit({item});
       return f.bench.all_found();
     }},
    {"E22", "a commit comes back that an earlier recovery had cut",
     [](bool broken) {
       Fixture f;
       const wal::ChainEnd before = f.journal.end;
       f.journal.disk.syncs = false;
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       const wal::ChainEnd cut = f.journal.end;
       f.crash();
       f.journal.disk.syncs = true;
       f.journal.open(before);
       f.crash();
       f.journal.open(broken ? cut : before);
       return f.bench.all_found();
     }},
    {"E22", "a node appends as if it held more than was ever written",
     [](bool broken) {
       Fixture f;
       f.journal.commit({entry(kOrders, broken ? 4 : 3, 5, 1)});
       return f.bench.all_found();
     }},
    {"E23", "an acknowledgement leaves after a sync has failed",
     [](bool broken) {
       Fixture f;
       f.bench.make_topic(2);
       if (broken) f.ledger.failed("a sync of journal/1.seg");
       f.bench.partitions.on_ack(NodeId(1), {kOrders, f.bench.leader_epoch(), BrokerEpoch(1), 1, Offset(3)});
       return f.bench.all_found();
     }},
    {"E23", "a vote leaves after a write has failed, in the same process",
     [](bool broken) {
       Fixture f;
       f.bench.set_term(1, 2, 2);
       f.ledger.failed("a write of journal/1.seg");
       if (!broken) {
         f.crash(sim::Death::exit);
         f.journal.open();
       }
       f.bench.say(1, 2, 2, raft::RequestVoteReply{false, true});
       return f.bench.all_found();
     }},
    {"E23", "a produce is answered after a write has failed",
     [](bool broken) {
       Fixture f;
       f.bench.make_topic(2);
       if (broken) f.ledger.failed("a write of journal/1.seg");
       f.bench.partitions.on_produced(NodeId(1), f.bench.produced(2, 3, 1));
       return f.bench.all_found();
     }},
    {"E21", "a broker has told of damage, and does not tell of it again when it restarts",
     [](bool broken) {
       Fixture f;
       f.bench.make_topic(2);
       const BrokerEpoch epoch = f.bench.ghost.catalogue.broker(NodeId(1))->epoch;
       f.bench.record(metadata::ReportDamage{NodeId(1), epoch, {kOrders}});
       metadata::RegisterBroker again;
       again.node = NodeId(1);
       again.run = sg::test::nth_run(2);
       if (!broken) again.damaged = {kOrders};
       f.bench.record(again);
       return f.bench.all_found();
     }},
    {"E21", "a directory that had damage nobody could attribute comes back clean",
     [](bool broken) {
       Fixture f;
       f.bench.make_topic(2);
       metadata::RegisterBroker again;
       again.node = NodeId(2);
       again.run = sg::test::nth_run(2, 2);
       again.clean = false;
       f.bench.record(again);
       again.run = sg::test::nth_run(3, 2);
       again.clean = broken;
       f.bench.record(again);
       return f.bench.all_found();
     }},
    {"E21", "the file of a segment with promised commits is gone, and the node does not say so",
     [](bool broken) {
       Fixture f;
       f.bench.make_topic(2);
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       f.crash(sim::Death::kill);
       f.ledger.file_lost("journal/1.seg");
       f.journal.open(wal::ChainEnd{});
       metadata::RegisterBroker again;
       again.node = NodeId(1);
       again.run = sg::test::nth_run(2);
       again.clean = broken;
       f.bench.record(again);
       return f.bench.all_found();
     }},
    {"E24", "a new segment vouches for a commit that would not survive a power cut",
     [](bool broken) {
       Fixture f;
       f.journal.disk.syncs = false;
       f.journal.commit({entry(kOrders, 3, 4, 1)});
       f.crash(sim::Death::kill);
       f.journal.disk.syncs = !broken;
       f.journal.open();
       return f.bench.all_found();
     }},
});

}  // namespace

TEST_CASE("a flipped bit in the last commit may cost it; in an earlier one the node has to report what it lost") {
  for (bool last : {true, false}) {
    for (bool reported : {true, false}) {
      Fixture f;
      wal::ChainEnd before = f.journal.end;
      std::string path = f.journal.path();
      uint64_t at = f.journal.position;
      f.journal.commit({entry(kOrders, 3, 4, 1)});
      if (!last) f.journal.commit({entry(kOrders, 4, 5, 1)});
      f.ledger.flipped(path, at + 10);
      f.crash(sim::Death::kill);
      f.journal.open(before);
      CHECK(f.bench.found() == "");
      CHECK(f.ledger.damaged());
      f.ledger.registered(Incarnation(1), !reported);
      CHECK(f.bench.found() == (last || reported ? "" : "E21"));
    }
  }
}

TEST_CASE("what recovery has cut of damage may be written over") {
  for (bool hit : {true, false}) {
    Fixture f;
    const wal::ChainEnd before = f.journal.end;
    const std::string path = f.journal.path();
    const uint64_t at = f.journal.position;
    f.journal.commit({entry(kOrders, 3, 4, 1)});
    if (hit) f.ledger.spoiled(path, at + 10);
    f.crash(sim::Death::kill);
    if (hit) f.journal.open(before);
    f.ledger.write(1000, path, at, ByteVec(wal::kBlockBytes));
    CHECK(f.bench.found() == (hit ? "" : "E21"));
  }
}

TEST_CASE("whoever goes on as another voter may have lost the end of Raft's log, once, and of no other log") {
  for (bool outlived : {true, false}) {
    Fixture f;
    f.journal.commit({raft_entry(1, 1)});
    f.journal.commit({raft_entry(2, 1)});
    f.bench.reports.clear();
    if (outlived) f.ledger.outlived();
    f.journal.commit({raft_entry(2, 2)});
    CHECK(f.bench.found() == (outlived ? "" : "E21"));
    f.bench.reports.clear();
    f.journal.commit({raft_entry(2, 3)});
    CHECK(f.bench.found() == "E21");
  }
}

TEST_CASE("whoever goes on as another voter may have lost what it said when its cluster was formed, once") {
  for (bool outlived : {true, false}) {
    Fixture f;
    f.journal.commit({entry(wal::kRaftFormation, 0, 1, 0)});
    f.journal.commit({entry(wal::kRaftFormation, 1, 2, 0)});
    f.bench.reports.clear();
    if (outlived) f.ledger.outlived();
    f.journal.commit({entry(wal::kRaftFormation, 0, 1, 0)});
    CHECK(f.bench.found() == (outlived ? "" : "E21"));
    f.bench.reports.clear();
    f.journal.commit({entry(wal::kRaftFormation, 0, 1, 0)});
    CHECK(f.bench.found() == "E21");
  }
}

TEST_CASE("a segment that nobody can tell any more may be written again only where nothing was promised in it") {
  for (int commits : {1, 2}) {
    for (bool unreadable : {true, false}) {
      Fixture f;
      f.journal.open();
      const std::string path = f.journal.path();
      for (int i = 0; i < commits; ++i) f.journal.commit({entry(kOrders, 3 + i, 4 + i, 1)});
      if (unreadable) f.ledger.spoiled(path, 600);
      f.crash(sim::Death::kill);
      f.ledger.write(1000, path, 0, ByteVec(wal::kBlockBytes));
      CHECK(f.bench.found() == (unreadable && commits == 1 ? "" : "E21"));
    }
  }
}

TEST_CASE("given a file that is gone with what was on its way to it, then nobody takes that for written") {
  Fixture f;
  const wal::ChainEnd before = f.journal.end;
  f.journal.open();
  const std::string lost = f.journal.path();
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 5, 1)});
  f.crash(sim::Death::kill);
  f.ledger.file_lost(lost);
  f.journal.disk.syncs = true;
  f.journal.open(before);
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  CHECK(f.bench.found() == "");
  CHECK_FALSE(f.ledger.damaged());
}

TEST_CASE("given a lost file, then a stream that begins after the loss is held to what it promises") {
  Fixture f;
  const std::string lost = f.journal.path();
  f.journal.open();
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.crash();
  f.ledger.file_lost(lost);
  f.journal.open();
  f.ledger.registered(Incarnation(1), false);
  constexpr StreamId kLate{30};
  f.journal.commit({entry(kLate, 0, 2, 1)});
  CHECK(f.ledger.damaged());
  CHECK(f.ledger.damaged(kOrders));
  CHECK(f.ledger.damaged(StreamId{31}));
  CHECK_FALSE(f.ledger.damaged(kLate));
}

TEST_CASE("given a lost file, then the registration of the run that died before, committed late, says nothing of it") {
  Fixture f;
  f.journal.open();
  const std::string lost = f.journal.path();
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  f.journal.commit({entry(kOrders, 4, 5, 1)});
  f.ledger.runs_as(Incarnation(7));
  f.crash();
  f.ledger.file_lost(lost);
  f.ledger.registered(Incarnation(7));
  CHECK(f.bench.found() == "");
  f.ledger.runs_as(Incarnation(8));
  f.journal.open();
  f.ledger.registered(Incarnation(8));
  CHECK(f.bench.found() == "E21");
}

TEST_CASE("given a disk that is put back to an older copy, then the ledger says what the copy holds, and nobody holds the node to more") {
  Fixture f;
  const Ledger copy = f.ledger;
  const wal::ChainEnd then = f.journal.end;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  CHECK(f.ledger.durable_end(kOrders) == 4);
  f.crash();
  f.ledger.becomes(copy);
  CHECK(f.ledger.durable_end(kOrders) == 3);
  CHECK(f.ledger.damaged());
  f.journal.open(then);
  CHECK(f.bench.found() == "");
  f.ledger.registered(Incarnation(1));
  f.journal.commit({entry(kOrders, 3, 5, 1)});
  CHECK(f.bench.found() == "");
  CHECK(f.ledger.durable_end(kOrders) == 5);
}

TEST_CASE("given a copy of another machine's disk, then it is this machine's from then on, and the other one's ledger stays as it is") {
  Fixture f;
  FakeJournal twin(kFirstSpare, f.bench.judge, f.bench);
  twin.ledger->becomes(f.ledger);
  CHECK(twin.ledger->node() == kFirstSpare);
  CHECK(twin.ledger->directory().is_zero());  // until a process takes it for its own
  CHECK(twin.ledger->durable_end(kOrders) == 3);
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  CHECK(twin.ledger->durable_end(kOrders) == 3);
}

TEST_CASE("given a copy that was made while a write was on its way, then the copy does not have it, and need not") {
  Fixture f;
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 4, 1)});  // written, not yet synced: a copy has it
  const wal::ChainEnd with = f.journal.end;
  const Ledger copy = f.ledger;
  f.crash();
  f.journal.disk.syncs = true;
  f.ledger.becomes(copy);
  CHECK(f.ledger.durable_end(kOrders) == 4);
  f.journal.open(with);
  CHECK(f.bench.found() == "");
}

TEST_CASE("given a disk that was away for a run, then its ledger is what it was, and what recovery may make of it too") {
  Fixture f;
  f.journal.disk.syncs = false;
  f.journal.commit({entry(kOrders, 3, 4, 1)});
  const wal::ChainEnd end = f.journal.end;
  f.crash();
  const Ledger own = f.ledger;
  f.ledger.died(sim::Death::wipe);
  CHECK(f.ledger.durable_end(kOrders) == 0);
  CHECK(f.ledger.directory().is_zero());
  f.journal.disk.syncs = true;
  f.ledger.is_back(own);
  CHECK(f.ledger.durable_end(kOrders) == 3);
  f.journal.open(end);  // what was being written when the power went is there after all
  CHECK(f.bench.found() == "");
  CHECK(f.ledger.durable_end(kOrders) == 4);
}

TEST_CASE("Raft's own streams are dropped from a damaged journal only") {
  for (bool damaged : {true, false}) {
    Fixture f;
    f.journal.commit({fact(wal::RecordKind::advance_start, wal::kRaftLog, 1)});
    f.journal.commit({raft_entry(1, 1)});
    if (damaged) f.ledger.flipped(f.journal.path(), 5000);
    f.journal.commit({fact(wal::RecordKind::drop, wal::kRaftLog, 0)});
    CHECK(f.bench.found() == (damaged ? "" : "E21"));
  }
}
