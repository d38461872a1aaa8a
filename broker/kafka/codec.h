// Decoding and encoding of message bodies, and the frames around them. Each message describes its fields once (describe.h), in
// broker/kafka/<api>.cc; both directions and all versions follow from that.
//
// Invariant: no body, however hostile, makes decode() read outside it, crash, or allocate more than a fixed multiple of its size.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/kafka/api.h"
#include "broker/kafka/gather.h"
#include "broker/kafka/header.h"

namespace sg::kafka {

// `body` is what follows the header. Record bytes in the result are slices of `body`; all else is the result's own.
// Errc::unsupported: the version is not even advertised. Errc::invalid: malformed, or bytes are left over; the text says where.
template <class Message>
Result<Message> decode(int16_t version, const SharedBytes& body);

// Appends the body. Fields that `version` lacks are left out; null where `version` knows none becomes empty.
template <class Message>
void encode(Gather& out, int16_t version, const Message& message);

// A whole frame, length and header included, as runs to be sent one behind the other.
template <class Request>
std::vector<SharedBytes> request_frame(int16_t version, int32_t correlation_id, std::optional<std::string_view> client_id,
                                       const Request& request) {
  Gather out;
  begin_request(out, Request::kApiKey, version, correlation_id, client_id);
  encode(out, version, request);
  return end_frame(std::move(out));
}
template <class Response>
std::vector<SharedBytes> response_frame(int16_t version, int32_t correlation_id, const Response& response) {
  Gather out;
  begin_response(out, Response::kApiKey, version, correlation_id);
  encode(out, version, response);
  return end_frame(std::move(out));
}

// Decodes the body of any message and encodes it again: the same bytes, except for tagged fields that nobody knows.
// Errc::unsupported: no such API or version. Errc::invalid: cannot be decoded.
Result<ByteVec> reencode(bool request, int16_t key, int16_t version, ByteSpan body);

}  // namespace sg::kafka
