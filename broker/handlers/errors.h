// The one place where outcomes of the broker become Kafka's error codes.
#pragma once

#include "broker/kafka/errors.h"
#include "broker/metadata/messages.h"
#include "broker/replica/outcome.h"

namespace sg::broker {

kafka::ErrorCode to_kafka(replica::Outcome outcome);
kafka::ErrorCode to_kafka(metadata::ControllerError error);

}  // namespace sg::broker
