#include "scenarios/world/holds.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/archive.h"
#include "broker/kafka/api.h"
#include "broker/kafka/codec.h"
#include "broker/node.h"

namespace sg::scenario {
namespace {

using broker::peer::FrameKind;

constexpr uint64_t kFrameLengthBytes = 4;

struct FrameName {
  FrameKind kind;
  std::string_view name;
};
// Those that are one kind of message.
constexpr std::array kFrameNames = {
    FrameName{FrameKind::hello, "hello"},
    FrameName{FrameKind::hello_reply, "hello_reply"},
    FrameName{FrameKind::heartbeat, "heartbeat"},
    FrameName{FrameKind::heartbeat_reply, "heartbeat_reply"},
    FrameName{FrameKind::ping, "ping"},
    FrameName{FrameKind::subscribe, "subscribe"},
    FrameName{FrameKind::unsubscribe, "unsubscribe"},
    FrameName{FrameKind::ack, "ack"},
    FrameName{FrameKind::diverged, "diverged"},
    FrameName{FrameKind::data, "data"},
    FrameName{FrameKind::refused, "refused"},
};

// In the order of raft::MessageBody.
constexpr std::array<std::string_view, 8> kRaftNames = {
    "request_vote",     "request_vote_reply",     "append_entries", "append_entries_reply",
    "install_snapshot", "install_snapshot_reply", "timeout_now",    "distrust"};
static_assert(kRaftNames.size() == std::variant_size_v<raft::MessageBody>);

// In the order of raft::FormationMessage.
constexpr std::array<std::string_view, 5> kFormationNames = {"formation_ask", "formation_answer", "formation_propose", "formation_promised",
                                                             "formation_formed"};
static_assert(kFormationNames.size() == std::variant_size_v<raft::FormationMessage>);

struct ControllerNames {
  std::string_view request;
  std::string_view reply;
};
// In the order of metadata::ControllerRequest::body.
constexpr std::array kControllerNames = {
    ControllerNames{"register_broker", "register_broker_reply"},
    ControllerNames{"drain_broker", "drain_broker_reply"},
    ControllerNames{"report_damage", "report_damage_reply"},
    ControllerNames{"change_isr", "change_isr_reply"},
    ControllerNames{"create_topics", "create_topics_reply"},
    ControllerNames{"delete_topics", "delete_topics_reply"},
    ControllerNames{"allocate_producer_ids", "allocate_producer_ids_reply"},
};
static_assert(kControllerNames.size() == std::variant_size_v<decltype(metadata::ControllerRequest::body)>);

struct KafkaNames {
  kafka::ApiKey key;
  std::string request;
  std::string response;
};

// "ListOffsets" -> "list_offsets".
std::string snake_case(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (std::isupper(static_cast<unsigned char>(c)) && !out.empty()) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

const std::vector<KafkaNames>& kafka_names() {
  static const std::vector<KafkaNames> names = [] {
    std::vector<KafkaNames> out;
    for (const kafka::Api& api : kafka::apis())
      out.push_back({api.key, snake_case(api.name) + "_request", snake_case(api.name) + "_response"});
    return out;
  }();
  return names;
}

const KafkaNames* find_kafka_names(kafka::ApiKey key) {
  auto it = std::ranges::find(kafka_names(), key, &KafkaNames::key);
  return it == kafka_names().end() ? nullptr : &*it;
}

// No answer follows.
bool is_unanswered(const kafka::RequestFrame& request) {
  if (request.header.api_key != kafka::ApiKey::produce) return false;
  auto produce = kafka::decode<kafka::ProduceRequest>(request.header.api_version, request.body);
  return produce && produce->acks == 0;
}

}  // namespace

std::vector<std::string_view> peer_kinds() {
  std::vector<std::string_view> out;
  for (const FrameName& frame : kFrameNames) out.push_back(frame.name);
  out.insert(out.end(), kRaftNames.begin(), kRaftNames.end());
  out.insert(out.end(), kFormationNames.begin(), kFormationNames.end());
  for (const ControllerNames& names : kControllerNames) {
    out.push_back(names.request);
    out.push_back(names.reply);
  }
  return out;
}

std::vector<std::string_view> held_kinds() {
  std::vector<std::string_view> out = peer_kinds();
  for (const KafkaNames& names : kafka_names()) {
    out.push_back(names.request);
    out.push_back(names.response);
  }
  return out;
}

std::vector<std::string_view> hold_ends() { return {"leader_change", "isr_change", "controller_change"}; }

// --- HeldMessages ----------------------------------------------------------------------------------------------------------------

void HeldMessages::on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes, std::vector<Message>& found) {
  const bool peer = info.acceptor.port == peer_port_;
  if (!peer && info.acceptor.port != kafka_port_) return;
  Connection& connection = connections_[info.id];
  Direction& direction = connection.directions[from_dialer ? 0 : 1];
  const uint32_t from = from_dialer ? info.dialer_node : info.acceptor_node;
  const uint32_t to = from_dialer ? info.acceptor_node : info.dialer_node;
  if (direction.lost) return;
  auto on_frame = [&](const SharedBytes& body) {
    const std::string_view kind = peer          ? peer_kind(from, to, body)
                                  : from_dialer ? request_kind(connection, body)
                                                : response_kind(connection, body);
    if (!kind.empty()) {
      found.push_back({direction.begin, kind});
      sent_.insert(kind);
    }
    direction.begin += kFrameLengthBytes + body.size();
  };
  direction.lost = !direction.cutter.feed(bytes, on_frame);
}

std::string_view HeldMessages::peer_kind(uint32_t from, uint32_t to, const SharedBytes& body) {
  auto frame = broker::peer::decode(body);
  if (!frame) return {};
  if (auto it = std::ranges::find(kFrameNames, frame->kind, &FrameName::kind); it != kFrameNames.end()) return it->name;
  if (frame->kind == FrameKind::raft) {
    auto message = unpack<raft::Message>(frame->metadata);
    return message ? kRaftNames[message->body.index()] : std::string_view();
  }
  if (frame->kind == FrameKind::formation) {
    auto message = unpack<raft::FormationMessage>(frame->metadata);
    return message ? kFormationNames[message->index()] : std::string_view();
  }
  if (frame->kind == FrameKind::controller_request) {
    auto request = unpack<metadata::ControllerRequest>(frame->metadata);
    if (!request) return {};
    const ControllerNames& names = kControllerNames[request->body.index()];
    asked_[{from, request->id}] = names.reply;
    return names.request;
  }
  if (frame->kind == FrameKind::controller_reply) {
    auto reply = unpack<metadata::ControllerReply>(frame->metadata);
    auto asked = reply ? asked_.find({to, reply->id}) : asked_.end();
    return asked == asked_.end() ? std::string_view() : asked_.extract(asked).mapped();
  }
  return {};
}

std::string_view HeldMessages::request_kind(Connection& connection, const SharedBytes& body) {
  auto frame = kafka::decode_request_header(body);
  if (!frame) return {};
  const KafkaNames* names = find_kafka_names(frame->header.api_key);
  if (!is_unanswered(*frame)) connection.owed.push_back({frame->header.correlation_id, names ? names->response : std::string_view()});
  return names ? names->request : std::string_view();
}

std::string_view HeldMessages::response_kind(Connection& connection, const SharedBytes& body) {
  auto id = kafka::peek_correlation_id(body);
  if (!id || connection.owed.empty() || connection.owed.front().correlation_id != *id) return {};
  const std::string_view kind = connection.owed.front().kind;
  connection.owed.pop_front();
  return kind;
}

// --- HoldEnds --------------------------------------------------------------------------------------------------------------------

std::vector<std::string_view> HoldEnds::look() {
  bool leader = false, isr = false, controller = false;
  const metadata::Catalogue* catalogue = cluster_.newest_catalogue();
  // What another node, which has applied less, takes for the state was the state before.
  if (catalogue && catalogue->applied() > applied_) {
    applied_ = catalogue->applied();
    for (const auto& [stream, p] : catalogue->partitions()) {
      auto [it, fresh] = partitions_.try_emplace(stream, Seen{p.leader, p.isr_nodes()});
      if (fresh) continue;
      if (p.leader != kNoNode) leader |= std::exchange(it->second.leader, p.leader) != p.leader;
      isr |= it->second.isr != p.isr_nodes();
      it->second.isr = p.isr_nodes();
    }
  }
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const NodeId id = Cluster::broker_id(i);
    const broker::Node* broker = cluster_.running(id);
    if (!broker || !broker->is_controller() || id == controller_) continue;
    controller |= controller_ != kNoNode;
    controller_ = id;
    break;
  }
  std::vector<std::string_view> out;
  if (leader) out.push_back("leader_change");
  if (isr) out.push_back("isr_change");
  if (controller) out.push_back("controller_change");
  return out;
}

}  // namespace sg::scenario
