// Every served message in every served version, as the table of APIs names them, and the headers in front of them.
#include <map>
#include <tuple>

#include "broker/kafka/describe.h"
#include "tests/hostile/target.h"
#include "tests/kafka/wire_cases.h"

namespace sg::hostile {
namespace {

using namespace kafka;

// Decoding, and encoding what came out. Elements: the Decoder's budget, and never more than the largest element per byte (a string in
// one byte) allows; four times that, since a vector that grows asks for twice its size and for all sizes before. Bytes: the copy, the
// texts, the encoding (which grows, too). And an error's text.
size_t message_allowance(size_t bytes) {
  size_t elements = std::min(sizeof(std::string) * bytes, Decoder::kMemoryFactor * bytes + Decoder::kMemorySlack);
  return 4 * elements + 10 * bytes + 4096;
}

Verdict decode_message(Api::Reencode reencode, int16_t version, const SharedBytes& body) {
  Verdict verdict;
  auto once = within(message_allowance(body.size()), verdict, [&] { return reencode(version, body); });
  if (!once) {
    if (!once.is(Errc::invalid)) verdict.complain(fmt::format("refused as {}, expected invalid", to_string(once.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (once->size() > body.size()) verdict.complain(fmt::format("{} bytes when encoded again", once->size()));
  auto twice = reencode(version, *once);
  if (!twice) verdict.complain("its own encoding is refused: " + twice.error().what);
  if (twice && *twice != *once) verdict.complain("its own encoding means something else: " + to_hex(*twice));
  return verdict;
}

// --- Headers ----------------------------------------------------------------------------------------------------------------------

size_t header_allowance(size_t bytes) { return 2 * bytes + 1024; }

Verdict decode_request(const SharedBytes& frame) {
  Verdict verdict;
  auto request = within(header_allowance(frame.size()), verdict, [&] { return decode_request_header(frame); });
  if (!request) {
    if (!request.is(Errc::invalid)) verdict.complain(fmt::format("refused as {}, expected invalid", to_string(request.code())));
    return verdict;
  }
  verdict.decoded = true;
  Gather out;
  begin_request(out, request->header.api_key, request->header.api_version, request->header.correlation_id, request->header.client_id);
  out.append(request->body);
  auto again = decode_request_header(SharedBytes::copy_of(out.flatten()).slice(4));
  if (!again || !(again->header == request->header) || !equal(again->body, request->body)) verdict.complain("comes back as another header");
  return verdict;
}

Verdict decode_response(ApiKey key, int16_t version, const SharedBytes& frame) {
  Verdict verdict;
  auto response = within(header_allowance(frame.size()), verdict, [&] { return decode_response_header(key, version, frame); });
  if (!response) {
    if (!response.is(Errc::invalid)) verdict.complain(fmt::format("refused as {}, expected invalid", to_string(response.code())));
    return verdict;
  }
  verdict.decoded = true;
  if (auto id = peek_correlation_id(frame); !id || *id != response->correlation_id) verdict.complain("two correlation ids");
  Gather out;
  begin_response(out, key, version, response->correlation_id);
  out.append(response->body);
  auto again = decode_response_header(key, version, SharedBytes::copy_of(out.flatten()).slice(4));
  if (!again || again->correlation_id != response->correlation_id || !equal(again->body, response->body))
    verdict.complain("comes back as another header");
  return verdict;
}

ByteVec frame_with(Gather header, std::string_view body) {
  ByteVec frame = header.flatten();
  frame.erase(frame.begin(), frame.begin() + 4);
  frame.insert(frame.end(), body.begin(), body.end());
  return frame;
}

Target request_headers() {
  Target target{.name = "request header", .corpus = {}, .decode = &decode_request};
  for (const Api& api : apis())
    for (int16_t version : {api.advertised.min, api.served.max}) {
      Gather header;
      begin_request(header, api.key, version, 7, "client");
      target.corpus.push_back(frame_with(std::move(header), "body"));
    }
  target.corpus.push_back(kafka_test::hex("0003 0009 00000007 ffff 02 00 00 05 02 0102 aa"));  // two unknown tagged fields
  target.corpus.push_back(kafka_test::hex("0007 0000 00000007 aa"));                           // ControlledShutdown v0, no client id
  target.corpus.push_back(kafka_test::hex("7000 0009 00000007 ffff aa"));                      // an unknown API
  return target;
}

Target response_headers(ApiKey key, int16_t version) {
  int16_t header_version = response_header_version(key, version);
  Gather header;
  begin_response(header, key, version, 7);
  return {.name = fmt::format("response header v{}", header_version),
          .corpus = {frame_with(std::move(header), "body")},
          .decode = [=](const SharedBytes& frame) { return decode_response(key, version, frame); }};
}

}  // namespace

std::vector<Target> kafka_targets() {
  std::map<std::tuple<int16_t, bool, int16_t>, std::vector<ByteVec>> bodies;
  for (kafka_test::WireCase& c : kafka_test::load_wire_cases()) bodies[{c.key, c.request, c.version}].push_back(std::move(c.body));

  std::vector<Target> targets;
  for (const Api& api : apis())
    for (bool request : {true, false})
      for (int16_t version = api.served.min; version <= api.served.max; ++version) {
        Api::Reencode reencode = request ? api.reencode_request : api.reencode_response;
        targets.push_back({.name = fmt::format("{} {} v{}", api.name, request ? "request" : "response", version),
                           .corpus = bodies[{static_cast<int16_t>(api.key), request, version}],
                           .decode = [=](const SharedBytes& body) { return decode_message(reencode, version, body); }});
      }
  targets.push_back(request_headers());
  targets.push_back(response_headers(ApiKey::metadata, 0));
  targets.push_back(response_headers(ApiKey::fetch, 12));
  return targets;
}

}  // namespace sg::hostile
