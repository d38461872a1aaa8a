// Metadata: brokers, topics, leaders, from this node's catalogue; creates topics on demand where that is configured.
#include "broker/kafka/metadata.h"

#include "base/probe.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/speaker.h"
#include "broker/metadata/topic_rules.h"

namespace sg::broker {
namespace {

using kafka::ErrorCode;
using kafka::MetadataRequest;
using kafka::MetadataResponse;

MetadataResponse::Partition describe(Services& services, const metadata::Partition& p) {
  const metadata::Catalogue& catalogue = services.catalogue();
  // Who does not know whether it still leads, or knows that it does not, names nobody instead of itself.
  const bool unknown = p.leader == kNoNode || (p.leader == services.identity.node && !may_claim(services, p));
  MetadataResponse::Partition out;
  out.error_code = unknown ? ErrorCode::leader_not_available : ErrorCode::none;
  out.partition_index = p.index;
  out.leader_id = unknown ? kNoNode : p.leader;
  out.leader_epoch = p.leader_epoch;
  out.replica_nodes = p.replicas;
  out.isr_nodes = p.isr_nodes();
  for (NodeId node : p.replicas) {
    const metadata::Broker* broker = catalogue.broker(node);
    if (!broker || broker->fenced) out.offline_replicas.push_back(node);
  }
  return out;
}

MetadataResponse::Topic describe(Services& services, const metadata::Topic& topic) {
  MetadataResponse::Topic out;
  out.name = topic.name;
  out.topic_id = topic.id;
  for (StreamId stream : topic.partitions) out.partitions.push_back(describe(services, *services.catalogue().partition(stream)));
  return out;
}

void add_cluster(Services& services, MetadataResponse& out) {
  const metadata::Catalogue& catalogue = services.catalogue();
  bool controller_listed = false;
  const NodeId leader = services.raft.core().leader();
  const bool fenced = services.membership.registered() && replica::is_outside(services.membership.standing());
  for (const auto& [node, broker] : catalogue.brokers()) {
    if (broker.fenced || (fenced && node == services.identity.node)) continue;
    out.brokers.push_back({node, broker.kafka.host, broker.kafka.port, broker.rack.empty() ? std::nullopt : std::optional(broker.rack)});
    controller_listed = controller_listed || node == leader;
  }
  // Clients insist that the controller is one of the brokers listed; every broker forwards what is the controller's.
  out.controller_id = controller_listed ? leader : out.brokers.empty() ? kNoNode : out.brokers.front().node_id;
  if (!catalogue.cluster_id().is_zero()) out.cluster_id = fmt::format("{}", catalogue.cluster_id());
}

bool wants_all(const MetadataRequest& request, int16_t version) { return !request.topics || (version == 0 && request.topics->empty()); }

// The topics of the request that are to be made.
std::vector<std::string> to_create(const Services& services, const MetadataRequest& request, int16_t version) {
  std::vector<std::string> names;
  if (!services.config.broker.auto_create_topics_enable || !request.allow_auto_topic_creation || wants_all(request, version)) return names;
  for (const MetadataRequest::Topic& t : *request.topics)
    if (t.name && !services.catalogue().topic(*t.name) && metadata::check_topic_name(*t.name)) names.push_back(*t.name);
  return names;
}

MetadataResponse::Topic unknown(const MetadataRequest::Topic& asked, bool was_to_be_created) {
  MetadataResponse::Topic out;
  out.name = asked.name;
  out.topic_id = asked.topic_id;
  if (!asked.name) {
    out.error_code = ErrorCode::unknown_topic_id;
  } else if (!metadata::check_topic_name(*asked.name)) {
    out.error_code = ErrorCode::invalid_topic_exception;
  } else {
    // Not made in time, or too few brokers are there yet: the client asks again.
    out.error_code = was_to_be_created ? ErrorCode::leader_not_available : ErrorCode::unknown_topic_or_partition;
  }
  return out;
}

void answer(Services& services, Call& call, const MetadataRequest& request, const std::vector<std::string>& wanted) {
  const metadata::Catalogue& catalogue = services.catalogue();
  MetadataResponse response;
  add_cluster(services, response);
  if (wants_all(request, call.header.api_version)) {
    for (const auto& [name, topic] : catalogue.topics()) response.topics.push_back(describe(services, topic));
  } else {
    for (const MetadataRequest::Topic& asked : *request.topics) {
      const metadata::Topic* topic = asked.name ? catalogue.topic(*asked.name) : catalogue.topic(asked.topic_id);
      bool was_wanted = asked.name && std::find(wanted.begin(), wanted.end(), *asked.name) != wanted.end();
      response.topics.push_back(topic ? describe(services, *topic) : unknown(asked, was_wanted));
    }
  }
  call.respond(response);
}

void create(Task& task, Services& services, const std::vector<std::string>& names, Time deadline) {
  metadata::CreateTopicsRequest wanted;
  for (const std::string& name : names)
    wanted.topics.push_back({.name = name, .num_partitions = -1, .replication_factor = -1, .assignment = {}, .configs = {}});
  auto reply = services.membership.request(task, wanted, deadline);
  if (!reply) return;
  if (const auto* created = std::get_if<metadata::CreateTopicsReply>(&reply->body))
    (void)services.machine.wait_applied(task, created->applied, deadline);
}

}  // namespace

Result<> handle_metadata(Services& services, CallPtr call) {
  TRY(auto request, kafka::decode<MetadataRequest>(call->header.api_version, call->body));
  if (services.membership.was_registered()) {
    std::vector<std::string> missing = to_create(services, request, call->header.api_version);
    if (missing.empty()) {
      answer(services, *call, request, {});
      return {};
    }
  }
  spawn_for(call, "metadata", [&services, call, request = std::move(request)](Task& task) {
    const Time deadline = task.now() + kPatience;
    // A node that has just started answers once it is a member.
    while (!services.membership.was_registered())
      if (!services.machine.wait_change(task, deadline)) break;
    std::vector<std::string> missing = to_create(services, request, call->header.api_version);
    if (!missing.empty()) {
      REACHED("metadata: topic created on demand");
      create(task, services, missing, deadline);
    }
    answer(services, *call, request, missing);
  });
  return {};
}

}  // namespace sg::broker
