// Messages that links hold back: how they are found in the bytes of connections, and a run in which a leader change ends a hold.
#include "scenarios/world/holds.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "base/archive.h"
#include "broker/kafka/codec.h"
#include "scenarios/run.h"
#include "scenarios/scenario_file.h"
#include "sim/network.h"
#include "tests/base/temp_file.h"

using namespace sg;
using namespace sg::scenario;
using broker::peer::FrameKind;

namespace {

using Found = std::vector<sim::MessageFinder::Message>;

ByteVec peer_frame(FrameKind kind, ByteSpan metadata) { return broker::peer::encode_head(kind, metadata, 0); }

template <class Body>
ByteVec raft_frame(Body body) {
  return peer_frame(FrameKind::raft, pack(raft::Message{NodeId(1), NodeId(2), VoterId(1), {}, {}, Term(3), std::move(body)}));
}

ByteVec flat(const std::vector<SharedBytes>& pieces) {
  ByteVec out;
  for (const SharedBytes& p : pieces) out.insert(out.end(), p.data(), p.data() + p.size());
  return out;
}

template <class Message>
ByteVec kafka_request(int16_t version, int32_t id, const Message& message) {
  kafka::Gather out;
  kafka::begin_request(out, Message::kApiKey, version, id, "client");
  kafka::encode(out, version, message);
  return flat(kafka::end_frame(std::move(out)));
}

template <class Response>
ByteVec kafka_response(kafka::ApiKey key, int16_t version, int32_t id, const Response& message) {
  kafka::Gather out;
  kafka::begin_response(out, key, version, id);
  kafka::encode(out, version, message);
  return flat(kafka::end_frame(std::move(out)));
}

struct Wires {
  HeldMessages messages{9192, 9092};
  sim::ConnectionInfo peer{1, {"node1", 5000}, {"node2", 9192}, 0, 1};
  sim::ConnectionInfo back{4, {"node2", 5002}, {"node1", 9192}, 1, 0};
  sim::ConnectionInfo client{2, {"client", 5001}, {"node2", 9092}, 7, 1};
  Found send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) {
    Found found;
    messages.on_send(info, from_dialer, bytes, found);
    return found;
  }
  // The one message in these bytes.
  std::string kind(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) {
    Found found = send(info, from_dialer, bytes);
    return found.size() == 1 ? std::string(found[0].kind) : "?";
  }
};

}  // namespace

TEST_CASE("held messages: every kind has one name, all that links carry between nodes is known by it") {
  const std::vector<std::string_view> kinds = held_kinds();
  CHECK(std::set(kinds.begin(), kinds.end()).size() == kinds.size());
  for (std::string_view kind : {"data",
                                "ack",
                                "change_isr",
                                "change_isr_reply",
                                "heartbeat",
                                "heartbeat_reply",
                                "register_broker",
                                "register_broker_reply",
                                "request_vote",
                                "request_vote_reply",
                                "append_entries",
                                "append_entries_reply",
                                "install_snapshot",
                                "produce_request",
                                "produce_response",
                                "fetch_request",
                                "fetch_response",
                                "metadata_response",
                                "list_offsets_response",
                                "init_producer_id_request"}) {
    CAPTURE(kind);
    CHECK(std::ranges::find(kinds, kind) != kinds.end());
  }
}

TEST_CASE("held messages: frames between nodes in pieces of every size begin where they begin, and are what they are") {
  const ByteVec frames[] = {peer_frame(FrameKind::ack, pack(replica::Ack{StreamId(16), LeaderEpoch(1), BrokerEpoch(1), 1, Offset(3)})),
                            raft_frame(raft::AppendEntries{}), raft_frame(raft::RequestVoteReply{}),
                            peer_frame(FrameKind::heartbeat, pack(metadata::Heartbeat{})), peer_frame(FrameKind::ping, {})};
  ByteVec bytes;
  std::vector<uint64_t> begins;
  for (const ByteVec& frame : frames) {
    begins.push_back(bytes.size());
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  const std::vector<std::string> names{"ack", "append_entries", "request_vote_reply", "heartbeat", "ping"};
  for (size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    Wires w;
    Found found;
    for (size_t at = 0; at < bytes.size(); at += piece)
      w.messages.on_send(w.peer, true, ByteSpan(bytes).subspan(at, std::min(piece, bytes.size() - at)), found);
    REQUIRE(found.size() == names.size());
    for (size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].kind == names[i]);
      CHECK(found[i].begin == begins[i]);
    }
  }
}

TEST_CASE("held messages: an answer of the controller is called after its request, also when it is a refusal") {
  Wires w;
  auto ask = [&](uint64_t id, auto body) {
    return peer_frame(FrameKind::controller_request, pack(metadata::ControllerRequest{id, std::move(body)}));
  };
  auto refuse = [](uint64_t id) {
    return peer_frame(FrameKind::controller_reply, pack(metadata::ControllerReply{id, metadata::ControllerError::stale, "no", {}}));
  };
  CHECK(w.kind(w.peer, true, ask(7, metadata::ChangeIsr{})) == "change_isr");
  CHECK(w.kind(w.peer, true, ask(8, metadata::RegisterBroker{})) == "register_broker");
  CHECK(w.kind(w.peer, false, ask(7, metadata::DrainBroker{})) == "drain_broker");
  CHECK(w.kind(w.peer, false, refuse(8)) == "register_broker_reply");
  CHECK(w.kind(w.back, true, refuse(7)) == "change_isr_reply");  // a controller answers over the link that it dials
  CHECK(w.kind(w.peer, true, refuse(7)) == "drain_broker_reply");
  CHECK(w.kind(w.peer, true, refuse(7)) == "?");
}

TEST_CASE("held messages: a client's requests and their answers are called by their API, in the order of the requests") {
  Wires w;
  kafka::ProduceRequest unanswered;
  unanswered.acks = 0;
  kafka::ProduceRequest produce;
  produce.acks = -1;
  CHECK(w.kind(w.client, true, kafka_request(9, 1, unanswered)) == "produce_request");
  CHECK(w.kind(w.client, true, kafka_request(9, 2, produce)) == "produce_request");
  CHECK(w.kind(w.client, true, kafka_request(9, 3, kafka::MetadataRequest{})) == "metadata_request");
  CHECK(w.kind(w.client, false, kafka_response(kafka::ApiKey::produce, 9, 2, kafka::ProduceResponse{})) == "produce_response");
  CHECK(w.kind(w.client, false, kafka_response(kafka::ApiKey::metadata, 9, 3, kafka::MetadataResponse{})) == "metadata_response");
  CHECK(w.kind(w.client, false, kafka_response(kafka::ApiKey::metadata, 9, 3, kafka::MetadataResponse{})) == "?");
}

TEST_CASE("held messages: what is no frame is not held, and what is of another protocol is not looked at") {
  Wires w;
  CHECK(w.send(w.peer, true, as_bytes("\xff\xff\xff\xff")).empty());
  CHECK(w.send(w.peer, true, peer_frame(FrameKind::ping, {})).empty());
  sim::ConnectionInfo other{3, {"node1", 5000}, {"node2", 80}, 0, 1};
  CHECK(w.send(other, true, peer_frame(FrameKind::ping, {})).empty());
}

namespace {

constexpr std::string_view kHeldAcks = R"(name = "held_acks"
about = "The followers' acknowledgements wait until another node leads."
[cluster]
nodes = 3
draw_knobs = false
topics = [{ name = "orders", partitions = 1, replicas = 3, min_insync = 2 }]
[[workload]]
kind = "produce"
clients = 1
[[workload]]
kind = "consume"
[[at]]
t_s = 1
do = "link_hold"
between = ["all", "leader"]
message = "ack"
until = "leader_change"
for_s = 60
[[at]]
t_s = 1.4
do = "kill"
target = "leader"
for_s = 1
[phases]
safety_s = 14
liveness_s = 30
)";

}  // namespace

TEST_CASE(
    "given acknowledgements that are held until another node leads, when the leader dies, then they are let go, and nothing is lost") {
  test::TempFile file(kHeldAcks);
  Result<Scenario> scenario = load_scenario_file(file.path());
  REQUIRE(scenario.has_value());
  sim::Pools pools;
  sim::MemoryTrace trace;
  const RunRecord result = run_once(*scenario, 1, pools, {.trace = &trace});
  CHECK(result.verdict == Verdict::pass);
  CHECK(result.check == "");
  CHECK(result.faults_struck == 2);
  CHECK(result.leader_changes > 0);
  std::vector<Time> begun, ended, died;
  for (const sim::MemoryTrace::Record& r : trace.records()) {
    const sim::TraceEvent& e = r.event;
    if (e.kind == sim::TraceKind::node_death && died.empty() && e.time > Time{0} + 5s) died.push_back(e.time);
    if (e.kind != sim::TraceKind::link || e.c != static_cast<uint64_t>(sim::LinkChange::hold)) continue;
    (e.d > 0 ? begun : ended).push_back(e.time);
  }
  REQUIRE(begun.size() == 2);
  REQUIRE(ended.size() == 2);
  REQUIRE(died.size() == 1);
  CHECK(begun[0] == Time{0} + 5s);
  CHECK(ended[0] > died[0]);
  CHECK(ended[1] < Time{0} + 18s);
}
