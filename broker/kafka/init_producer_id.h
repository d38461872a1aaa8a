// InitProducerId (API key 22): a producer id and epoch for an idempotent or transactional producer.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "broker/kafka/api.h"
#include "broker/kafka/errors.h"

namespace sg::kafka {

struct InitProducerIdResponse;

struct InitProducerIdRequest {
  static constexpr ApiKey kApiKey = ApiKey::init_producer_id;
  using Response = InitProducerIdResponse;

  std::optional<std::string> transactional_id;  // null: idempotent only
  int32_t transaction_timeout_ms = 0;
  ProducerId producer_id = kNoProducerId;  // what the producer has now, to be continued with a higher epoch (KIP-360)
  int16_t producer_epoch = -1;

  bool operator==(const InitProducerIdRequest&) const = default;
  template <class Io>
  void describe(Io& io);
};

struct InitProducerIdResponse {
  static constexpr ApiKey kApiKey = ApiKey::init_producer_id;

  int32_t throttle_time_ms = 0;
  ErrorCode error_code = ErrorCode::none;
  ProducerId producer_id = kNoProducerId;
  int16_t producer_epoch = 0;

  bool operator==(const InitProducerIdResponse&) const = default;
  template <class Io>
  void describe(Io& io);
};

}  // namespace sg::kafka
