// What nodes send each other: the frame, every message that it carries, and the catalogue's records and snapshots inside Raft's.
#include <map>

#include "base/archive.h"
#include "base/crc32c.h"
#include "broker/metadata/catalogue.h"
#include "broker/metadata/invariants.h"
#include "broker/metadata/messages.h"
#include "broker/metadata/records.h"
#include "broker/peer/frame.h"
#include "broker/raft/formation.h"
#include "broker/raft/messages.h"
#include "broker/replica/messages.h"
#include "tests/base/nth_run.h"
#include "tests/hostile/target.h"

namespace sg::hostile {
namespace {

using namespace broker::peer;
using namespace metadata;

// The largest element per packed byte is a topic's name and value (two strings in eight bytes) or a list in four; four times that, since
// a vector that grows asks for twice its size and for all sizes before. Maps and sets: a node per element. And an error's text.
size_t packed_allowance(size_t bytes) { return 48 * bytes + 4096; }

// --- Packed messages --------------------------------------------------------------------------------------------------------------

template <class T>
void look_at(const T&) {}
void look_at(const raft::Message& message) {
  (void)raft::well_formed(message);
  (void)raft::to_string(message);
}

template <class T>
Verdict decode_packed(const SharedBytes& bytes) {
  Verdict verdict;
  auto value = within(packed_allowance(bytes.size()), verdict, [&] { return unpack<T>(bytes); });
  if (!value) {
    if (!value.is(Errc::corrupt)) verdict.complain(fmt::format("refused as {}, expected corrupt", to_string(value.code())));
    return verdict;
  }
  verdict.decoded = true;
  look_at(*value);
  if (ByteVec packed = pack(*value); !equal(packed, bytes)) verdict.complain("one value, two encodings; the other: " + to_hex(packed));
  return verdict;
}

template <class T>
Target packed(std::string name, const std::vector<T>& samples) {
  Target target{.name = std::move(name), .corpus = {}, .decode = &decode_packed<T>};
  for (const T& sample : samples) target.corpus.push_back(pack(sample));
  return target;
}

// --- Samples ----------------------------------------------------------------------------------------------------------------------

std::vector<Record> records() {
  return {SetCluster{Uuid{1, 2}},
          RegisterBroker{NodeId(1),
                         Run{Uuid{5, 6}, Incarnation(4), 1},
                         VoterId(1),
                         {"kafka.example", 9092},
                         {"10.0.0.3", 9192},
                         "r1",
                         false,
                         {StreamId(17)}},
          RegisterBroker{NodeId(4), Run{Uuid{5, 9}, Incarnation(1), 1}, VoterId(1), {"k", 9092}, {"p", 9192}, "", true, {}},
          FenceBroker{NodeId(1), BrokerEpoch(2)},
          UnfenceBroker{NodeId(1), BrokerEpoch(2)},
          DrainBroker{NodeId(2), BrokerEpoch(3)},
          ReportDamage{NodeId(1), BrokerEpoch(2), {StreamId(16), StreamId(18)}},
          CreateTopic{"new", Uuid{7, 8}, {{NodeId(1), NodeId(2)}, {NodeId(2), NodeId(1)}}, 2, {{"min.insync.replicas", "2"}}},
          DeleteTopic{Uuid{7, 7}},
          ChangeIsr{StreamId(16), NodeId(1), BrokerEpoch(2), LeaderEpoch(0), PartitionEpoch(0), {{NodeId(1), BrokerEpoch(2)}}},
          AllocateProducerIds{NodeId(1), BrokerEpoch(2), 1000},
          Healed{NodeId(1), BrokerEpoch(2), {StreamId(16)}},
          HistoryCut{StreamId(40), LeaderEpoch(7)}};
}

// Three live brokers, of epochs 2, 3 and 4, and one topic.
Catalogue small_catalogue() {
  Catalogue catalogue;
  int64_t index = 0;
  auto apply = [&](const Record& record) {
    auto applied = catalogue.apply(LogIndex(++index), record);
    ENSURE(applied, "{}: {}", describe(record), applied.error().what);
  };
  apply(SetCluster{Uuid{1, 2}});
  for (int32_t node : {1, 2, 3})
    apply(RegisterBroker{NodeId(node),
                         Run{Uuid{5, static_cast<uint64_t>(5 + node)}, Incarnation(3), 1},
                         VoterId(1),
                         {"k", 9092},
                         {"p", 9192},
                         "",
                         true,
                         {}});
  for (int32_t node : {1, 2, 3}) apply(UnfenceBroker{NodeId(node), BrokerEpoch(1 + node)});
  apply(CreateTopic{"t", Uuid{7, 7}, {{NodeId(1), NodeId(2), NodeId(3)}, {NodeId(2), NodeId(3), NodeId(1)}}, 2, {{"a", "b"}}});
  return catalogue;
}

raft::Configuration three_voters() {
  raft::Configuration c;
  for (int32_t i = 1; i <= 3; ++i) c.voters.push_back({NodeId(i), VoterId(static_cast<uint64_t>(5 + i))});
  c.next = c.voters;
  c.next[2].id = VoterId(77);
  c.addresses[NodeId(1)] = {"host", 9192};
  c.founders.push_back(NodeId(1));
  return c;
}

std::vector<raft::FormationMessage> formation_messages() {
  raft::Promise promise;
  promise.round = {3, NodeId(1)};
  promise.cluster_id = Uuid{1, 2};
  promise.configuration = three_voters();
  raft::Answer answer;
  answer.round = promise.round;
  answer.list.push_back(NodeId(1));
  answer.cluster_id = Uuid{1, 2};
  std::vector<raft::FormationMessage> out;
  out.push_back(raft::Ask{promise.round});
  out.push_back(answer);
  out.push_back(raft::Propose{promise});
  out.push_back(raft::Promised{promise.round});
  out.push_back(raft::Formed{promise.cluster_id});
  return out;
}

std::vector<raft::Message> raft_messages() {
  auto bytes = [](const Record& record) { return SharedBytes::copy_of(encode(record)); };
  std::vector<raft::MessageBody> bodies{
      raft::RequestVote{true, false, LogIndex(8), Term(2)},
      raft::RequestVoteReply{false, true},
      raft::AppendEntries{LogIndex(8), Term(2), LogIndex(7), {}},
      raft::AppendEntries{LogIndex(8),
                          Term(2),
                          LogIndex(7),
                          {{Term(2), LogIndex(9), raft::EntryKind::noop, {}},
                           {Term(3), LogIndex(10), raft::EntryKind::command, bytes(records()[1])},
                           {Term(3), LogIndex(11), raft::EntryKind::command, bytes(records()[7])}}},
      raft::AppendEntriesReply{false, LogIndex(0), LogIndex(8), LogIndex(5), Term(1)},
      raft::InstallSnapshot{
          0, true, LogIndex(9), {LogIndex(9), Term(2), three_voters(), SharedBytes::copy_of(small_catalogue().snapshot())}},
      raft::InstallSnapshotReply{LogIndex(9)},
      raft::TimeoutNow{},
      raft::Distrust{LogIndex(7)}};
  bodies.push_back(raft::AppendEntries{
      LogIndex(11), Term(3), LogIndex(9), {{Term(3), LogIndex(12), raft::EntryKind::configuration, raft::encode(three_voters())}}});
  std::vector<raft::Message> messages;
  for (raft::MessageBody& body : bodies)
    messages.push_back({NodeId(1), NodeId(2), VoterId(6), sg::test::nth_run(3), sg::test::nth_run(4), Term(3), std::move(body)});
  return messages;
}

std::vector<ControllerRequest> controller_requests() {
  return {{1,
           RegisterBroker{
               NodeId(1), Run{Uuid{5, 6}, Incarnation(4), 1}, VoterId(1), {"host", 9092}, {"peer", 9192}, "rack", true, {StreamId(17)}}},
          {2, DrainBroker{NodeId(1), BrokerEpoch(2)}},
          {3, ReportDamage{NodeId(1), BrokerEpoch(2), {StreamId(16)}}},
          {4, ChangeIsr{StreamId(16), NodeId(1), BrokerEpoch(2), LeaderEpoch(0), PartitionEpoch(0), {{NodeId(1), BrokerEpoch(2)}}}},
          {5,
           CreateTopicsRequest{
               {{"t", Uuid{3, 4}, 3, -1, {{NodeId(1), NodeId(2)}, {NodeId(2)}}, {{"name", "value"}}}, {"u", {}, 1, 3, {}, {}}}, true}},
          {6, DeleteTopicsRequest{{{"t", Uuid{}}, {"", Uuid{7, 7}}}}},
          {7, AllocateProducerIds{NodeId(1), BrokerEpoch(2), 1000}}};
}

std::vector<ControllerReply> controller_replies() {
  return {
      {1, ControllerError::stale, "why", std::monostate{}},
      {2, ControllerError::none, "", RegisterReply{BrokerEpoch(2), Uuid{1, 2}}},
      {3, ControllerError::none, "", DrainReply{1}},
      {4, ControllerError::none, "", ChangeIsrReply{StreamId(16), NodeId(1), LeaderEpoch(2), PartitionEpoch(3), {NodeId(1), NodeId(2)}}},
      {5, ControllerError::none, "", CreateTopicsReply{{{"t", ControllerError::exists, "it exists", Uuid{7, 7}, 3, 3}}, LogIndex(9)}},
      {6, ControllerError::none, "", DeleteTopicsReply{{{"t", Uuid{7, 7}, ControllerError::none, ""}}, LogIndex(9)}},
      {7, ControllerError::none, "", AllocateProducerIdsReply{ProducerId(1000), 1000}}};
}

const std::vector<Hello> kHellos{{.link = LinkKind::replication,
                                  .cluster_id = Uuid{1, 2},
                                  .lineage = 3,
                                  .from = NodeId(3),
                                  .to = NodeId(4),
                                  .run = sg::test::nth_run(5),
                                  .voter = VoterId(6),
                                  .host = "10.0.0.3",
                                  .port = 9192}};
const std::vector<HelloReply> kHelloReplies{{false, "another cluster", Uuid{1, 2}, 3, NodeId(4), sg::test::nth_run(5), VoterId(6)}};
const std::vector<Heartbeat> kHeartbeats{{NodeId(1), sg::test::nth_run(4), BrokerEpoch(2), LogIndex(9), 7}};
const std::vector<HeartbeatReply> kHeartbeatReplies{{NodeId(1), sg::test::nth_run(4), 7, HeartbeatStatus::ok, LogIndex(3)}};
const std::vector<replica::Subscribe> kSubscribes{{StreamId(16), LeaderEpoch(1), BrokerEpoch(2), 3, Offset(4), LeaderEpoch(0)}};
const std::vector<replica::Unsubscribe> kUnsubscribes{{StreamId(16), 3}};
const std::vector<replica::Ack> kAcks{{StreamId(16), LeaderEpoch(1), BrokerEpoch(2), 3, Offset(4)}};
const std::vector<replica::Diverged> kDiverged{{StreamId(16), LeaderEpoch(1), 3, LeaderEpoch(0), Offset(4)}};
const std::vector<replica::Data> kData{{StreamId(16), LeaderEpoch(1), 3, Offset(4), Offset(0), {}},
                                       {StreamId(16), LeaderEpoch(1), 3, Offset(4), Offset(0), {70, 80, 90}}};
const std::vector<replica::Refused> kRefused{{StreamId(16), LeaderEpoch(1), 3, replica::RefuseReason::not_a_replica}};

// --- Frames -----------------------------------------------------------------------------------------------------------------------

constexpr size_t kFrameHeaderBytes = 12;

// What reads the metadata of each kind.
const std::map<FrameKind, Verdict (*)(const SharedBytes&)> kMetadata{
    {FrameKind::hello, &decode_packed<Hello>},
    {FrameKind::hello_reply, &decode_packed<HelloReply>},
    {FrameKind::raft, &decode_packed<raft::Message>},
    {FrameKind::heartbeat, &decode_packed<Heartbeat>},
    {FrameKind::controller_request, &decode_packed<ControllerRequest>},
    {FrameKind::controller_reply, &decode_packed<ControllerReply>},
    {FrameKind::heartbeat_reply, &decode_packed<HeartbeatReply>},
    {FrameKind::subscribe, &decode_packed<replica::Subscribe>},
    {FrameKind::unsubscribe, &decode_packed<replica::Unsubscribe>},
    {FrameKind::ack, &decode_packed<replica::Ack>},
    {FrameKind::diverged, &decode_packed<replica::Diverged>},
    {FrameKind::data, &decode_packed<replica::Data>},
    {FrameKind::refused, &decode_packed<replica::Refused>},
};

ByteVec frame(FrameKind kind, ByteSpan metadata, std::string_view payload) {
  ByteVec body = encode_head(kind, metadata, payload.size());
  body.erase(body.begin(), body.begin() + 4);
  body.insert(body.end(), payload.begin(), payload.end());
  return body;
}

Verdict decode_frame(const SharedBytes& body) {
  Verdict verdict;
  auto decoded = within(1024, verdict, [&] { return decode(body); });
  if (!decoded) {
    if (!decoded.is(Errc::corrupt) && !decoded.is(Errc::unsupported))
      verdict.complain(fmt::format("refused as {}, expected corrupt or unsupported", to_string(decoded.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (decoded->metadata.size() + decoded->payload.size() + kFrameHeaderBytes != body.size())
    verdict.complain("its parts are not the whole");
  auto again = decode(SharedBytes::copy_of(frame(decoded->kind, decoded->metadata, as_text(decoded->payload))));
  if (!again || again->kind != decoded->kind || !equal(again->metadata, decoded->metadata) || !equal(again->payload, decoded->payload))
    verdict.complain("comes back as another frame");
  if (auto reader = kMetadata.find(decoded->kind); reader != kMetadata.end()) verdict.complain(reader->second(decoded->metadata).complaint);
  return verdict;
}

void seal_frame(MutableByteSpan body) {
  if (body.size() < kFrameHeaderBytes) return;
  uint32_t metadata_bytes = load_le<uint32_t>(body.data() + 8);
  if (metadata_bytes > body.size() - kFrameHeaderBytes) return;
  store_le<uint32_t>(body.data(), crc32c(ByteSpan(body).subspan(4, kFrameHeaderBytes - 4 + metadata_bytes)));
}

Target frames() {
  Target target{.name = "peer frame", .corpus = {}, .decode = &decode_frame, .seal = &seal_frame};
  auto add = [&](FrameKind kind, const auto& samples) {
    for (const auto& sample : samples) target.corpus.push_back(frame(kind, pack(sample), kind == FrameKind::data ? "record batches" : ""));
  };
  add(FrameKind::hello, kHellos);
  add(FrameKind::hello_reply, kHelloReplies);
  add(FrameKind::raft, raft_messages());
  add(FrameKind::formation, formation_messages());
  add(FrameKind::heartbeat, kHeartbeats);
  add(FrameKind::controller_request, controller_requests());
  add(FrameKind::controller_reply, controller_replies());
  add(FrameKind::heartbeat_reply, kHeartbeatReplies);
  add(FrameKind::subscribe, kSubscribes);
  add(FrameKind::unsubscribe, kUnsubscribes);
  add(FrameKind::ack, kAcks);
  add(FrameKind::diverged, kDiverged);
  add(FrameKind::data, kData);
  add(FrameKind::refused, kRefused);
  return target;
}

// --- The catalogue ----------------------------------------------------------------------------------------------------------------

// Decoded, and applied to a catalogue in which it may mean something.
Verdict decode_catalogue_record(const SharedBytes& bytes) {
  Verdict verdict;
  auto record = within(packed_allowance(bytes.size()), verdict, [&] { return decode_record(bytes); });
  if (!record) {
    if (!record.is(Errc::corrupt) && !record.is(Errc::unsupported))
      verdict.complain(fmt::format("refused as {}, expected corrupt or unsupported", to_string(record.code())));
    return verdict;
  }
  verdict.decoded = true;
  // Older versions are read, never written.
  if (ByteVec encoded = encode(*record); bytes.data()[0] == kRecordVersion && !equal(encoded, bytes))
    verdict.complain("one record, two encodings; the other: " + to_hex(encoded));
  (void)describe(*record);
  static const Catalogue before = small_catalogue();
  Catalogue after = before;
  (void)after.apply(before.applied() + 1, *record);
  for (const std::string& violation : check_state(after)) verdict.complain("applied: " + violation);
  for (const std::string& violation : check_transition(before, after)) verdict.complain("applied: " + violation);
  return verdict;
}

Verdict decode_snapshot(const SharedBytes& bytes) {
  Verdict verdict;
  Catalogue catalogue;
  auto restored = within(packed_allowance(bytes.size()), verdict, [&] { return catalogue.restore(bytes); });
  if (!restored) {
    if (!restored.is(Errc::corrupt) && !restored.is(Errc::unsupported) && !restored.is(Errc::invalid))
      verdict.complain(fmt::format("refused as {}", to_string(restored.code())));
    if (catalogue.snapshot() != Catalogue().snapshot()) verdict.complain("is refused, and changes the catalogue");
    return verdict;
  }
  verdict.decoded = true;
  if (ByteVec again = catalogue.snapshot(); again[0] == bytes.data()[0] && !equal(again, bytes))
    verdict.complain("one catalogue, two snapshots; the other: " + to_hex(again));
  return verdict;
}

Target catalogue_records() {
  Target target{.name = "catalogue record", .corpus = {}, .decode = &decode_catalogue_record};
  for (const Record& record : records()) target.corpus.push_back(encode(record));
  return target;
}

}  // namespace

std::vector<Target> peer_targets() {
  return {frames(),
          packed("Hello", kHellos),
          packed("HelloReply", kHelloReplies),
          packed("raft::Message", raft_messages()),
          packed("raft::FormationMessage", formation_messages()),
          packed("Heartbeat", kHeartbeats),
          packed("HeartbeatReply", kHeartbeatReplies),
          packed("ControllerRequest", controller_requests()),
          packed("ControllerReply", controller_replies()),
          packed("Subscribe", kSubscribes),
          packed("Unsubscribe", kUnsubscribes),
          packed("Ack", kAcks),
          packed("Diverged", kDiverged),
          packed("Data", kData),
          packed("Refused", kRefused),
          catalogue_records(),
          {.name = "catalogue snapshot", .corpus = {Catalogue().snapshot(), small_catalogue().snapshot()}, .decode = &decode_snapshot}};
}

}  // namespace sg::hostile
