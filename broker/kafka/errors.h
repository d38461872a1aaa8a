// Kafka's error codes, by Kafka's names and numbers (org.apache.kafka.common.protocol.Errors, 4.x). The one place where they are
// listed. A code that is not listed may come off the wire from a newer peer; it keeps its number.
#pragma once

#include <cstdint>
#include <string>

// X(number, name, retriable): retriable = the client may send the same request again, perhaps after fresh metadata.
#define SG_KAFKA_ERRORS(X)                            \
  X(-1, unknown_server_error, false)                  \
  X(0, none, false)                                   \
  X(1, offset_out_of_range, false)                    \
  X(2, corrupt_message, true)                         \
  X(3, unknown_topic_or_partition, true)              \
  X(4, invalid_fetch_size, false)                     \
  X(5, leader_not_available, true)                    \
  X(6, not_leader_or_follower, true)                  \
  X(7, request_timed_out, true)                       \
  X(8, broker_not_available, false)                   \
  X(9, replica_not_available, true)                   \
  X(10, message_too_large, false)                     \
  X(11, stale_controller_epoch, false)                \
  X(12, offset_metadata_too_large, false)             \
  X(13, network_exception, true)                      \
  X(14, coordinator_load_in_progress, true)           \
  X(15, coordinator_not_available, true)              \
  X(16, not_coordinator, true)                        \
  X(17, invalid_topic_exception, false)               \
  X(18, record_list_too_large, false)                 \
  X(19, not_enough_replicas, true)                    \
  X(20, not_enough_replicas_after_append, true)       \
  X(21, invalid_required_acks, false)                 \
  X(22, illegal_generation, false)                    \
  X(23, inconsistent_group_protocol, false)           \
  X(24, invalid_group_id, false)                      \
  X(25, unknown_member_id, false)                     \
  X(26, invalid_session_timeout, false)               \
  X(27, rebalance_in_progress, false)                 \
  X(28, invalid_commit_offset_size, false)            \
  X(29, topic_authorization_failed, false)            \
  X(30, group_authorization_failed, false)            \
  X(31, cluster_authorization_failed, false)          \
  X(32, invalid_timestamp, false)                     \
  X(33, unsupported_sasl_mechanism, false)            \
  X(34, illegal_sasl_state, false)                    \
  X(35, unsupported_version, false)                   \
  X(36, topic_already_exists, false)                  \
  X(37, invalid_partitions, false)                    \
  X(38, invalid_replication_factor, false)            \
  X(39, invalid_replica_assignment, false)            \
  X(40, invalid_config, false)                        \
  X(41, not_controller, true)                         \
  X(42, invalid_request, false)                       \
  X(43, unsupported_for_message_format, false)        \
  X(44, policy_violation, false)                      \
  X(45, out_of_order_sequence_number, false)          \
  X(46, duplicate_sequence_number, false)             \
  X(47, invalid_producer_epoch, false)                \
  X(48, invalid_txn_state, false)                     \
  X(49, invalid_producer_id_mapping, false)           \
  X(50, invalid_transaction_timeout, false)           \
  X(51, concurrent_transactions, true)                \
  X(52, transaction_coordinator_fenced, false)        \
  X(53, transactional_id_authorization_failed, false) \
  X(54, security_disabled, false)                     \
  X(55, operation_not_attempted, false)               \
  X(56, kafka_storage_error, true)                    \
  X(57, log_dir_not_found, false)                     \
  X(58, sasl_authentication_failed, false)            \
  X(59, unknown_producer_id, false)                   \
  X(60, reassignment_in_progress, false)              \
  X(61, delegation_token_auth_disabled, false)        \
  X(62, delegation_token_not_found, false)            \
  X(63, delegation_token_owner_mismatch, false)       \
  X(64, delegation_token_request_not_allowed, false)  \
  X(65, delegation_token_authorization_failed, false) \
  X(66, delegation_token_expired, false)              \
  X(67, invalid_principal_type, false)                \
  X(68, non_empty_group, false)                       \
  X(69, group_id_not_found, false)                    \
  X(70, fetch_session_id_not_found, true)             \
  X(71, invalid_fetch_session_epoch, true)            \
  X(72, listener_not_found, true)                     \
  X(73, topic_deletion_disabled, false)               \
  X(74, fenced_leader_epoch, true)                    \
  X(75, unknown_leader_epoch, true)                   \
  X(76, unsupported_compression_type, false)          \
  X(77, stale_broker_epoch, false)                    \
  X(78, offset_not_available, true)                   \
  X(79, member_id_required, false)                    \
  X(80, preferred_leader_not_available, true)         \
  X(81, group_max_size_reached, false)                \
  X(82, fenced_instance_id, false)                    \
  X(83, eligible_leaders_not_available, true)         \
  X(84, election_not_needed, true)                    \
  X(85, no_reassignment_in_progress, false)           \
  X(86, group_subscribed_to_topic, false)             \
  X(87, invalid_record, false)                        \
  X(88, unstable_offset_commit, true)                 \
  X(89, throttling_quota_exceeded, true)              \
  X(90, producer_fenced, false)                       \
  X(91, resource_not_found, false)                    \
  X(92, duplicate_resource, false)                    \
  X(93, unacceptable_credential, false)               \
  X(94, inconsistent_voter_set, false)                \
  X(95, invalid_update_version, false)                \
  X(96, feature_update_failed, false)                 \
  X(97, principal_deserialization_failure, false)     \
  X(98, snapshot_not_found, false)                    \
  X(99, position_out_of_range, false)                 \
  X(100, unknown_topic_id, true)                      \
  X(101, duplicate_broker_registration, false)        \
  X(102, broker_id_not_registered, false)             \
  X(103, inconsistent_topic_id, true)                 \
  X(104, inconsistent_cluster_id, false)              \
  X(105, transactional_id_not_found, false)           \
  X(106, fetch_session_topic_id_error, true)          \
  X(107, ineligible_replica, false)                   \
  X(108, new_leader_elected, false)                   \
  X(109, offset_moved_to_tiered_storage, false)       \
  X(110, fenced_member_epoch, false)                  \
  X(111, unreleased_instance_id, false)               \
  X(112, unsupported_assignor, false)                 \
  X(113, stale_member_epoch, false)                   \
  X(114, mismatched_endpoint_type, false)             \
  X(115, unsupported_endpoint_type, false)            \
  X(116, unknown_controller_id, false)                \
  X(117, unknown_subscription_id, false)              \
  X(118, telemetry_too_large, false)                  \
  X(119, invalid_registration, false)                 \
  X(120, transaction_abortable, false)                \
  X(121, invalid_record_state, false)                 \
  X(122, share_session_not_found, true)               \
  X(123, invalid_share_session_epoch, true)           \
  X(124, fenced_state_epoch, false)                   \
  X(125, invalid_voter_key, false)                    \
  X(126, duplicate_voter, false)                      \
  X(127, voter_not_found, false)                      \
  X(128, invalid_regular_expression, false)           \
  X(129, rebootstrap_required, false)                 \
  X(130, streams_invalid_topology, false)             \
  X(131, streams_invalid_topology_epoch, false)       \
  X(132, streams_topology_fenced, false)              \
  X(133, share_session_limit_reached, true)

namespace sg::kafka {

enum class ErrorCode : int16_t {
#define SG_KAFKA_ENUMERATOR(number, name, retriable) name = number,
  SG_KAFKA_ERRORS(SG_KAFKA_ENUMERATOR)
#undef SG_KAFKA_ENUMERATOR
};

// Kafka's name, e.g. "NOT_LEADER_OR_FOLLOWER"; "ERROR_4711" for a number that has none.
std::string to_string(ErrorCode code);

// False for numbers that have no name.
bool is_retriable(ErrorCode code);

}  // namespace sg::kafka
