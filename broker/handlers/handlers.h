// The Kafka APIs that this broker serves: one file per API. A handler decodes its request, asks the node's services, and completes the
// request's slot, now or later. Kafka's error codes exist here and in kafka/ only; errors.h maps the broker's outcomes to them.
#pragma once

#include <memory>

#include "broker/client_connection.h"
#include "broker/kafka/codec.h"
#include "broker/membership.h"
#include "broker/metadata_machine.h"
#include "broker/partitions.h"
#include "broker/producer_ids.h"

namespace sg::broker {

// What handlers work with. The references outlive every request.
struct Services {
  Env& env;
  const Config& config;
  const peer::Identity& identity;
  MetadataMachine& machine;
  const RaftDriver& raft;
  Membership& membership;
  Partitions& partitions;
  ProducerIds& producer_ids;

  const metadata::Catalogue& catalogue() const { return machine.catalogue(); }
};

// One request under way. `connection` is valid while the request's own tasks run (they are children of the connection), and not in
// events that come later from elsewhere.
struct Call {
  kafka::RequestHeader header;
  SharedBytes body;
  std::shared_ptr<ResponseSlot> slot;
  ClientConnection& connection;

  template <class Response>
  void respond(const Response& response) {
    slot->complete(kafka::response_frame(header.api_version, header.correlation_id, response));
  }
};
using CallPtr = std::shared_ptr<Call>;

// Does not suspend; what must wait, or make a large answer, is spawned for the call. An error means that the request cannot be parsed: the
// connection ends.
using Handler = Result<> (*)(Services& services, CallPtr call);

// For a version of a served API that is not served.
Result<> handle_unsupported_version(Services& services, CallPtr call);

// Null for an API that is not served.
Handler find_handler(kafka::ApiKey key);

Result<> handle_api_versions(Services& services, CallPtr call);
Result<> handle_create_topics(Services& services, CallPtr call);
Result<> handle_delete_topics(Services& services, CallPtr call);
Result<> handle_fetch(Services& services, CallPtr call);
Result<> handle_find_coordinator(Services& services, CallPtr call);
Result<> handle_init_producer_id(Services& services, CallPtr call);
Result<> handle_list_offsets(Services& services, CallPtr call);
Result<> handle_metadata(Services& services, CallPtr call);
Result<> handle_produce(Services& services, CallPtr call);

// How long a request that bounds nothing itself may wait for others, and for this node to become a member.
inline constexpr Duration kPatience = 2s;

// Runs `body` as a task of the call's connection when all calls before it have been answered.
template <class F>
void spawn_for(const CallPtr& call, const char* name, F body) {
  call->connection.spawn_in_turn(call->slot, name, [body = std::move(body)](Task& task) mutable { body(task); });
}

}  // namespace sg::broker
