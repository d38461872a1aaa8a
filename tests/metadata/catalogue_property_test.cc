// Random commands, good and bad: the invariants hold after each, replicas of the log are equal byte for byte, and a snapshot with the
// rest of the log is the whole log.
#include <rapidcheck.h>

#include "base/rng.h"
#include "tests/metadata/fixture.h"

namespace sg::metadata {
namespace {

constexpr int kNodes = 4;

// Draws records that mostly make sense for the present state, and sometimes carry an epoch or node that does not.
class Commands {
 public:
  explicit Commands(uint64_t seed) : rng_(seed) {}

  Record next(const Catalogue& c) {
    NodeId node(static_cast<int32_t>(rng_.between(1, kNodes)));
    const Broker* b = c.broker(node);
    BrokerEpoch epoch = b ? b->epoch : kNoBrokerEpoch;
    if (rng_.chance(1, 12)) epoch = epoch - 1;
    uint64_t kind = rng_.below(18);
    if (!b || kind == 0) return registration(node, b);
    if (kind <= 2) return FenceBroker{node, epoch};
    if (kind <= 6) return UnfenceBroker{node, epoch};
    if (kind == 7) return DrainBroker{node, epoch};
    if (kind == 9 && rng_.chance(1, 2)) return Healed{node, epoch, some_streams(c)};
    if (kind == 8)
      return rng_.chance(1, 4) ? Record(ReportDamage{node, epoch, some_streams(c)}) : Record(AllocateProducerIds{node, epoch, 10});
    if (kind <= 10) return create(c);
    if (kind == 11 && rng_.chance(1, 3) && !c.topics().empty()) return DeleteTopic{c.topics().begin()->second.id};
    if (kind == 12 && rng_.chance(1, 6)) return history_cut(c);
    return change_isr(c);
  }

 private:
  Record history_cut(const Catalogue& c) {
    HistoryCut r;
    r.next_stream = c.next_stream() + rng_.between(-3, 3);
    r.leader_epoch = LeaderEpoch(static_cast<int32_t>(rng_.between(0, 9)));
    return r;
  }
  Record registration(NodeId node, const Broker* known) {
    RegisterBroker r{.node = node, .run = {}, .voter = {}, .kafka = {}, .peer = {}, .rack = "", .clean = true, .damaged = {}};
    r.run = known ? known->run : sg::test::nth_run(1);
    r.run.counter = r.run.counter + static_cast<uint64_t>(rng_.between(0, 2));
    if (rng_.chance(1, 10)) ++r.run.directory.low;           // a new disk
    if (rng_.chance(1, 10)) r.run.directory = Uuid{0, 1};    // the first one is back
    if (rng_.chance(1, 20)) r.run.counter = Incarnation(1);  // as it was long ago
    if (rng_.chance(1, 20)) r.clean = false;
    if (rng_.chance(1, 10)) r.damaged = {StreamId(rng_.between(16, 24))};
    return r;
  }
  std::vector<StreamId> some_streams(const Catalogue& c) {
    std::vector<StreamId> streams;
    for (const auto& [stream, p] : c.partitions()) {
      if (rng_.chance(1, 3)) streams.push_back(stream);
    }
    return streams;
  }
  Record create(const Catalogue& c) {
    CreateTopic r{"t" + std::to_string(rng_.below(6)), Uuid{1, rng_.next()}, {}, static_cast<int32_t>(rng_.between(1, 3)), {}};
    int factor = static_cast<int>(rng_.between(1, 3));
    for (int64_t i = rng_.between(1, 3); i > 0; --i) {
      std::vector<NodeId>& replicas = r.partitions.emplace_back();
      int first = static_cast<int>(rng_.below(kNodes));
      for (int k = 0; k < factor; ++k) replicas.push_back(NodeId((first + k) % kNodes + 1));
    }
    (void)c;
    return r;
  }
  Record change_isr(const Catalogue& c) {
    if (c.partitions().empty()) return create(c);
    auto at = c.partitions().begin();
    std::advance(at, static_cast<long>(rng_.below(c.partitions().size())));
    const Partition& p = at->second;
    const Broker* leader = c.broker(p.leader);
    ChangeIsr r{p.stream, p.leader, leader ? leader->epoch : kNoBrokerEpoch, p.leader_epoch, p.partition_epoch, {}};
    if (rng_.chance(1, 15)) r.leader_epoch = r.leader_epoch - 1;
    if (rng_.chance(1, 15)) r.partition_epoch = r.partition_epoch - 1;
    for (NodeId node : p.replicas) {
      BrokerEpoch epoch = c.broker(node)->epoch;
      if (rng_.chance(1, 20)) epoch = epoch - 1;
      if (rng_.chance(4, 5)) r.isr.push_back({node, epoch});
    }
    return r;
  }
  Rng rng_;
};

TEST_CASE("given random commands, when they are applied, then the invariants hold after each and every kind of step was taken") {
  uint64_t ok[std::variant_size_v<Record>] = {};
  uint64_t refused = 0;
  uint64_t offline = 0;
  uint64_t lost = 0;
  CHECK(rc::check([&](uint64_t seed) {
    Commands commands(seed);
    Replayed r;
    for (int i = 0; i < 150; ++i) {
      Record record = commands.next(r.catalogue());
      Result<Applied> outcome = r.apply(record);
      outcome ? ++ok[record.index()] : ++refused;
      for (const auto& [stream, p] : r.catalogue().partitions()) {
        offline += p.leader == kNoNode;
        lost += p.isr.size() == 1 && !r.catalogue().intact(p, p.isr[0]);
      }
    }
  }));
  CHECK(refused > 0);
  CHECK(offline > 0);
  CHECK(lost > 0);
  for (size_t kind = 1; kind < std::variant_size_v<Record>; ++kind) {
    INFO("kind ", kind);
    CHECK(ok[kind] > 0);
  }
}

TEST_CASE("given a log, when it is replayed in whole, or from a snapshot anywhere, then all replicas are equal and had the same outcomes") {
  CHECK(rc::check([](uint64_t seed) {
    Commands commands(seed);
    std::vector<ByteVec> log;
    std::vector<bool> outcomes;
    Catalogue first;
    const int64_t length = 120;
    const int64_t cut = static_cast<int64_t>(seed % length);
    ByteVec snapshot = first.snapshot();
    for (int64_t i = 1; i <= length; ++i) {
      Record record = commands.next(first);
      log.push_back(encode(record));
      outcomes.push_back(first.apply(LogIndex(i), record).has_value());
      if (i == cut) snapshot = first.snapshot();
    }
    auto replay = [&](Catalogue& c) {
      for (int64_t i = c.applied().v + 1; i <= length; ++i) {
        auto record = decode_record(log[static_cast<size_t>(i - 1)]);
        RC_ASSERT(record.has_value());
        RC_ASSERT(c.apply(LogIndex(i), *record).has_value() == outcomes[static_cast<size_t>(i - 1)]);
      }
    };
    Catalogue second;
    replay(second);
    RC_ASSERT(second.snapshot() == first.snapshot());
    Catalogue third;
    RC_ASSERT(third.restore(snapshot).has_value());
    RC_ASSERT(third.applied() == LogIndex(cut));
    replay(third);
    RC_ASSERT(third.snapshot() == first.snapshot());
  }));
}

}  // namespace
}  // namespace sg::metadata
