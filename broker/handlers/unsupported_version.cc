// Requests of a known API in a version that is not served. ApiVersions answers in version 0 with what is spoken (KIP-511). Produce 0-2
// are advertised, because old clients switch compression on by their presence, and answered partition by partition. For the rest Kafka
// has no answer: the connection ends.
#include "broker/handlers/handlers.h"
#include "broker/kafka/api_versions.h"

namespace sg::broker {
namespace {

constexpr auto kUnsupported = static_cast<int16_t>(kafka::ErrorCode::unsupported_version);

// Produce 0-2, whose layout predates the codec's description of it: see the fields of ProduceRequest.json, versions 0 to 2.
Result<> answer_old_produce(Call& call) {
  const int16_t version = call.header.api_version;
  ByteReader in(call.body.span());
  kafka::Gather out;
  kafka::begin_response(out, kafka::ApiKey::produce, version, call.header.correlation_id);
  ByteWriter w(out.bytes());
  const auto acks = in.be<int16_t>();
  (void)in.be<int32_t>();  // timeout
  auto count = [&] {
    auto n = in.be<int32_t>();
    if (n < 0 || static_cast<size_t>(n) > in.remaining()) in.fail();
    return in.ok() ? n : 0;
  };
  const int32_t topics = count();
  w.be<int32_t>(topics);
  for (int32_t t = 0; t < topics && in.ok(); ++t) {
    const auto length = in.be<int16_t>();
    ByteSpan name = in.bytes(length < 0 ? in.remaining() + 1 : static_cast<size_t>(length));
    w.be<int16_t>(length);
    w.bytes(name);
    const int32_t partitions = count();
    w.be<int32_t>(partitions);
    for (int32_t p = 0; p < partitions && in.ok(); ++p) {
      w.be<int32_t>(in.be<int32_t>());
      const auto bytes = in.be<int32_t>();
      (void)in.bytes(bytes < 0 ? 0 : static_cast<size_t>(bytes));
      w.be<int16_t>(kUnsupported);
      w.be<int64_t>(-1);                    // base offset
      if (version >= 2) w.be<int64_t>(-1);  // log append time
    }
  }
  if (version >= 1) w.be<int32_t>(0);  // throttle time
  if (!in.ok() || in.remaining() > 0) return fail(Errc::invalid, "malformed Produce request");
  if (acks == 0) return fail(Errc::invalid, "Produce below version 3 is not served");
  call.slot->complete(kafka::end_frame(std::move(out)));
  return {};
}

}  // namespace

Result<> handle_unsupported_version(Services&, CallPtr call) {
  if (call->header.api_key == kafka::ApiKey::api_versions) {
    kafka::ApiVersionsResponse response;
    response.error_code = kafka::ErrorCode::unsupported_version;
    response.api_keys = kafka::advertised_versions();
    call->slot->complete(kafka::response_frame(0, call->header.correlation_id, response));
    return {};
  }
  if (call->header.api_key == kafka::ApiKey::produce && call->header.api_version >= 0 && call->header.api_version <= 2)
    return answer_old_produce(*call);
  return fail(Errc::invalid, fmt::format("{} version {} is not served", kafka::to_string(call->header.api_key), call->header.api_version));
}

}  // namespace sg::broker
