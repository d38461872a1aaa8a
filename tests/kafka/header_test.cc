// Headers, frames, and what the table of APIs derives.
#include "broker/kafka/header.h"

#include <doctest/doctest.h>

#include "broker/kafka/api_versions.h"
#include "broker/kafka/codec.h"
#include "broker/kafka/errors.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/metadata.h"
#include "tests/kafka/hex.h"

using namespace sg;
using namespace sg::kafka;
using sg::kafka_test::hex;

namespace {

ByteVec joined(const std::vector<SharedBytes>& runs) {
  ByteVec all;
  for (const SharedBytes& run : runs) all.insert(all.end(), run.data(), run.data() + run.size());
  return all;
}

SharedBytes frame_of(std::string_view text) { return SharedBytes::copy_of(hex(text)); }

}  // namespace

TEST_CASE("header versions follow from API and version") {
  CHECK(request_header_version(ApiKey::produce, 8) == 1);
  CHECK(request_header_version(ApiKey::produce, 9) == 2);
  CHECK(response_header_version(ApiKey::produce, 8) == 0);
  CHECK(response_header_version(ApiKey::produce, 9) == 1);
  CHECK(request_header_version(ApiKey::fetch, 11) == 1);
  CHECK(request_header_version(ApiKey::fetch, 12) == 2);
  CHECK(request_header_version(ApiKey::api_versions, 2) == 1);
  CHECK(request_header_version(ApiKey::api_versions, 3) == 2);
  CHECK(request_header_version(ApiKey::api_versions, 99) == 2);
  for (int16_t version : {0, 1, 2, 3, 4, 99}) CHECK(response_header_version(ApiKey::api_versions, version) == 0);
  CHECK(request_header_version(ApiKey::controlled_shutdown, 0) == 0);
}

TEST_CASE("what is advertised") {
  auto advertised = advertised_versions();
  REQUIRE(advertised.size() == apis().size());
  CHECK(advertised[0] == ApiVersionsResponse::ApiVersion{ApiKey::produce, 0, 11});
  CHECK(advertised[1] == ApiVersionsResponse::ApiVersion{ApiKey::fetch, 4, 12});
  CHECK_FALSE(find_api(ApiKey::produce)->served.contains(2));
  CHECK(find_api(ApiKey::produce)->served.contains(3));
  CHECK(find_api(ApiKey::join_group) == nullptr);
  CHECK(to_string(ApiKey::list_offsets) == "ListOffsets");
}

TEST_CASE("request headers") {
  auto v1 = decode_request_header(frame_of("0003 0004 00000007 0002 6162  00000000"));
  REQUIRE(v1.has_value());
  CHECK(v1->header == RequestHeader{ApiKey::metadata, 4, 7, "ab"});
  CHECK(to_hex(v1->body) == "00000000");
  auto v2 = decode_request_header(frame_of("0003 0009 00000007 ffff 01 03 02 0102  00"));
  REQUIRE(v2.has_value());
  CHECK_FALSE(v2->header.client_id.has_value());
  CHECK(to_hex(v2->body) == "00");
  auto unknown = decode_request_header(frame_of("7000 0009 00000007 ffff 99"));
  REQUIRE(unknown.has_value());
  CHECK(unknown->header.correlation_id == 7);
}

TEST_CASE("a request header that is cut off or lies is refused") {
  ByteVec whole = hex("0003 0009 00000007 0002 6162 01 03 02 0102");
  CHECK(decode_request_header(SharedBytes::copy_of(whole)).has_value());
  for (size_t length = 0; length < whole.size(); ++length) {
    CAPTURE(length);
    CHECK(decode_request_header(SharedBytes::copy_of(ByteSpan(whole).first(length))).is(Errc::invalid));
  }
  CHECK(decode_request_header(frame_of("0003 0004 00000007 fffe")).is(Errc::invalid));
  CHECK(decode_request_header(frame_of("0003 0004 00000007 7fff 61")).is(Errc::invalid));
  CHECK(decode_request_header(frame_of("0003 0009 00000007 0000 ffffffff0f 00")).is(Errc::invalid));
}

TEST_CASE("frames carry length, header and body") {
  MetadataRequest all;
  CHECK(to_hex(joined(request_frame(1, 5, "c", all))) == to_hex(hex("0000000f 0003 0001 00000005 0001 63 ffffffff")));
  CHECK(to_hex(joined(request_frame(9, 5, std::nullopt, all))) == to_hex(hex("00000010 0003 0009 00000005 ffff 00  00 01 00 00 00")));
  CHECK(to_hex(joined(response_frame(3, 5, ApiVersionsResponse{}))) == to_hex(hex("0000000c 00000005 0000 01 00000000 00")));
  CHECK(to_hex(joined(response_frame(12, 5, FetchResponse{}))) == to_hex(hex("00000011 00000005 00 00000000 0000 00000000 01 00")));
  auto response = decode_response_header(ApiKey::fetch, 12, frame_of("00000005 00 aa"));
  REQUIRE(response.has_value());
  CHECK(response->correlation_id == 5);
  CHECK(to_hex(response->body) == "aa");
  CHECK(decode_response_header(ApiKey::fetch, 12, frame_of("00000005")).is(Errc::invalid));
  CHECK(*peek_correlation_id(hex("00000005 00")) == 5);
  CHECK(peek_correlation_id(hex("000005")).is(Errc::invalid));
}

TEST_CASE("error codes have Kafka's names") {
  CHECK(to_string(ErrorCode::not_leader_or_follower) == "NOT_LEADER_OR_FOLLOWER");
  CHECK(to_string(ErrorCode::unknown_server_error) == "UNKNOWN_SERVER_ERROR");
  CHECK(to_string(static_cast<ErrorCode>(4711)) == "ERROR_4711");
  CHECK(is_retriable(ErrorCode::not_leader_or_follower));
  CHECK_FALSE(is_retriable(ErrorCode::message_too_large));
  CHECK_FALSE(is_retriable(static_cast<ErrorCode>(4711)));
}
