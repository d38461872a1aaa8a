#include "broker/handlers/errors.h"

namespace sg::broker {

using kafka::ErrorCode;

ErrorCode to_kafka(replica::Outcome outcome) {
  using enum replica::Outcome;
  switch (outcome) {
    case ok:
    case duplicate: return ErrorCode::none;
    case not_leader: return ErrorCode::not_leader_or_follower;
    case out_of_order_sequence: return ErrorCode::out_of_order_sequence_number;
    case producer_unknown:
    case earlier_awaited:
      return ErrorCode::not_enough_replicas;  // nothing was appended; of all errors that clients retry, they do
                                              // the least besides (docs/decisions/first-sequence-at-second-try.md)
    case invalid_producer_epoch: return ErrorCode::invalid_producer_epoch;
    case not_enough_replicas: return ErrorCode::not_enough_replicas;
    case not_enough_replicas_after_append: return ErrorCode::not_enough_replicas_after_append;
    case request_timed_out: return ErrorCode::request_timed_out;
    case controller_silent: return ErrorCode::not_leader_or_follower;  // retriable, and makes the client look for a newer leader
    case log_full: return ErrorCode::kafka_storage_error;
    case offset_not_available: return ErrorCode::offset_not_available;
    case offset_out_of_range: return ErrorCode::offset_out_of_range;
    case fenced_leader_epoch: return ErrorCode::fenced_leader_epoch;
    case unknown_leader_epoch: return ErrorCode::unknown_leader_epoch;
    case damaged: return ErrorCode::kafka_storage_error;
  }
  return ErrorCode::unknown_server_error;
}

ErrorCode to_kafka(metadata::ControllerError error) {
  using enum metadata::ControllerError;
  switch (error) {
    case none: return ErrorCode::none;
    case not_controller: return ErrorCode::not_controller;
    case busy: return ErrorCode::request_timed_out;
    case stale: return ErrorCode::request_timed_out;
    case not_found: return ErrorCode::unknown_topic_or_partition;
    case exists: return ErrorCode::topic_already_exists;
    case ineligible_replica: return ErrorCode::ineligible_replica;
    case invalid_request: return ErrorCode::invalid_request;
    case invalid_topic_name: return ErrorCode::invalid_topic_exception;
    case invalid_partitions: return ErrorCode::invalid_partitions;
    case invalid_replication_factor: return ErrorCode::invalid_replication_factor;
    case invalid_replica_assignment: return ErrorCode::invalid_replica_assignment;
    case invalid_config: return ErrorCode::invalid_config;
    case claimed: return ErrorCode::unknown_server_error;  // of registrations only: no client's request comes to this
  }
  return ErrorCode::unknown_server_error;
}

}  // namespace sg::broker
