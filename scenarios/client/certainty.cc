#include "scenarios/client/certainty.h"

namespace sg::scenario {

bool is_refusal(kafka::ErrorCode code) {
  using kafka::ErrorCode;
  switch (code) {
    case ErrorCode::message_too_large:
    case ErrorCode::invalid_record:
    case ErrorCode::invalid_required_acks:
    case ErrorCode::invalid_timestamp:
    case ErrorCode::invalid_request:
    case ErrorCode::unsupported_version:
    case ErrorCode::unsupported_compression_type:
    case ErrorCode::invalid_topic_exception: return true;
    default: return false;
  }
}

bool says_not_appended(kafka::ErrorCode code) {
  using kafka::ErrorCode;
  switch (code) {
    case ErrorCode::not_enough_replicas:
    case ErrorCode::kafka_storage_error:
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::corrupt_message:
    case ErrorCode::out_of_order_sequence_number:
    case ErrorCode::invalid_producer_epoch: return true;
    default: return is_refusal(code);
  }
}

}  // namespace sg::scenario
