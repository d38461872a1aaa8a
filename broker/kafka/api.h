// The APIs of the Kafka protocol: their keys, and for each that this broker speaks the one line that says in which versions.
// Everything that depends on API and version (encoding, header version, what is advertised) is derived from that line.
// Versions: docs/kafka-support.md. Header versions: KIP-482; the exception for ApiVersions: KIP-511.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace sg::kafka {

// Kafka's own numbers. A value that is not listed may come off the wire.
enum class ApiKey : int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  controlled_shutdown = 7,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  join_group = 11,
  heartbeat = 12,
  leave_group = 13,
  sync_group = 14,
  describe_groups = 15,
  list_groups = 16,
  sasl_handshake = 17,
  api_versions = 18,
  create_topics = 19,
  delete_topics = 20,
  delete_records = 21,
  init_producer_id = 22,
  offset_for_leader_epoch = 23,
  add_partitions_to_txn = 24,
  add_offsets_to_txn = 25,
  end_txn = 26,
  txn_offset_commit = 28,
  describe_acls = 29,
  create_acls = 30,
  delete_acls = 31,
  describe_configs = 32,
  alter_configs = 33,
  describe_log_dirs = 35,
  sasl_authenticate = 36,
  create_partitions = 37,
  delete_groups = 42,
  elect_leaders = 43,
  incremental_alter_configs = 44,
  alter_partition_reassignments = 45,
  list_partition_reassignments = 46,
  offset_delete = 47,
  describe_client_quotas = 48,
  alter_client_quotas = 49,
  describe_user_scram_credentials = 50,
  alter_user_scram_credentials = 51,
  describe_quorum = 55,
  update_features = 57,
  describe_cluster = 60,
  describe_producers = 61,
  describe_transactions = 65,
  list_transactions = 66,
  consumer_group_heartbeat = 68,
  consumer_group_describe = 69,
  describe_topic_partitions = 75,
  share_group_heartbeat = 76,
  share_group_describe = 77,
  share_fetch = 78,
  share_acknowledge = 79,
};

// Both ends included.
struct VersionRange {
  int16_t min = 0;
  int16_t max = 0;
  constexpr bool contains(int16_t version) const { return min <= version && version <= max; }
};

struct Api {
  // Decodes a body and encodes it again.
  using Reencode = Result<ByteVec> (*)(int16_t version, ByteSpan body);

  ApiKey key;
  std::string_view name;  // Kafka's, e.g. "Produce"
  VersionRange advertised;
  VersionRange served;    // within `advertised`; what lies outside is answered with UNSUPPORTED_VERSION
  int16_t flexible_from;  // compact encodings and tagged fields from this version on
  Reencode reencode_request;
  Reencode reencode_response;

  bool is_flexible(int16_t version) const { return version >= flexible_from; }
};

// All that are spoken, ascending by key.
std::span<const Api> apis();

// Null for a key that this broker does not speak.
const Api* find_api(ApiKey key);

// Never null.  Errc::unsupported: that version of it is not advertised either; what is, is in the text.
Result<const Api*> spoken_api(ApiKey key, int16_t version);

// "Produce", or "API 4711".
std::string to_string(ApiKey key);

// The header that goes with a request or response of that API and version, also of one that is not served. A response to an
// ApiVersions request has header v0 in every version: its reader does not know yet what the broker speaks.
int16_t request_header_version(ApiKey key, int16_t version);
int16_t response_header_version(ApiKey key, int16_t version);

}  // namespace sg::kafka
