// What an error code says of one attempt to append, as Kafka's clients take it: whether the broker has certainly not appended, and whether
// asking again helps. The codes: broker/kafka/errors.h.
#pragma once

#include "broker/kafka/errors.h"

namespace sg::scenario {

// It has certainly not appended, and will not if it is asked again.
bool is_refusal(kafka::ErrorCode code);
// It has certainly not appended because of this attempt.
bool says_not_appended(kafka::ErrorCode code);

}  // namespace sg::scenario
