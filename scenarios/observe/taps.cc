#include "scenarios/observe/taps.h"

#include <fmt/format.h>

#include "base/archive.h"
#include "broker/kafka/api_versions.h"
#include "broker/kafka/codec.h"
#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/find_coordinator.h"
#include "scenarios/observe/by_partition.h"

namespace sg::scenario {
namespace {

constexpr uint64_t kFrameLengthBytes = 4;

template <class T, class F>
Result<> unpack_to(const SharedBytes& bytes, F&& sink) {
  TRY(auto message, unpack<T>(bytes));
  sink(message);
  return {};
}

// Calls sink(code) for each error code of an answer, "none" too.
template <class Message, class Sink>
void for_each_code(const Message& m, Sink&& sink) {
  if constexpr (requires { m.responses; })
    for (const auto& t : m.responses) {
      if constexpr (requires { t.error_code; })
        sink(t.error_code);
      else
        for (const auto& p : partitions_of(t)) sink(p.error_code);
    }
  if constexpr (requires { m.topics; })
    for (const auto& t : m.topics) {
      if constexpr (requires { t.error_code; }) sink(t.error_code);
      if constexpr (requires { t.partitions; })
        for (const auto& p : t.partitions) sink(p.error_code);
    }
  if constexpr (requires { m.coordinators; }) {
    for (const auto& c : m.coordinators) sink(c.error_code);
    if (!m.coordinators.empty()) return;
  }
  if constexpr (requires { m.error_code; }) sink(m.error_code);
}

}  // namespace

void Taps::on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) {
  const bool peer = info.acceptor.port == peer_port_;
  if (!peer && info.acceptor.port != kafka_port_) return;
  auto acceptor = machines_.find(info.acceptor_node);
  if (acceptor == machines_.end()) return;
  Connection& connection = connections_[info.id];
  if (connection.lost) return;
  MachineId from = acceptor->second;
  MachineId to = kNoNode;
  if (auto dialer = machines_.find(info.dialer_node); dialer != machines_.end()) to = dialer->second;
  if (from_dialer && to != kNoNode) std::swap(from, to);
  auto on_frame = [&](const SharedBytes& body) {
    Result<> decoded = peer          ? peer_frame(from, to, connection, body)
                       : from_dialer ? request(from, info.id, connection, body)
                                     : response(from, info.id, connection, body);
    judge_.check(Check::format, decoded.has_value(), [&] {
      return fmt::format("a frame of {} bytes from {} ({}, connection {}) cannot be decoded: {}", body.size(),
                         from_dialer ? info.dialer.host : info.acceptor.host, peer ? "peer" : "Kafka", info.id, decoded.error().what);
    });
  };
  connection.lost = !connection.cutters[from_dialer ? 0 : 1].feed(bytes, on_frame);
  if (!peer && !from_dialer && connection.cutters[1].partial()) events_.on_answer_begins(from, info.id);
}

void Taps::on_read(const sim::ConnectionInfo& info, bool by_dialer, size_t bytes) {
  auto connection = connections_.find(info.id);
  if (by_dialer || connection == connections_.end()) return;
  Connection& c = connection->second;
  const uint64_t before = std::exchange(c.read_bytes, c.read_bytes + bytes);
  const MachineId broker = machines_.at(info.acceptor_node);
  for (Request& r : c.unanswered) {
    if (r.end <= before || r.end > c.read_bytes) continue;
    r.asked.arrived = *now_;
    events_.on_arrived(broker, info.id, r.asked);
  }
  for (; !c.unread.empty() && c.unread.front().end <= c.read_bytes; c.unread.pop_front()) {
    c.unread.front().asked.arrived = *now_;
    events_.on_arrived(broker, info.id, c.unread.front().asked);
  }
}

void Taps::on_end(const sim::ConnectionInfo& info, bool from_dialer, bool) {
  auto broker = machines_.find(info.acceptor_node);
  if (info.acceptor.port == kafka_port_ && broker != machines_.end()) events_.on_connection_over(broker->second, info.id);
  auto connection = connections_.find(info.id);
  if (connection == connections_.end()) return;
  Connection& c = connection->second;
  c.ended[from_dialer ? 0 : 1] = true;
  // Once the acceptor has ended its side, nothing more is answered. The dialer's reset has yet to reach it: until then it goes on.
  if (!from_dialer) c.lost = true;
  if (c.ended[0] && c.ended[1]) connections_.erase(connection);
}

Result<> Taps::greeting(MachineId from, MachineId to, Connection& connection, const broker::peer::Frame& frame) {
  using namespace broker::peer;
  if (frame.kind == FrameKind::hello) return unpack_to<Hello>(frame.metadata, [&](const Hello& m) { connection.hello = m; });
  return unpack_to<HelloReply>(frame.metadata, [&](const HelloReply& m) {
    if (m.accepted && connection.hello.link != LinkKind::inquiry) events_.on_accepted(from, to, connection.hello);
  });
}

Result<> Taps::peer_frame(MachineId from, MachineId to, Connection& connection, const SharedBytes& body) {
  using broker::peer::FrameKind;
  TRY(auto frame, broker::peer::decode(body));
  if (frame.kind == FrameKind::hello || frame.kind == FrameKind::hello_reply) return greeting(from, to, connection, frame);
  events_.on_peer(from, to);
  auto replica = [&](const auto& m) { events_.on_replica(from, m); };
  switch (frame.kind) {
    case FrameKind::raft: return unpack_to<raft::Message>(frame.metadata, [&](const auto& m) { events_.on_raft(from, to, m); });
    case FrameKind::formation:
      return unpack_to<raft::FormationMessage>(frame.metadata, [&](const auto& m) { events_.on_formation(from, m); });
    case FrameKind::subscribe: return unpack_to<replica::Subscribe>(frame.metadata, replica);
    case FrameKind::unsubscribe: return unpack_to<replica::Unsubscribe>(frame.metadata, replica);
    case FrameKind::ack: return unpack_to<replica::Ack>(frame.metadata, replica);
    case FrameKind::diverged: return unpack_to<replica::Diverged>(frame.metadata, replica);
    case FrameKind::refused: return unpack_to<replica::Refused>(frame.metadata, replica);
    case FrameKind::data: return unpack_to<replica::Data>(frame.metadata, [&](const auto& m) { events_.on_data(from, m, frame.payload); });
    case FrameKind::heartbeat: return unpack_to<metadata::Heartbeat>(frame.metadata, [&](const auto& m) { events_.on_heartbeat(from, m); });
    case FrameKind::heartbeat_reply:
      return unpack_to<metadata::HeartbeatReply>(frame.metadata, [&](const auto& m) { events_.on_heartbeat_reply(from, to, m); });
    default: return {};  // signs of life, and requests to the controller: what they lead to is seen in the catalogue
  }
}

Result<> Taps::request(MachineId to, uint64_t id, Connection& connection, const SharedBytes& body) {
  connection.asked_bytes += kFrameLengthBytes + body.size();
  TRY(auto frame, kafka::decode_request_header(body));
  const Asked asked{*now_, *now_, *now_, ++requests_, frame.header.api_version, true};
  Request request{std::move(frame.header), frame.body, connection.asked_bytes, asked};
  if (request.header.api_key == kafka::ApiKey::produce) {
    // One that nobody can read may end its connection, no more.
    auto produce = kafka::decode<kafka::ProduceRequest>(request.header.api_version, request.body);
    request.asked.answered = !produce || produce->acks != 0;
  }
  events_.on_request(to, id, request.asked, request.header, request.body);
  (request.asked.answered ? connection.unanswered : connection.unread).push_back(std::move(request));
  return {};
}

// A version that nobody speaks is answered in that of ApiVersions that everybody reads (KIP-511), and in no other API.
Result<> Taps::beyond(MachineId from, const Request& request, const SharedBytes& body) {
  if (request.header.api_key != kafka::ApiKey::api_versions)
    return fail(Errc::invalid, fmt::format("it answers {} v{}", kafka::to_string(request.header.api_key), request.header.api_version));
  TRY(auto answer, kafka::decode<kafka::ApiVersionsResponse>(0, body));
  events_.on_code(from, request.header, answer.error_code);
  return {};
}

// Decodes a request and its answer, tells each code in that, and then both.
template <class Message, class Tell>
Result<> Taps::exchange(MachineId from, const Request& request, const SharedBytes& body, Tell&& tell) {
  TRY(auto asked, kafka::decode<Message>(request.header.api_version, request.body));
  TRY(auto answer, kafka::decode<typename Message::Response>(request.header.api_version, body));
  for_each_code(answer, [&](kafka::ErrorCode code) { events_.on_code(from, request.header, code); });
  tell(asked, answer);
  return {};
}

Result<> Taps::response(MachineId from, uint64_t id, Connection& connection, const SharedBytes& body) {
  TRY(int32_t correlation_id, kafka::peek_correlation_id(body));
  if (connection.unanswered.empty() || connection.unanswered.front().header.correlation_id != correlation_id)
    return fail(Errc::invalid, fmt::format("it answers request {}, which is not the oldest without an answer", correlation_id));
  Request request = std::move(connection.unanswered.front());
  connection.unanswered.pop_front();
  request.asked.first = std::max(request.asked.arrived, std::exchange(connection.answered, *now_));
  const auto& [key, version, correlation, client] = request.header;
  events_.on_answer(from, id, request.asked, request.header);
  TRY(auto frame, kafka::decode_response_header(key, version, body));
  if (!kafka::spoken_api(key, version)) return beyond(from, request, frame.body);
  const Asked& when = request.asked;
  auto nobody = [](const auto&, const auto&) {};
  switch (key) {
    case kafka::ApiKey::produce:
      return exchange<kafka::ProduceRequest>(
          from, request, frame.body, [&](const auto& asked, const auto& answer) { events_.on_produced(from, when, asked, answer); });
    case kafka::ApiKey::fetch:
      return exchange<kafka::FetchRequest>(from, request, frame.body,
                                           [&](const auto& asked, const auto& answer) { events_.on_fetched(from, when, asked, answer); });
    case kafka::ApiKey::list_offsets:
      return exchange<kafka::ListOffsetsRequest>(
          from, request, frame.body, [&](const auto& asked, const auto& answer) { events_.on_offsets(from, when, asked, answer); });
    case kafka::ApiKey::metadata:
      return exchange<kafka::MetadataRequest>(
          from, request, frame.body, [&](const auto& asked, const auto& answer) { events_.on_metadata(from, when, asked, answer); });
    case kafka::ApiKey::init_producer_id:
      return exchange<kafka::InitProducerIdRequest>(from, request, frame.body,
                                                    [&](const auto&, const auto& answer) { events_.on_producer_id(from, answer); });
    case kafka::ApiKey::create_topics: return exchange<kafka::CreateTopicsRequest>(from, request, frame.body, nobody);
    case kafka::ApiKey::delete_topics: return exchange<kafka::DeleteTopicsRequest>(from, request, frame.body, nobody);
    case kafka::ApiKey::find_coordinator: return exchange<kafka::FindCoordinatorRequest>(from, request, frame.body, nobody);
    case kafka::ApiKey::api_versions: return exchange<kafka::ApiVersionsRequest>(from, request, frame.body, nobody);
    default: return {};
  }
}

}  // namespace sg::scenario
