// The operator's word for the only voter of a cluster: what is refused, what is kept, and that Raft goes on with it.
#include "broker/accept_damage.h"

#include <doctest/doctest.h>

#include "tests/broker/raft_on_disk.h"

using namespace sg;
using namespace sg::broker;
using wal::test::MemoryDisk;
using wal::test::Session;
using wal::test::World;

namespace {

constexpr NodeId kSelf{1};  // of the journals in tests/wal/world.h
constexpr StreamId kKept{16}, kForgotten{17};

raft::Entry record(int64_t index, const metadata::Record& r) {
  return {Term(1), LogIndex(index), raft::EntryKind::command, SharedBytes::copy_of(metadata::encode(r))};
}

metadata::CreateTopic topic(const std::string& name, uint64_t id) { return {name, Uuid{7, id}, {{kSelf}}, 1, {}}; }

// What a cluster of these voters has written down: its first configuration, a broker, two topics; records in both of them, of epoch 5.
struct Written {
  explicit Written(std::vector<NodeId> voters = {kSelf}, std::vector<NodeId> brokers = {kSelf}) {
    world.run([&](Task& task) {
      wal::Options options = wal::test::small_options();
      options.first_segment_bytes = options.segment_bytes = 64 * 4096;  // one segment, without an index
      Session run(task, *wal::test::open(task, disk, options));
      wal::Journal& j = run.journal();
      raft::Configuration c;
      for (NodeId node : voters) c.voters.push_back({node, node == kSelf ? j.voter() : VoterId(9)});
      j.set_hard_state({Term(1), kSelf, j.voter()});
      j.advance_start(wal::kRaftLog, 1);
      j.append(to_append({Term(1), LogIndex(1), raft::EntryKind::configuration, raft::encode(c)}));
      int64_t index = 1;
      for (NodeId node : brokers) {
        metadata::RegisterBroker b;
        b.node = node;
        b.run = {Uuid{1, static_cast<uint64_t>(node.v)}, Incarnation(1), 1};
        const BrokerEpoch epoch(++index);
        j.append(to_append(record(epoch.v, b)));
        j.append(to_append(record(++index, metadata::UnfenceBroker{node, epoch})));
      }
      j.append(to_append(record(++index, topic("kept", 1))));
      kept_to = index;
      const raft::Entry made = record(index + 1, topic("forgotten", 2));
      last = made.data;
      REQUIRE(run.durable({j.append(to_append(made)), 0}));
      for (StreamId stream : {kKept, kForgotten}) REQUIRE(run.durable({0, j.append(wal::test::make(stream, 0, 3, 5, 100))}));
      REQUIRE(run.close());
    });
  }
  // A bit of the last entry.
  void spoil() { broker::test::spoil(disk, last.span()); }
  Result<AcceptedDamage> accept() {
    Result<AcceptedDamage> out;
    world.run([&](Task& task) {
      auto opened = wal::test::open(task, disk);
      REQUIRE(opened);
      out = accept_damage(task, *opened, kSelf);
    });
    return out;
  }
  raft::Recovered start() {
    raft::Recovered out;
    world.run([&](Task& task) {
      auto opened = wal::test::open(task, disk);
      REQUIRE(opened);
      voter = opened->voter;
      auto recovered = broker::test::recover_raft(task, *opened, true);
      REQUIRE(recovered);
      out = std::move(*recovered);
    });
    return out;
  }
  World world;
  MemoryDisk disk;
  int64_t kept_to = 0;
  SharedBytes last;
  VoterId voter;
};

}  // namespace

TEST_CASE("given damage in the only voter's log, when it is accepted, then Raft goes on before it, in another history, and may lead") {
  Written w;
  w.spoil();
  CHECK_FALSE(w.start().may_lead);
  const VoterId before = w.voter;
  auto accepted = w.accept();
  REQUIRE(accepted);
  CHECK(accepted->kept_to == LogIndex(w.kept_to));
  CHECK(accepted->lost_to == LogIndex(w.kept_to + 1));
  CHECK(accepted->topics == std::vector<std::string>{"kept"});
  CHECK(accepted->unnamed == std::vector{kForgotten});
  CHECK_FALSE(accepted->partitions_suspect);

  for (int start = 0; start < 2; ++start) {
    const raft::Recovered found = w.start();
    CHECK(found.may_lead);
    CHECK(w.voter == before);
    CHECK(found.term == Term(2));
    CHECK(found.entries.size() == static_cast<size_t>(w.kept_to) + 2);
    const raft::Configuration c = raft::newest_configuration(found);
    CHECK((c.voters == std::vector{raft::Voter{kSelf, before}}));
    CHECK(c.lineage != 0);
    auto catalogue = catalogue_of(found);
    REQUIRE(catalogue);
    CHECK(catalogue->partition(kKept)->leader_epoch == LeaderEpoch(6));
    CHECK(catalogue->partition(kForgotten) == nullptr);
    CHECK(catalogue->next_stream() == kForgotten + 1);
  }
  CHECK(w.accept().is(Errc::invalid));  // nothing is left to accept
}

TEST_CASE(
    "given a lost stretch of the journal that nobody can attribute, when it is accepted, then the voter leads; partitions stay damaged") {
  Written w;
  // Both headers of a commit that holds records only.
  const ByteVec lost = wal::test::content(kKept, 0, 5, 100);
  int spoiled = 0;
  for (auto& [path, inode] : w.disk.names) {
    auto at = std::search(inode->now.begin(), inode->now.end(), lost.begin(), lost.end());
    if (at == inode->now.end()) continue;
    const auto block = static_cast<size_t>(at - inode->now.begin()) / 4096 * 4096;
    inode->now[block + 40] ^= 1;
    inode->now[block + 4096 - 60] ^= 1;
    ++spoiled;
  }
  REQUIRE(spoiled == 1);
  CHECK_FALSE(w.start().may_lead);
  auto accepted = w.accept();
  REQUIRE(accepted);
  CHECK(accepted->lost_to == accepted->kept_to);
  CHECK(accepted->end_unknown);
  CHECK(accepted->partitions_suspect);
  CHECK(w.start().may_lead);
  w.world.run([&](Task& task) {
    auto opened = wal::test::open(task, w.disk);
    CHECK(opened->unattributed_damage);
    CHECK(opened->journal->damaged(kForgotten));
  });
}

TEST_CASE("given no damage, other voters, or other brokers, when it is to be accepted, then it is refused, and nothing is changed") {
  auto refusal = [](Written& w) {
    auto accepted = w.accept();
    REQUIRE(accepted.is(Errc::invalid));
    return accepted.error().what;
  };
  Written whole;
  CHECK(refusal(whole).find("there is nothing to accept") != std::string::npos);
  CHECK(whole.start().entries.size() == static_cast<size_t>(whole.kept_to) + 1);

  Written several({NodeId(1), NodeId(2), NodeId(3)});
  several.spoil();
  CHECK(refusal(several).find("has the nodes 2,3 as well") != std::string::npos);

  Written known({NodeId(1)}, {NodeId(1), NodeId(4)});
  known.spoil();
  CHECK(refusal(known).find("has the nodes 4 as well") != std::string::npos);
  CHECK_FALSE(known.start().may_lead);
}

TEST_CASE("given a log whose snapshot is gone, when that is to be accepted, then it is refused: nothing is left to go on from") {
  Written w;
  w.world.run([&](Task& task) {
    Session run(task, *wal::test::open(task, w.disk));
    REQUIRE(run.durable({run.journal().advance_start(wal::kRaftLog, 3), 0}));
    REQUIRE(run.close());
  });
  auto accepted = w.accept();
  REQUIRE(accepted.is(Errc::invalid));
  CHECK(accepted.error().what.find("nothing of this directory's metadata is left to go on from") != std::string::npos);
}
