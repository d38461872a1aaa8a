#include "broker/metadata/messages.h"

namespace sg::metadata {

std::string_view to_string(ControllerError error) {
  switch (error) {
    case ControllerError::none: return "none";
    case ControllerError::not_controller: return "not_controller";
    case ControllerError::busy: return "busy";
    case ControllerError::stale: return "stale";
    case ControllerError::not_found: return "not_found";
    case ControllerError::exists: return "exists";
    case ControllerError::ineligible_replica: return "ineligible_replica";
    case ControllerError::invalid_request: return "invalid_request";
    case ControllerError::invalid_topic_name: return "invalid_topic_name";
    case ControllerError::invalid_partitions: return "invalid_partitions";
    case ControllerError::invalid_replication_factor: return "invalid_replication_factor";
    case ControllerError::invalid_replica_assignment: return "invalid_replica_assignment";
    case ControllerError::invalid_config: return "invalid_config";
    case ControllerError::claimed: return "claimed";
  }
  return "unknown";
}

}  // namespace sg::metadata
