// Messages against bytes written by hand from Kafka's definitions, and what the codec does with tags, nulls and lies.
#include "broker/kafka/codec.h"

#include <doctest/doctest.h>

#include "broker/kafka/api_versions.h"
#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/find_coordinator.h"
#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"
#include "tests/kafka/hex.h"

using namespace sg;
using namespace sg::kafka;
using sg::kafka_test::hex;

namespace {

// The message has these bytes, and these bytes are the message.
template <class Message>
void check_both_ways(int16_t version, const Message& message, std::string_view expected) {
  Gather out;
  encode(out, version, message);
  CHECK(to_hex(out.flatten()) == to_hex(hex(expected)));
  auto decoded = decode<Message>(version, SharedBytes::copy_of(hex(expected)));
  REQUIRE(decoded.has_value());
  CHECK(*decoded == message);
}

template <class Message>
bool refuses(int16_t version, std::string_view body) {
  return decode<Message>(version, SharedBytes::copy_of(hex(body))).is(Errc::invalid);
}

}  // namespace

TEST_CASE("Produce request") {
  ProduceRequest request{.transactional_id = std::nullopt,
                         .acks = -1,
                         .timeout_ms = 30'000,
                         .topic_data = {{"t", {{2, SharedBytes::copy_of(hex("aabbcc"))}, {3, std::nullopt}}}}};
  check_both_ways(3, request, "ffff ffff 00007530  00000001 0001 74  00000002 00000002 00000003 aabbcc  00000003 ffffffff");
  check_both_ways(9, request, "00 ffff 00007530  02 02 74  03 00000002 04 aabbcc 00  00000003 00 00  00 00");
  request.transactional_id = "x";
  request.topic_data.clear();
  check_both_ways(8, request, "0001 78 ffff 00007530 00000000");
}

TEST_CASE("Produce response") {
  ProduceResponse::Partition partition;
  partition.index = 1;
  partition.error_code = ErrorCode::not_leader_or_follower;
  partition.base_offset = Offset{-1};
  ProduceResponse response{.responses = {{"t", {partition}}}, .throttle_time_ms = 5, .node_endpoints = {}};
  check_both_ways(3, response, "00000001 0001 74 00000001 00000001 0006 ffffffffffffffff ffffffffffffffff 00000005");

  ProduceResponse::Partition& full = response.responses[0].partition_responses[0];
  full.log_start_offset = Offset{4};
  full.record_errors = {{0, "bad"}, {1, std::nullopt}};
  full.error_message = "no";
  check_both_ways(8, response,
                  "00000001 0001 74 00000001 00000001 0006 ffffffffffffffff ffffffffffffffff 0000000000000004"
                  "00000002 00000000 0003 626164 00000001 ffff  0002 6e6f  00000005");
  full.current_leader = {NodeId{2}, LeaderEpoch{7}};
  response.node_endpoints = {{NodeId{2}, "h", 9092, std::nullopt}};
  check_both_ways(10, response,
                  "02 02 74 02 00000001 0006 ffffffffffffffff ffffffffffffffff 0000000000000004"
                  "03 00000000 04 626164 00 00000001 00 00  03 6e6f  01 00 09 00000002 00000007 00  00  00000005"
                  "01 00 0d 02 00000002 02 68 00002384 00 00");
}

TEST_CASE("Fetch request") {
  FetchRequest::Partition partition;
  partition.partition = 3;
  partition.fetch_offset = Offset{16};
  partition.partition_max_bytes = 4096;
  FetchRequest request;
  request.max_wait_ms = 500;
  request.min_bytes = 1;
  request.max_bytes = 65536;
  request.topics = {{"t", {partition}}};
  check_both_ways(4, request, "ffffffff 000001f4 00000001 00010000 00  00000001 0001 74 00000001 00000003 0000000000000010 00001000");
  check_both_ways(11, request,
                  "ffffffff 000001f4 00000001 00010000 00 00000000 ffffffff"
                  "00000001 0001 74 00000001 00000003 ffffffff 0000000000000010 ffffffffffffffff 00001000  00000000 0000");
  request.cluster_id = "c";
  request.forgotten_topics_data = {{"u", {1, 2}}};
  check_both_ways(12, request,
                  "ffffffff 000001f4 00000001 00010000 00 00000000 ffffffff"
                  "02 02 74 02 00000003 ffffffff 0000000000000010 ffffffff ffffffffffffffff 00001000 00 00"
                  "02 02 75 03 00000001 00000002 00  01  01 00 02 02 63");
}

TEST_CASE("Fetch response: several batches leave as shared pieces between encoded runs") {
  FetchResponse::Partition partition;
  partition.high_watermark = Offset{9};
  partition.last_stable_offset = Offset{9};
  partition.records = Records{{SharedBytes::copy_of(hex("a1a2")), SharedBytes::copy_of(hex("b1"))}};
  FetchResponse response;
  response.responses = {{"t", {partition}}};
  check_both_ways(4, response,
                  "00000000 00000001 0001 74 00000001 00000000 0000 0000000000000009 0000000000000009 ffffffff 00000003 a1a2b1");

  Gather out;
  encode(out, 4, response);
  size_t size = out.size();
  auto runs = std::move(out).finish();
  REQUIRE(runs.size() == 3);  // nothing follows the records
  CHECK(runs[1].data() == partition.records->pieces[0].data());
  CHECK(runs[2].data() == partition.records->pieces[1].data());
  CHECK(runs[0].size() + 3 == size);
}

TEST_CASE("Fetch response: tagged fields of version 12") {
  FetchResponse::Partition partition;
  partition.aborted_transactions.emplace();
  partition.diverging_epoch = {LeaderEpoch{3}, Offset{5}};
  partition.snapshot_id = {Offset{6}, LeaderEpoch{2}};
  FetchResponse response;
  response.responses = {{"t", {partition}}};
  check_both_ways(12, response,
                  "00000000 0000 00000000 02 02 74 02 00000000 0000 0000000000000000 ffffffffffffffff ffffffffffffffff 01 ffffffff 00"
                  "02 00 0d 00000003 0000000000000005 00 02 0d 0000000000000006 00000002 00  00 00");
}

TEST_CASE("Produce: record bytes stay in the frame") {
  SharedBytes body = SharedBytes::copy_of(hex("ffff ffff 00007530  00000001 0001 74  00000001 00000002 00000003 aabbcc"));
  auto request = decode<ProduceRequest>(3, body);
  REQUIRE(request.has_value());
  CHECK(request->topic_data[0].partition_data[0].records->data() == body.data() + body.size() - 3);
}

TEST_CASE("ListOffsets") {
  ListOffsetsRequest request{
      .replica_id = kNoNode, .isolation_level = 0, .topics = {{"t", {{1, kNoLeaderEpoch, ListOffsetsRequest::kLatest}}}}};
  check_both_ways(1, request, "ffffffff 00000001 0001 74 00000001 00000001 ffffffffffffffff");
  check_both_ways(6, request, "ffffffff 00 02 02 74 02 00000001 ffffffff ffffffffffffffff 00 00 00");
  ListOffsetsResponse response{.throttle_time_ms = 0, .topics = {{"t", {{1, ErrorCode::none, -1, Offset{7}, kNoLeaderEpoch}}}}};
  check_both_ways(1, response, "00000001 0001 74 00000001 00000001 0000 ffffffffffffffff 0000000000000007");
  response.topics[0].partitions[0].leader_epoch = LeaderEpoch{4};
  check_both_ways(4, response, "00000000 00000001 0001 74 00000001 00000001 0000 ffffffffffffffff 0000000000000007 00000004");
}

TEST_CASE("Metadata request: all topics and no topics") {
  MetadataRequest all;
  MetadataRequest none;
  none.topics.emplace();
  check_both_ways(0, none, "00000000");
  check_both_ways(1, all, "ffffffff");
  check_both_ways(1, none, "00000000");
  check_both_ways(9, all, "00 01 00 00 00");
  check_both_ways(12, none, "01 01 00 00");
  Gather out;
  encode(out, 0, all);  // version 0 knows no null: its empty list means all
  CHECK(to_hex(out.flatten()) == "00000000");
  CHECK(refuses<MetadataRequest>(0, "ffffffff"));
}

TEST_CASE("Metadata: topics by name and by id") {
  MetadataRequest request;
  request.topics = {{Uuid{1, 2}, std::nullopt}};
  check_both_ways(12, request, "02 0000000000000001 0000000000000002 00 00 01 00 00");
  CHECK(refuses<MetadataRequest>(9, "02 00 00 01 00 00 00"));  // a null name

  MetadataResponse::Partition partition;
  partition.leader_id = NodeId{1};
  partition.replica_nodes = {NodeId{1}, NodeId{2}};
  partition.isr_nodes = {NodeId{1}};
  MetadataResponse::Topic topic;
  topic.name = "t";
  topic.partitions = {partition};
  MetadataResponse response;
  response.brokers = {{NodeId{1}, "h", 9092, std::nullopt}};
  response.topics = {topic};
  check_both_ways(0, response,
                  "00000001 00000001 0001 68 00002384  00000001 0000 0001 74 00000001"
                  "0000 00000000 00000001 00000002 00000001 00000002 00000001 00000001");
  response.controller_id = NodeId{1};
  response.cluster_id = "c";
  response.topics[0].partitions[0].leader_epoch = LeaderEpoch{3};
  response.topics[0].topic_id = Uuid{1, 2};
  check_both_ways(12, response,
                  "00000000 02 00000001 02 68 00002384 00 00  02 63 00000001"
                  "02 0000 02 74 0000000000000001 0000000000000002 00"
                  "02 0000 00000000 00000001 00000003 03 00000001 00000002 02 00000001 01 00  80000000 00 00");
}

TEST_CASE("FindCoordinator") {
  check_both_ways(0, FindCoordinatorRequest{.key = "g", .key_type = 0, .coordinator_keys = {}}, "0001 67");
  check_both_ways(4, FindCoordinatorRequest{.key = "", .key_type = 1, .coordinator_keys = {"a", "b"}}, "01 03 02 61 02 62 00");
  FindCoordinatorResponse response;
  response.error_code = ErrorCode::coordinator_not_available;
  response.node_id = kNoNode;
  response.port = -1;
  check_both_ways(0, response, "000f ffffffff 0000 ffffffff");
  response.error_message = "no";
  check_both_ways(1, response, "00000000 000f 0002 6e6f ffffffff 0000 ffffffff");
  FindCoordinatorResponse batched;
  batched.coordinators = {{"g", kNoNode, "", -1, ErrorCode::coordinator_not_available, std::nullopt}};
  check_both_ways(4, batched, "00000000 02 02 67 ffffffff 01 ffffffff 000f 00 00 00");
}

TEST_CASE("ApiVersions") {
  check_both_ways(0, ApiVersionsRequest{}, "");
  check_both_ways(3, ApiVersionsRequest{"l", "2"}, "02 6c 02 32 00");
  ApiVersionsResponse response;
  response.api_keys = {{ApiKey::api_versions, 0, 4}};
  response.error_code = ErrorCode::unsupported_version;
  check_both_ways(0, response, "0023 00000001 0012 0000 0004");
  response.error_code = ErrorCode::none;
  check_both_ways(3, response, "0000 02 0012 0000 0004 00 00000000 00");
  response.finalized_features_epoch = 0;
  response.finalized_features = {{"f", 2, 1}};
  response.zk_migration_ready = true;
  check_both_ways(4, response, "0000 02 0012 0000 0004 00 00000000  03 01 08 0000000000000000 02 08 02 02 66 0002 0001 00 03 01 01");
}

TEST_CASE("CreateTopics and DeleteTopics") {
  CreateTopicsRequest create;
  create.topics = {{"t", 3, -1, {{0, {NodeId{1}, NodeId{2}}}}, {{"k", "v"}, {"n", std::nullopt}}}};
  create.validate_only = true;
  check_both_ways(2, create,
                  "00000001 0001 74 00000003 ffff 00000001 00000000 00000002 00000001 00000002"
                  "00000002 0001 6b 0001 76 0001 6e ffff 0000ea60 01");
  check_both_ways(5, create, "02 02 74 00000003 ffff 02 00000000 03 00000001 00000002 00 03 02 6b 02 76 00 02 6e 00 00 00 0000ea60 01 00");
  CreateTopicsResponse created;
  created.topics.emplace_back();
  created.topics[0].name = "t";
  check_both_ways(2, created, "00000000 00000001 0001 74 0000 ffff");
  created.topics[0].topic_config_error_code = ErrorCode::topic_authorization_failed;
  created.topics[0].topic_id = Uuid{0, 1};
  check_both_ways(7, created, "00000000 02 02 74 0000000000000000 0000000000000001 0000 00 ffffffff ffff 00 01 00 02 001d 00");

  DeleteTopicsRequest by_name;
  by_name.topic_names = {"t"};
  by_name.timeout_ms = 1;
  check_both_ways(1, by_name, "00000001 0001 74 00000001");
  check_both_ways(4, by_name, "02 02 74 00000001 00");
  DeleteTopicsRequest by_id;
  by_id.topics = {{std::nullopt, Uuid{0, 9}}};
  check_both_ways(6, by_id, "02 00 0000000000000000 0000000000000009 00 00000000 00");
  DeleteTopicsResponse deleted;
  deleted.responses = {{"t", Uuid{}, ErrorCode::none, std::nullopt}};
  check_both_ways(1, deleted, "00000000 00000001 0001 74 0000");
  check_both_ways(5, deleted, "00000000 02 02 74 0000 00 00 00");
}

TEST_CASE("InitProducerId") {
  InitProducerIdRequest request;
  request.transaction_timeout_ms = 60'000;
  check_both_ways(0, request, "ffff 0000ea60");
  check_both_ways(3, request, "00 0000ea60 ffffffffffffffff ffff 00");
  InitProducerIdResponse response{
      .throttle_time_ms = 0, .error_code = ErrorCode::none, .producer_id = ProducerId{1000}, .producer_epoch = 0};
  check_both_ways(0, response, "00000000 0000 00000000000003e8 0000");
  check_both_ways(5, response, "00000000 0000 00000000000003e8 0000 00");
}

TEST_CASE("unknown tagged fields are skipped; tags out of order, twice, too long or not filled are refused") {
  auto names = [](std::string_view tags) { return "02 6c 02 32" + std::string(tags); };
  auto decoded = decode<ApiVersionsRequest>(3, SharedBytes::copy_of(hex(names("02 05 03 010203 07 00"))));
  REQUIRE(decoded.has_value());
  CHECK(decoded->client_software_name == "l");
  CHECK(refuses<ApiVersionsRequest>(3, names("02 07 00 05 03 010203")));
  CHECK(refuses<ApiVersionsRequest>(3, names("02 05 00 05 00")));
  CHECK(refuses<ApiVersionsRequest>(3, names("01 05 04 010203")));
  CHECK(refuses<ApiVersionsRequest>(3, names("ffffffff0f 05 00")));

  auto epoch = [](std::string_view tags) { return "0000 01 00000000" + std::string(tags); };
  CHECK(refuses<ApiVersionsResponse>(3, epoch("01 01 07 00000000000000")));      // shorter than its type
  CHECK(refuses<ApiVersionsResponse>(3, epoch("01 01 09 000000000000000000")));  // longer
  CHECK_FALSE(refuses<ApiVersionsResponse>(3, epoch("01 01 08 0000000000000001")));
}

TEST_CASE("lying counts and lengths are refused before anything is allocated for them") {
  for (std::string_view count : {"7fffffff", "00000002", "fffffffe", "80000000", "ffffffff"}) {
    CAPTURE(count);
    CHECK(refuses<ProduceRequest>(3, "ffff ffff 00007530 " + std::string(count) + "0000 00000000"));
    CHECK(refuses<ListOffsetsRequest>(1, "ffffffff " + std::string(count) + "0000 00000000"));
    CHECK(refuses<DeleteTopicsRequest>(1, std::string(count) + "0000 00000001"));
  }
  for (std::string_view count : {"00", "ffffffff0f", "ffffffff07", "ffffffffff", "ff00"}) {
    CAPTURE(count);
    CHECK(refuses<ProduceRequest>(9, "00 ffff 00007530 " + std::string(count)));
    CHECK(refuses<DeleteTopicsRequest>(4, std::string(count) + "00000001 00"));
  }
  CHECK(refuses<ProduceRequest>(3, "fffe ffff 00007530 00000000"));                                         // string length -2
  CHECK(refuses<ProduceRequest>(3, "ffff ffff 00007530 00000001 ffff 00000000"));                           // null name
  CHECK(refuses<ProduceRequest>(3, "ffff ffff 00007530 00000001 0000 00000001 00000000 fffffffe"));         // records of -2 bytes
  CHECK(refuses<ProduceRequest>(3, "ffff ffff 00007530 00000001 0000 00000001 00000000 00000004 aabbcc"));  // a byte missing
}

TEST_CASE("given a body of nothing but empty elements, then it may not blow up in memory") {
  constexpr size_t kCount = 1 << 20;
  ByteVec body;
  ByteWriter out(body);
  out.uvarint(kCount + 1);
  for (size_t i = 0; i < kCount; ++i) out.uvarint(1);  // an empty string: one byte here, 32 as an object
  out.be<int32_t>(0);
  out.uvarint(0);
  CHECK(decode<DeleteTopicsRequest>(4, SharedBytes::copy_of(body)).is(Errc::invalid));
}

TEST_CASE("text longer than the protocol's limit is cut when encoded, and refused when decoded") {
  FindCoordinatorResponse response;
  response.error_message = std::string(40'000, 'x');
  Gather out;
  encode(out, 3, response);
  auto decoded = decode<FindCoordinatorResponse>(3, SharedBytes::copy_of(out.flatten()));
  REQUIRE(decoded.has_value());
  CHECK(decoded->error_message->size() == INT16_MAX);

  ByteVec body;
  ByteWriter writer(body);
  writer.uvarint(INT16_MAX + 2);
  writer.zeros(INT16_MAX + 1);
  writer.be<int8_t>(0);
  writer.uvarint(0);
  CHECK(decode<FindCoordinatorRequest>(3, SharedBytes::copy_of(body)).is(Errc::invalid));
}

TEST_CASE("given a version of Produce that is advertised only, then it can be read and refused") {
  auto asked = decode<ProduceRequest>(2, SharedBytes::copy_of(hex("0001 000005dc 00000001 0001 74 00000001 00000007 00000002 abcd")));
  REQUIRE(asked.has_value());
  CHECK(asked->acks == 1);
  CHECK(asked->timeout_ms == 1500);
  REQUIRE(asked->topic_data.size() == 1);
  CHECK(asked->topic_data[0].partition_data[0].index == 7);
  ProduceResponse response;
  response.responses.emplace_back().name = "t";
  auto& refused = response.responses[0].partition_responses.emplace_back();
  refused.index = 7;
  refused.error_code = ErrorCode::unsupported_version;
  refused.base_offset = Offset(-1);
  const std::string common =
      "000000010001740000000100000007"
      "0023"
      "ffffffffffffffff";
  const std::string throttle = "00000000", log_append_time = "ffffffffffffffff";
  const std::string expected[] = {common, common + throttle, common + log_append_time + throttle};
  for (int16_t version : {0, 1, 2}) {
    Gather out;
    encode(out, version, response);
    CHECK(to_hex(out.flatten()) == expected[version]);
  }
}

TEST_CASE("what is not served says so") {
  CHECK(decode<ProduceRequest>(-1, SharedBytes()).is(Errc::unsupported));
  CHECK(decode<ProduceRequest>(12, SharedBytes()).is(Errc::unsupported));
  CHECK(reencode(true, 4711, 0, {}).is(Errc::unsupported));
  CHECK(reencode(true, 3, -1, {}).is(Errc::unsupported));
  auto malformed = decode<MetadataRequest>(4, SharedBytes::copy_of(hex("00000001 0005")));
  REQUIRE(malformed.is(Errc::invalid));
  CHECK(malformed.error().what == "Metadata v4: 6 bytes, malformed after byte 4");
}
