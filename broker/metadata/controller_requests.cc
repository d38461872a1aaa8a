// What brokers ask of the controller: each request is checked, becomes one record or several, and is answered when they are applied.
#include <algorithm>

#include "base/probe.h"
#include "broker/metadata/controller.h"
#include "broker/metadata/topic_rules.h"

namespace sg::metadata {

namespace {

ControllerError to_controller_error(Errc code) {
  switch (code) {
    case Errc::stale: return ControllerError::stale;
    case Errc::not_found: return ControllerError::not_found;
    case Errc::exists: return ControllerError::exists;
    case Errc::unavailable: return ControllerError::ineligible_replica;
    case Errc::stopped: return ControllerError::not_controller;
    default: return ControllerError::invalid_request;
  }
}

// A topic's own errors: it was checked when it was planned, so what is left is what changed in between.
ControllerError to_topic_error(Errc code) {
  return code == Errc::unavailable || code == Errc::not_found ? ControllerError::invalid_replication_factor : to_controller_error(code);
}

std::vector<CreateTopicResult>& created(ControllerReply& reply) { return std::get<CreateTopicsReply>(reply.body).topics; }
std::vector<DeleteTopicResult>& deleted(ControllerReply& reply) { return std::get<DeleteTopicsReply>(reply.body).topics; }

template <class Item>
void set_error(Item& item, ControllerError error, std::string message) {
  item.error = error;
  item.message = std::move(message);
}

ControllerReply refusal(uint64_t id, ControllerError error, std::string message) {
  return {.id = id, .error = error, .message = std::move(message), .body = {}};
}

size_t items_of(const ControllerRequest& request) {
  if (auto* r = std::get_if<CreateTopicsRequest>(&request.body)) return r->topics.size();
  if (auto* r = std::get_if<DeleteTopicsRequest>(&request.body)) return r->topics.size();
  return 1;
}

// Replicas that a client has chosen: brokers that are known, enough of them live.
Result<> check_assigned(const std::vector<Candidate>& brokers, const std::vector<NodeId>& replicas, int32_t min_live) {
  int32_t live = 0;
  for (NodeId node : replicas) {
    auto at = std::ranges::find(brokers, node, &Candidate::node);
    if (at == brokers.end()) return fail(Errc::not_found, fmt::format("replica {}: no such broker has ever registered", node));
    live += at->live;
  }
  if (live >= min_live) return {};
  return fail(Errc::unavailable, fmt::format("min.insync.replicas {} needs as many live replicas, {} of {} are on live brokers", min_live,
                                             live, replicas.size()));
}

// The broker that a request claims to come from; none where it does not matter.
template <class R>
NodeId claimed_sender(const R& r) {
  if constexpr (requires { r.leader; })
    return r.leader;
  else if constexpr (requires { r.node; })
    return r.node;
  else
    return kNoNode;
}

}  // namespace

ControllerOutput Controller::on_request(Time now, NodeId from, ControllerRequest request_in) {
  ControllerOutput out;
  uint64_t id = request_in.id;
  auto refuse = [&](ControllerError error, std::string message) { out.replies.push_back({from, refusal(id, error, std::move(message))}); };
  if (!active_) {
    refuse(ControllerError::not_controller, "this node does not lead the metadata group");
    return out;
  }
  watch_all(now);
  if (std::max(pending_.size(), open_.size()) + items_of(request_in) > options_.max_in_flight) {
    refuse(ControllerError::busy, fmt::format("{} records and {} requests in flight", pending_.size(), open_.size()));
    return out;
  }
  NodeId claimed = std::visit([](const auto& r) { return claimed_sender(r); }, request_in.body);
  if (claimed != kNoNode && claimed != from) {
    refuse(ControllerError::invalid_request, fmt::format("node {} speaks for node {}", from, claimed));
    return out;
  }
  const auto* registration = std::get_if<RegisterBroker>(&request_in.body);
  if (!registration || may_register(now, from, id, *registration, out))
    std::visit([&](const auto& r) { request(from, id, r, out); }, request_in.body);
  propose_fences(now, out);
  return out;
}

// --- Replies that wait for records ---------------------------------------------------------------------------------------------------

uint64_t Controller::open(NodeId to, uint64_t request_id, size_t items) {
  uint64_t key = next_open_++;
  open_.emplace(key, Open{.to = to, .reply = {.id = request_id, .error = {}, .message = {}, .body = {}}, .left = items});
  return key;
}

// Equal wishes have one effect: a request that is repeated while its record is in flight waits for that record. Producer ids are the
// exception, since each request must get its own.
void Controller::submit(uint64_t open_key, size_t item, Record record, ControllerOutput& out) {
  for (auto& [token, pending] : pending_) {
    auto* wanted = std::get_if<CreateTopic>(&record);
    auto* present = std::get_if<CreateTopic>(&pending.record);
    const bool again = wanted && present && !wanted->topic_id.is_zero() && wanted->topic_id == present->topic_id;
    bool same = wanted ? present && wanted->name == present->name
                       : pending.record == record && !std::holds_alternative<AllocateProducerIds>(record);
    if (!same) continue;
    pending.waiters.push_back({open_key, item, !again});
    return;
  }
  propose(std::move(record), {Waiter{open_key, item, false}}, out);
}

void Controller::submit_alone(NodeId to, uint64_t request_id, Record record, ControllerOutput& out) {
  submit(open(to, request_id, 1), 0, std::move(record), out);
}

void Controller::finish_item(uint64_t open_key, ControllerOutput& out) {
  Open& o = open_.at(open_key);
  ENSURE(o.left > 0);
  if (--o.left > 0) return;
  if (auto* r = std::get_if<CreateTopicsReply>(&o.reply.body)) r->applied = catalogue_.applied();
  if (auto* r = std::get_if<DeleteTopicsReply>(&o.reply.body)) r->applied = catalogue_.applied();
  out.replies.push_back({o.to, std::move(o.reply)});
  open_.erase(open_key);
}

// Enters the outcome of one record into the reply of one who waits for it.
void Controller::fill(Open& o, const Waiter& waiter, const Record& record, const Result<Applied>& outcome) {
  ControllerReply& reply = o.reply;
  if (std::holds_alternative<CreateTopic>(record)) {
    CreateTopicResult& item = created(reply)[waiter.item];
    if (!outcome) return set_error(item, to_topic_error(outcome.code()), outcome.error().what);
    if (waiter.joined) return set_error(item, ControllerError::exists, "another request has just created it");
    item.topic_id = outcome->topic_id;
    return;
  }
  if (std::holds_alternative<DeleteTopic>(record)) {
    if (!outcome) set_error(deleted(reply)[waiter.item], to_controller_error(outcome.code()), outcome.error().what);
    return;
  }
  if (!outcome) set_error(reply, to_controller_error(outcome.code()), outcome.error().what);
  if (auto* r = std::get_if<ChangeIsr>(&record)) {
    if (const Partition* p = catalogue_.partition(r->stream)) {
      reply.body = ChangeIsrReply{p->stream, p->leader, p->leader_epoch, p->partition_epoch, p->isr_nodes()};
    }
    return;
  }
  if (!outcome) return;
  if (std::holds_alternative<RegisterBroker>(record)) {
    reply.body = RegisterReply{outcome->broker_epoch, catalogue_.cluster_id()};
  } else if (auto* drain = std::get_if<DrainBroker>(&record)) {
    auto leads = [&](const auto& entry) { return entry.second.leader == drain->node; };
    reply.body = DrainReply{static_cast<int32_t>(std::ranges::count_if(catalogue_.partitions(), leads))};
  } else if (auto* allocate = std::get_if<AllocateProducerIds>(&record)) {
    reply.body = AllocateProducerIdsReply{outcome->first_producer_id, allocate->count};
  }
}

// --- Requests that are one record ----------------------------------------------------------------------------------------------------

void Controller::request(NodeId from, uint64_t id, const RegisterBroker& r, ControllerOutput& out) {
  const Broker* b = catalogue_.broker(r.node);
  if (b && b->run == r.run) {
    // Its reply was lost. One run of a process is one registration.
    ControllerReply reply{.id = id, .error = {}, .message = {}, .body = RegisterReply{b->epoch, catalogue_.cluster_id()}};
    out.replies.push_back({from, std::move(reply)});
    return;
  }
  submit_alone(from, id, r, out);
}

void Controller::request(NodeId from, uint64_t id, const DrainBroker& r, ControllerOutput& out) { submit_alone(from, id, r, out); }
void Controller::request(NodeId from, uint64_t id, const ReportDamage& r, ControllerOutput& out) { submit_alone(from, id, r, out); }
void Controller::request(NodeId from, uint64_t id, const ChangeIsr& r, ControllerOutput& out) { submit_alone(from, id, r, out); }
void Controller::request(NodeId from, uint64_t id, const AllocateProducerIds& r, ControllerOutput& out) { submit_alone(from, id, r, out); }

// --- Topics --------------------------------------------------------------------------------------------------------------------------

void Controller::request(NodeId from, uint64_t id, const CreateTopicsRequest& r, ControllerOutput& out) {
  std::vector<Candidate> load = candidates(catalogue_);
  for (const auto& [token, pending] : pending_) {
    if (auto* topic = std::get_if<CreateTopic>(&pending.record)) add_load(load, topic->partitions);
  }
  // One more than the topics, so that the reply leaves here if nothing has to be waited for.
  uint64_t key = open(from, id, r.topics.size() + 1);
  open_.at(key).reply.body = CreateTopicsReply{.topics = std::vector<CreateTopicResult>(r.topics.size()), .applied = {}};
  for (size_t i = 0; i < r.topics.size(); ++i) {
    const CreateTopicItem& item = r.topics[i];
    CreateTopicResult& result = created(open_.at(key).reply)[i];
    result.name = item.name;
    std::optional<CreateTopic> topic;
    if (std::ranges::count(r.topics, item.name, &CreateTopicItem::name) > 1) {
      set_error(result, ControllerError::invalid_request, "the topic is named twice in one request");
    } else {
      topic = plan(item, load, result);
    }
    if (topic && !r.validate_only) {
      submit(key, i, std::move(*topic), out);
    } else {
      finish_item(key, out);
    }
  }
  finish_item(key, out);
}

std::optional<CreateTopic> Controller::plan(const CreateTopicItem& item, std::vector<Candidate>& load, CreateTopicResult& result) {
  auto refuse = [&](ControllerError error, std::string message) {
    set_error(result, error, std::move(message));
    return std::nullopt;
  };
  if (auto ok = check_topic_name(item.name); !ok) return refuse(ControllerError::invalid_topic_name, ok.error().what);
  if (const Topic* there = catalogue_.topic(item.name)) {
    const bool again = !item.topic_id.is_zero() && there->id == item.topic_id;
    if (!again) return refuse(ControllerError::exists, fmt::format("topic '{}' exists", item.name));
    REACHED("controller: a topic is asked for again by who has made it");
    result.topic_id = there->id;
    result.num_partitions = static_cast<int32_t>(there->partitions.size());
    result.replication_factor = static_cast<int32_t>(catalogue_.partition(there->partitions.front())->replicas.size());
    return std::nullopt;
  }
  if (const Topic* other = catalogue_.colliding_topic(item.name)) {
    return refuse(ControllerError::invalid_topic_name, fmt::format("topic '{}' collides with existing topic '{}'", item.name, other->name));
  }
  auto settings = check_configs(item.configs);
  if (!settings) return refuse(ControllerError::invalid_config, settings.error().what);

  CreateTopic topic{
      .name = item.name, .topic_id = {}, .partitions = {}, .min_insync_replicas = {}, .configs = std::move(settings->configs)};
  if (!item.assignment.empty()) {
    if (item.num_partitions != -1 || item.replication_factor != -1) {
      return refuse(ControllerError::invalid_request, "with a replica assignment, partitions and replication factor must be -1");
    }
    for (const std::vector<NodeId>& replicas : item.assignment) {
      std::set<NodeId> nodes(replicas.begin(), replicas.end());
      if (replicas.empty() || nodes.size() != replicas.size() || replicas.size() != item.assignment[0].size()) {
        return refuse(ControllerError::invalid_replica_assignment, "each partition needs the same number of distinct replicas");
      }
    }
    topic.partitions = item.assignment;
  }
  auto count = static_cast<int64_t>(topic.partitions.size());
  if (item.assignment.empty()) count = item.num_partitions == -1 ? options_.default_partitions : item.num_partitions;
  if (count < 1 || count > options_.max_partitions_per_topic) {
    return refuse(ControllerError::invalid_partitions,
                  fmt::format("{} partitions; 1 to {} are allowed", count, options_.max_partitions_per_topic));
  }
  int32_t factor = item.replication_factor == -1 ? default_replication_factor() : item.replication_factor;
  if (!topic.partitions.empty()) factor = static_cast<int32_t>(topic.partitions[0].size());
  int32_t by_default = options_.default_min_insync_replicas == -1 ? (factor >= 3 ? 2 : 1) : options_.default_min_insync_replicas;
  topic.min_insync_replicas = settings->min_insync_replicas > 0 ? settings->min_insync_replicas : by_default;

  // What is made can be written to at once: min ISR is met without the brokers that are away.
  const int32_t min_live = std::max(1, std::min(topic.min_insync_replicas, factor));
  if (topic.partitions.empty()) {
    auto placed =
        place(load, static_cast<int32_t>(count), factor, min_live, static_cast<uint64_t>(catalogue_.next_stream().v) + next_token_);
    if (!placed) return refuse(ControllerError::invalid_replication_factor, placed.error().what);
    topic.partitions = std::move(*placed);
  } else {
    for (const std::vector<NodeId>& replicas : topic.partitions)
      if (auto ok = check_assigned(load, replicas, min_live); !ok)
        return refuse(ControllerError::invalid_replica_assignment, ok.error().what);
    add_load(load, topic.partitions);
  }
  topic.topic_id = item.topic_id.is_zero() || catalogue_.topic(item.topic_id) ? draw_uuid() : item.topic_id;
  result.num_partitions = static_cast<int32_t>(count);
  result.replication_factor = factor;
  return topic;
}

int32_t Controller::default_replication_factor() const {
  if (options_.default_replication_factor > 0) return options_.default_replication_factor;
  std::set<NodeId> nodes;
  for (const auto& [node, voter] : voters_) nodes.insert(node);
  return std::clamp(static_cast<int32_t>(nodes.size()), 1, 3);
}

Uuid Controller::draw_uuid() {
  Uuid id;
  while (id.is_zero() || catalogue_.topic(id)) {
    id.high = rng_.next();
    id.low = rng_.next();
  }
  return id;
}

void Controller::request(NodeId from, uint64_t id, const DeleteTopicsRequest& r, ControllerOutput& out) {
  uint64_t key = open(from, id, r.topics.size() + 1);
  open_.at(key).reply.body = DeleteTopicsReply{.topics = std::vector<DeleteTopicResult>(r.topics.size()), .applied = {}};
  for (size_t i = 0; i < r.topics.size(); ++i) {
    const DeleteTopicItem& item = r.topics[i];
    DeleteTopicResult& result = deleted(open_.at(key).reply)[i];
    const Topic* topic = item.name.empty() ? catalogue_.topic(item.topic_id) : catalogue_.topic(item.name);
    result.name = topic ? topic->name : item.name;
    result.topic_id = topic ? topic->id : item.topic_id;
    if (topic) {
      submit(key, i, DeleteTopic{topic->id}, out);
    } else {
      set_error(result, ControllerError::not_found, "no such topic");
      finish_item(key, out);
    }
  }
  finish_item(key, out);
}

}  // namespace sg::metadata
