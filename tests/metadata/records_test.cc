// Records and messages: what is written comes back; what is from a later release, cut or damaged is refused.
#include "broker/metadata/records.h"

#include <doctest/doctest.h>

#include "base/archive.h"
#include "base/rng.h"
#include "broker/metadata/catalogue.h"
#include "broker/metadata/messages.h"

namespace sg::metadata {
namespace {

std::vector<Record> one_of_each() {
  return {
      SetCluster{Uuid{1, 2}},
      RegisterBroker{NodeId(3),
                     Run{Uuid{5, 6}, Incarnation(4), 1},
                     VoterId(1),
                     {"kafka.example", 9092},
                     {"10.0.0.3", 9192},
                     "r1",
                     false,
                     {StreamId(17)}},
      FenceBroker{NodeId(3), BrokerEpoch(8)},
      UnfenceBroker{NodeId(3), BrokerEpoch(8)},
      DrainBroker{NodeId(3), BrokerEpoch(8)},
      ReportDamage{NodeId(3), BrokerEpoch(8), {StreamId(16), StreamId(18)}},
      CreateTopic{"t", Uuid{7, 7}, {{NodeId(1), NodeId(2)}, {NodeId(2), NodeId(1)}}, 2, {{"min.insync.replicas", "2"}}},
      DeleteTopic{Uuid{7, 7}},
      ChangeIsr{StreamId(16), NodeId(1), BrokerEpoch(9), LeaderEpoch(2), PartitionEpoch(5), {{NodeId(1), BrokerEpoch(9)}}},
      AllocateProducerIds{NodeId(1), BrokerEpoch(9), 1000},
      Healed{NodeId(3), BrokerEpoch(8), {StreamId(16)}},
      HistoryCut{StreamId(40), LeaderEpoch(7)},
  };
}

TEST_CASE("given a record of each kind, when it is encoded and decoded, then it is the same record") {
  std::vector<Record> records = one_of_each();
  REQUIRE(records.size() == std::variant_size_v<Record>);
  for (size_t kind = 0; kind < records.size(); ++kind) {
    ByteVec bytes = encode(records[kind]);
    CHECK(bytes[0] == kRecordVersion);
    CHECK(bytes[1] == kind);
    auto decoded = decode_record(bytes);
    REQUIRE(decoded.has_value());
    CHECK(*decoded == records[kind]);
    CHECK(!describe(*decoded).empty());
  }
}

TEST_CASE("given a record of a later release, when it is decoded, then it is refused as unsupported and not guessed at") {
  ByteVec bytes = encode(DeleteTopic{Uuid{7, 7}});
  ByteVec version = bytes;
  version[0] = kRecordVersion + 1;
  CHECK(decode_record(version).is(Errc::unsupported));
  ByteVec kind = bytes;
  kind[1] = static_cast<uint8_t>(std::variant_size_v<Record>);
  CHECK(decode_record(kind).is(Errc::unsupported));
}

TEST_CASE("given a record that is cut short or too long, when it is decoded, then it is corrupt") {
  for (const Record& record : one_of_each()) {
    ByteVec bytes = encode(record);
    for (size_t length = 0; length < bytes.size(); ++length) CHECK(decode_record(ByteSpan(bytes).first(length)).is(Errc::corrupt));
    bytes.push_back(0);
    CHECK(decode_record(bytes).is(Errc::corrupt));
  }
}

TEST_CASE("given records with flipped bytes, when they are decoded and applied, then nothing worse than an error happens") {
  Rng rng(1);
  int decoded_count = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::vector<Record> records = one_of_each();
    ByteVec bytes = encode(records[rng.below(records.size())]);
    size_t at = 2 + rng.below(bytes.size() - 2);
    bytes[at] = static_cast<uint8_t>(rng.next());
    auto decoded = decode_record(bytes);
    if (!decoded) continue;
    ++decoded_count;
    Catalogue catalogue;
    (void)catalogue.apply(LogIndex(1), *decoded);
  }
  CHECK(decoded_count > 1000);
}

TEST_CASE("given requests and replies, when they travel, then they arrive as they left") {
  ControllerRequest request{9, CreateTopicsRequest{{{"t", Uuid{3, 4}, 3, -1, {{NodeId(1)}}, {{"a", "b"}}}}, true}};
  auto got = unpack<ControllerRequest>(pack(request));
  REQUIRE(got.has_value());
  CHECK(pack(*got) == pack(request));
  CHECK(std::get<CreateTopicsRequest>(got->body).topics[0].configs[0].value == "b");

  ControllerReply reply{9, ControllerError::stale, "why",
                        ChangeIsrReply{StreamId(16), NodeId(1), LeaderEpoch(2), PartitionEpoch(3), {NodeId(1)}}};
  auto answer = unpack<ControllerReply>(pack(reply));
  REQUIRE(answer.has_value());
  CHECK(answer->error == ControllerError::stale);
  CHECK(std::get<ChangeIsrReply>(answer->body).isr == std::vector{NodeId(1)});
}

}  // namespace
}  // namespace sg::metadata
