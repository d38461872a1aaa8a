#include "broker/kafka/api_versions.h"

#include "broker/kafka/describe.h"

namespace sg::kafka {

template <class Io>
void ApiVersionsRequest::describe(Io& io) {
  io.field(client_software_name, since(3));
  io.field(client_software_version, since(3));
  io.end();
}

template <class Io>
void ApiVersionsResponse::describe(Io& io) {
  io.field(error_code);
  io.field(api_keys);
  io.field(throttle_time_ms, since(1));
  io.end(tagged(0, supported_features, since(3)), tagged(1, finalized_features_epoch, since(3), -1),
         tagged(2, finalized_features, since(3)), tagged(3, zk_migration_ready, since(3)));
}

template <class Io>
void ApiVersionsResponse::ApiVersion::describe(Io& io) {
  io.field(api_key);
  io.field(min_version);
  io.field(max_version);
  io.end();
}

template <class Io>
void ApiVersionsResponse::SupportedFeature::describe(Io& io) {
  io.field(name);
  io.field(min_version);
  io.field(max_version);
  io.end();
}

template <class Io>
void ApiVersionsResponse::FinalizedFeature::describe(Io& io) {
  io.field(name);
  io.field(max_version_level);
  io.field(min_version_level);
  io.end();
}

std::vector<ApiVersionsResponse::ApiVersion> advertised_versions() {
  std::vector<ApiVersionsResponse::ApiVersion> versions;
  for (const Api& api : apis()) versions.push_back({api.key, api.advertised.min, api.advertised.max});
  return versions;
}

SG_KAFKA_MESSAGE(ApiVersionsRequest);
SG_KAFKA_MESSAGE(ApiVersionsResponse);

}  // namespace sg::kafka
