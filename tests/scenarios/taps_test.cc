// The taps: bytes in any pieces come out as the messages that left, at the moment when they were complete.
#include <doctest/doctest.h>

#include "base/archive.h"
#include "broker/kafka/api_versions.h"
#include "broker/kafka/codec.h"
#include "scenarios/observe/by_partition.h"
#include "scenarios/observe/taps.h"
#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;

namespace {

struct Seen final : MessageEvents {
  void on_replica(NodeId from, const replica::Message& m) override { acks.push_back({from, std::get<replica::Ack>(m).durable_end}); }
  void on_fetched(NodeId from, const Asked& when, const kafka::FetchRequest&, const kafka::FetchResponse&) override {
    fetched.push_back({from, when.left});
    arrived.push_back(when.arrived);
  }
  void on_raft(MachineId from, MachineId to, const raft::Message& m) override {
    raft.push_back({from, to});
    claimed.push_back({m.from, m.to});
  }
  std::vector<std::pair<MachineId, MachineId>> raft;
  std::vector<std::pair<NodeId, NodeId>> claimed;
  std::vector<std::pair<NodeId, Offset>> acks;
  std::vector<std::pair<NodeId, Time>> fetched;
  std::vector<Time> arrived;
};

struct Fixture {
  Fixture() {
    taps.add_node(0, NodeId(1));
    taps.add_node(1, NodeId(2));
  }
  Time now;
  Seen seen;
  std::vector<std::string> wrong;
  Judge judge{[this](Check check, const std::string&) { wrong.emplace_back(to_string(check)); }};
  Taps taps{&now, 9192, 9092, judge, seen};
  sim::ConnectionInfo peer{1, {"node1", 5000}, {"node2", 9192}, 0, 1};
  sim::ConnectionInfo client{2, {"client", 5001}, {"node2", 9092}, 7, 1};
};

ByteVec ack_frame(int64_t end) {
  return broker::peer::encode_head(broker::peer::FrameKind::ack,
                                   pack(replica::Ack{StreamId(16), LeaderEpoch(1), BrokerEpoch(1), 1, Offset(end)}), 0);
}

ByteVec flat(const std::vector<SharedBytes>& pieces) {
  ByteVec out;
  for (const SharedBytes& p : pieces) out.insert(out.end(), p.data(), p.data() + p.size());
  return out;
}

}  // namespace

TEST_CASE("taps: frames in pieces of every size come out whole and in order") {
  ByteVec bytes = ack_frame(10);
  ByteVec second = ack_frame(11);
  bytes.insert(bytes.end(), second.begin(), second.end());
  for (size_t piece : {size_t{1}, size_t{3}, size_t{7}, bytes.size()}) {
    Fixture f;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      f.taps.on_send(f.peer, true, ByteSpan(bytes).subspan(at, std::min(piece, bytes.size() - at)));
      if (at + piece < second.size()) CHECK(f.seen.acks.empty());
    }
    REQUIRE(f.seen.acks.size() == 2);
    CHECK(f.seen.acks[0] == std::pair(NodeId(1), Offset(10)));
    CHECK(f.seen.acks[1] == std::pair(NodeId(1), Offset(11)));
    CHECK(f.wrong.empty());
  }
}

TEST_CASE("taps: a message is of the machines that it goes between, whatever it says, in both directions of a connection") {
  Fixture f;
  f.taps.add_node(5, kFirstSpare);
  sim::ConnectionInfo twin{3, {"spare1", 5002}, {"node2", 9192}, 5, 1};
  const raft::Message says_node1{NodeId(1), NodeId(2), VoterId(1), {}, {}, Term(3), raft::AppendEntries{}};
  const ByteVec bytes = broker::peer::encode_head(broker::peer::FrameKind::raft, pack(says_node1), 0);
  f.taps.on_send(twin, true, bytes);
  f.taps.on_send(twin, false, bytes);
  f.taps.on_send(f.peer, true, bytes);
  REQUIRE(f.seen.raft.size() == 3);
  CHECK(f.seen.raft[0] == std::pair(kFirstSpare, NodeId(2)));
  CHECK(f.seen.raft[1] == std::pair(NodeId(2), kFirstSpare));
  CHECK(f.seen.raft[2] == std::pair(NodeId(1), NodeId(2)));
  for (const auto& claim : f.seen.claimed) CHECK(claim == std::pair(NodeId(1), NodeId(2)));
}

TEST_CASE("taps: a peer frame with a wrong checksum is reported") {
  Fixture f;
  ByteVec bytes = ack_frame(10);
  bytes.back() ^= 1;
  f.taps.on_send(f.peer, true, bytes);
  CHECK(f.wrong == std::vector<std::string>{"format"});
}

TEST_CASE("taps: an answer is told with the time of its request; one to nothing is reported") {
  Fixture f;
  f.now = Time{5};
  f.taps.on_send(f.client, true, flat(kafka::request_frame(11, 77, "c", kafka::FetchRequest{})));
  f.now = Time{9};
  ByteVec answer = flat(kafka::response_frame(11, 77, kafka::FetchResponse{}));
  f.taps.on_send(f.client, false, answer);
  REQUIRE(f.seen.fetched.size() == 1);
  CHECK(f.seen.fetched[0] == std::pair(NodeId(2), Time{5}));
  CHECK(f.wrong.empty());
  f.taps.on_send(f.client, false, answer);
  CHECK(f.wrong == std::vector<std::string>{"format"});
}

TEST_CASE("taps: a request has arrived when the broker has read the last of its bytes, whatever stands before and behind it") {
  Fixture f;
  const ByteVec request = flat(kafka::request_frame(11, 77, "c", kafka::FetchRequest{}));
  ByteVec two = request;
  two.insert(two.end(), request.begin(), request.end());
  f.taps.on_send(f.client, true, two);
  const std::vector<std::pair<int64_t, size_t>> reads = {{3, 10}, {4, request.size() - 11}, {5, 2}, {8, request.size() - 1}};
  for (const auto& [at, bytes] : reads) {
    f.now = Time{at};
    f.taps.on_read(f.client, true, 1);  // of the answers
    f.taps.on_read(f.client, false, bytes);
  }
  f.now = Time{9};
  for (int i = 0; i < 2; ++i) f.taps.on_send(f.client, false, flat(kafka::response_frame(11, 77, kafka::FetchResponse{})));
  CHECK(f.seen.arrived == std::vector{Time{5}, Time{8}});
  CHECK(f.wrong.empty());
}

TEST_CASE("taps: a client's reset that has not reached the broker yet does not end what the broker says") {
  Fixture f;
  f.taps.on_send(f.client, true, flat(kafka::request_frame(11, 77, "c", kafka::FetchRequest{})));
  f.taps.on_end(f.client, true, true);
  f.taps.on_send(f.client, false, flat(kafka::response_frame(11, 77, kafka::FetchResponse{})));
  CHECK(f.seen.fetched.size() == 1);
  // What a client goes on sending to a broker that has ended its side is for nobody, whole or not.
  f.taps.on_send(f.peer, true, ack_frame(10));
  f.taps.on_end(f.peer, false, false);
  f.taps.on_send(f.peer, true, ByteSpan(ack_frame(11)).subspan(1));
  CHECK(f.seen.acks.size() == 1);
  CHECK(f.wrong.empty());
}

namespace {

// With a body that means nothing.
ByteVec odd_request(kafka::ApiKey key, int16_t version) {
  kafka::Gather out;
  kafka::begin_request(out, key, version, 77, "c");
  out.append(SharedBytes::copy_of(ByteVec{1, 2, 3}));
  return flat(kafka::end_frame(std::move(out)));
}

TEST_CASE("taps: given a request that nobody can read, then nothing is wrong until it is answered") {
  Fixture f;
  f.taps.on_send(f.client, true, odd_request(kafka::ApiKey::produce, 9));
  CHECK(f.wrong.empty());
  f.taps.on_send(f.client, false, flat(kafka::response_frame(9, 77, kafka::ProduceResponse{})));
  CHECK(f.wrong == std::vector<std::string>{"format"});
}

TEST_CASE("taps: given a partition that is named twice, then each answer is told with its own question") {
  kafka::ListOffsetsRequest asked;
  asked.topics.push_back({.name = "t", .partitions = {{.partition_index = 1, .timestamp = 10}, {.partition_index = 0, .timestamp = 20}}});
  asked.topics.push_back({.name = "t", .partitions = {{.partition_index = 1, .timestamp = 30}}});
  kafka::ListOffsetsResponse answer;
  answer.topics.push_back({.name = "t", .partitions = {}});
  for (const auto& [index, offset] : std::vector<std::pair<int32_t, int64_t>>{{1, 100}, {0, 200}, {1, 300}, {1, 400}, {2, 500}})
    answer.topics[0].partitions.push_back({.partition_index = index, .offset = Offset(offset)});
  std::vector<std::pair<int64_t, int64_t>> told;
  for_each_answer(asked, answer, [&](std::string_view, const auto& q, const auto& a) { told.emplace_back(q.timestamp, a.offset.v); });
  CHECK(told == std::vector<std::pair<int64_t, int64_t>>{{10, 100}, {20, 200}, {30, 300}});
}

const testing::AddPairs kFormatPairs({
    {"format", "a peer frame leaves with a checksum that its bytes do not have",
     [](bool broken) {
       Fixture f;
       ByteVec bytes = ack_frame(10);
       if (broken) bytes.back() ^= 1;
       f.taps.on_send(f.peer, true, bytes);
       return f.wrong.empty() ? std::string() : f.wrong.front();
     }},
    {"format", "a version that nobody speaks is answered",
     [](bool broken) {
       Fixture f;
       const auto key = broken ? kafka::ApiKey::metadata : kafka::ApiKey::api_versions;
       f.taps.on_send(f.client, true, odd_request(key, 99));
       f.taps.on_send(f.client, false, flat(kafka::response_frame(0, 77, kafka::ApiVersionsResponse{})));
       return f.wrong.empty() ? std::string() : f.wrong.front();
     }},
    {"format", "an answer leaves that answers nothing",
     [](bool broken) {
       Fixture f;
       f.taps.on_send(f.client, true, flat(kafka::request_frame(11, 77, "c", kafka::FetchRequest{})));
       f.taps.on_send(f.client, false, flat(kafka::response_frame(11, broken ? 78 : 77, kafka::FetchResponse{})));
       return f.wrong.empty() ? std::string() : f.wrong.front();
     }},
});

}  // namespace
