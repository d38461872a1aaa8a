// In which version a client speaks an API: as a rule the one that it was written for; drawn, any that is served, as clients of all ages do.
#pragma once

#include <algorithm>
#include <optional>

#include "base/ensure.h"
#include "base/rng.h"
#include "broker/kafka/api.h"

namespace sg::scenario {

class Versions {
 public:
  Versions() = default;
  explicit Versions(Rng rng) : rng_(rng) {}

  // `lowest`: of those that have what the client cannot do without.
  int16_t of(kafka::ApiKey key, int16_t usual, int16_t lowest = 0) const {
    if (!rng_) return usual;
    const kafka::Api* api = kafka::find_api(key);
    ENSURE(api && api->served.contains(usual) && lowest <= api->served.max);
    Rng own = rng_->split(api->name);
    return static_cast<int16_t>(own.between(std::max(lowest, api->served.min), api->served.max));
  }

 private:
  std::optional<Rng> rng_;
};

}  // namespace sg::scenario
