// Request and response headers, and the frame's length in front of them. Which header version goes with an API and version: api.h.
// The client id keeps its classic encoding in every version (KIP-482), so that any broker can read the header of any request.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "broker/kafka/api.h"
#include "broker/kafka/gather.h"

namespace sg::kafka {

struct RequestHeader {
  ApiKey api_key{};
  int16_t api_version = 0;
  int32_t correlation_id = 0;
  std::optional<std::string> client_id;

  bool operator==(const RequestHeader&) const = default;
};

struct RequestFrame {
  RequestHeader header;
  SharedBytes body;  // a slice of the frame
};

// `frame` is what follows the length. The key may be unknown and the version not served; the header is then read as far as all
// headers agree.  Errc::invalid: malformed.
Result<RequestFrame> decode_request_header(const SharedBytes& frame);

struct ResponseFrame {
  int32_t correlation_id = 0;
  SharedBytes body;
};

// Errc::invalid: malformed.
Result<ResponseFrame> decode_response_header(ApiKey key, int16_t version, const SharedBytes& frame);

// The first four bytes of `frame`, the only ones that say to which request it is the answer.  Errc::invalid: shorter.
Result<int32_t> peek_correlation_id(ByteSpan frame);

// Writes room for the length, then the header, into an empty Gather.
void begin_request(Gather& out, ApiKey key, int16_t version, int32_t correlation_id, std::optional<std::string_view> client_id);
void begin_response(Gather& out, ApiKey key, int16_t version, int32_t correlation_id);
// Fills in the length.
std::vector<SharedBytes> end_frame(Gather out);

}  // namespace sg::kafka
