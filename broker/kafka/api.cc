#include "broker/kafka/api.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/kafka/api_versions.h"
#include "broker/kafka/codec.h"
#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/find_coordinator.h"
#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"

namespace sg::kafka {

namespace {

template <class Message>
Result<ByteVec> reencode_as(int16_t version, ByteSpan body) {
  TRY(Message message, decode<Message>(version, SharedBytes::copy_of(body)));
  Gather out;
  encode(out, version, message);
  return out.flatten();
}

template <class Request>
constexpr Api api(std::string_view name, VersionRange served, int16_t flexible_from, int16_t advertised_from = INT16_MAX) {
  return {.key = Request::kApiKey,
          .name = name,
          .advertised = {std::min(advertised_from, served.min), served.max},
          .served = served,
          .flexible_from = flexible_from,
          .reencode_request = &reencode_as<Request>,
          .reencode_response = &reencode_as<typename Request::Response>};
}

constexpr Api kApis[] = {
    // librdkafka compresses only if the range of Produce begins at 0 (KAFKA-18659); versions below 3 carry message sets of old.
    api<ProduceRequest>("Produce", {3, 11}, 9, 0),
    api<FetchRequest>("Fetch", {4, 12}, 12),
    api<ListOffsetsRequest>("ListOffsets", {1, 9}, 6),
    api<MetadataRequest>("Metadata", {0, 12}, 9),
    api<FindCoordinatorRequest>("FindCoordinator", {0, 6}, 3),
    api<ApiVersionsRequest>("ApiVersions", {0, 4}, 3),
    api<CreateTopicsRequest>("CreateTopics", {2, 7}, 5),
    api<DeleteTopicsRequest>("DeleteTopics", {1, 6}, 4),
    api<InitProducerIdRequest>("InitProducerId", {0, 5}, 2),
};
static_assert(std::ranges::is_sorted(kApis, std::ranges::less{}, &Api::key));

// One that is not served: header v1, which all clients of today send at least (v2 begins like it).
bool is_flexible(ApiKey key, int16_t version) {
  const Api* api = find_api(key);
  return api && api->is_flexible(version);
}

}  // namespace

std::span<const Api> apis() { return kApis; }

const Api* find_api(ApiKey key) {
  auto found = std::ranges::lower_bound(kApis, key, std::ranges::less{}, &Api::key);
  return found != std::end(kApis) && found->key == key ? &*found : nullptr;
}

std::string to_string(ApiKey key) {
  const Api* api = find_api(key);
  return api ? std::string(api->name) : fmt::format("API {}", static_cast<int16_t>(key));
}

int16_t request_header_version(ApiKey key, int16_t version) {
  if (key == ApiKey::controlled_shutdown && version == 0) return 0;
  return is_flexible(key, version) ? 2 : 1;
}

int16_t response_header_version(ApiKey key, int16_t version) { return key != ApiKey::api_versions && is_flexible(key, version) ? 1 : 0; }

Result<const Api*> spoken_api(ApiKey key, int16_t version) {
  const Api* api = find_api(key);
  if (!api) return fail(Errc::unsupported, fmt::format("{} is not served", to_string(key)));
  const auto& [min, max] = api->advertised;
  if (!api->advertised.contains(version))
    return fail(Errc::unsupported, fmt::format("{} v{} is not served: {} to {} are", api->name, version, min, max));
  return api;
}

Result<ByteVec> reencode(bool request, int16_t key, int16_t version, ByteSpan body) {
  TRY(const Api* api, spoken_api(static_cast<ApiKey>(key), version));
  return (request ? api->reencode_request : api->reencode_response)(version, body);
}

}  // namespace sg::kafka
