// ApiVersions (API key 18): what the broker speaks. The first request of most clients, sent before either side knows the other:
// a version that is not served is answered in version 0 with UNSUPPORTED_VERSION and the ranges (KIP-511).
#pragma once

#include <string>
#include <vector>

#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct ApiVersionsResponse;

struct ApiVersionsRequest {
  static constexpr ApiKey kApiKey = ApiKey::api_versions;
  using Response = ApiVersionsResponse;

  std::string client_software_name;
  std::string client_software_version;

  bool operator==(const ApiVersionsRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct ApiVersionsResponse {
  static constexpr ApiKey kApiKey = ApiKey::api_versions;

  struct ApiVersion {
    ApiKey api_key{};
    int16_t min_version = 0;
    int16_t max_version = 0;

    bool operator==(const ApiVersion&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  // Below version 4, features whose min_version is 0 are to be left out (KAFKA-17011).
  struct SupportedFeature {
    std::string name;
    int16_t min_version = 0;
    int16_t max_version = 0;

    bool operator==(const SupportedFeature&) const = default;
    template <class Io>
    void describe(Io& io);
  };
  struct FinalizedFeature {
    std::string name;
    int16_t max_version_level = 0;
    int16_t min_version_level = 0;

    bool operator==(const FinalizedFeature&) const = default;
    template <class Io>
    void describe(Io& io);
  };

  ErrorCode error_code = ErrorCode::none;
  std::vector<ApiVersion> api_keys;
  int32_t throttle_time_ms = 0;
  std::vector<SupportedFeature> supported_features;
  int64_t finalized_features_epoch = -1;
  std::vector<FinalizedFeature> finalized_features;
  bool zk_migration_ready = false;

  bool operator==(const ApiVersionsResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

// What apis() advertises.
std::vector<ApiVersionsResponse::ApiVersion> advertised_versions();

}  // namespace sg::kafka
