#include "broker/node.h"

#include <algorithm>

#include "base/archive.h"
#include "base/probe.h"

namespace sg::broker {
namespace {

constexpr Duration kDrainTime = 3s;
constexpr Duration kDrainRetry = 100ms;
constexpr Duration kIsrAnswer = 1s;

raft::Config raft_config(const Config& config, Incarnation incarnation) {
  raft::Config out;
  out.self = config.node_id;
  out.incarnation = incarnation;
  for (const Voter& v : config.voters) out.voters.push_back(v.id);
  if (out.voters.empty()) out.voters.push_back(config.node_id);
  out.heartbeat_interval = config.timing.heartbeat;
  out.election_timeout_min = config.timing.election_min;
  out.election_timeout_max = config.timing.election_max;
  out.limits.append_max_entries = config.raft.append_max_entries;
  return out;
}

metadata::ControllerOptions controller_options(const Config& config) {
  metadata::ControllerOptions out;
  out.node = config.node_id;
  out.session_timeout = config.timing.session_timeout;
  out.default_replication_factor =
      config.broker.default_replication_factor > 0 ? config.broker.default_replication_factor : std::min(3, config.voter_count());
  out.default_min_insync_replicas = config.broker.min_insync_replicas;
  out.default_partitions = config.broker.num_partitions;
  return out;
}

wal::Options journal_options(const Config& config, const Env& env) {
  wal::Options out;
  out.node_id = config.node_id;
  out.incarnation = Incarnation(static_cast<uint64_t>(std::max<int64_t>(1, env.clock.wall_ms())));
  out.segment_bytes = config.journal.segment_bytes;
  out.first_segment_bytes = config.journal.first_segment_bytes;
  out.tail_cache_bytes = config.journal.tail_cache_bytes;
  out.budget_bytes = config.journal.budget_bytes;
  out.direct = config.journal.direct;
  return out;
}

metadata::Endpoint endpoint(const net::Address& address) { return {address.host, address.port}; }

// A node that was started on port 0 tells others the port that it got.
void take_port(net::Address& address, const net::Address& bound) {
  if (address.port == 0) address.port = bound.port;
}

}  // namespace

Node::Node(Env env, Config config, NodeCallbacks callbacks)
    : env_(std::move(env)), config_(std::move(config)), callbacks_(std::move(callbacks)), log_(env_.log.with("node")) {
  identity_.node = config_.node_id;
}

Node::~Node() = default;

void Node::request_stop() {
  stop_requested_ = true;
  wake_.notify_all();
}

int Node::run(Task& task) {
  auto refuse = [&](const Error& error) {
    if (error.code != Errc::stopped) callbacks_.failed(error.what);
    return error.code == Errc::io ? kExitDisk : kExitRefused;
  };
  auto opened = wal::Journal::open(task, env_.disk, journal_options(config_, env_), env_.rng.split("journal"), env_.log.with("journal"));
  if (!opened) return refuse(opened.error());
  identity_.incarnation = opened->incarnation;
  identity_.cluster_id = opened->cluster_id;
  peer_server_.emplace(env_, identity_, static_cast<peer::PeerEvents&>(*this), config_.limits.peer_connections);
  if (Result<> r = peer_server_->listen(config_.listen.peer); !r) return refuse(r.error());
  take_port(config_.listen.peer, peer_server_->local());
  return run_opened(task, std::move(*opened));
}

int Node::run_opened(Task& task, wal::OpenResult opened) {
  journal_ = std::move(opened.journal);
  log_.info("opened incarnation={} start={} streams={} term={}", identity_.incarnation, to_string(opened.start), opened.streams.size(),
            opened.hard_state.term);

  metadata::RegisterBroker registration;
  registration.directory_id = opened.directory_id;
  registration.rack = config_.rack;
  registration.clean = opened.start != wal::StartKind::damaged;
  for (const wal::StreamState& s : opened.streams)
    if (s.damaged && !wal::is_metadata(s.stream)) registration.damaged.push_back(s.stream);
  // Damage that has a name counts for the streams it names; only what has none counts for all.
  if (!registration.damaged.empty()) registration.clean = true;

  machine_.emplace(env_, static_cast<CatalogueEvents&>(*this));
  links_.emplace(env_, identity_, static_cast<peer::LinkEvents&>(*this));
  auto recovered = RaftDriver::recover(task, *journal_, opened, config_.voter_count() == 1);
  if (!recovered) {
    if (!recovered.is(Errc::stopped)) callbacks_.failed(recovered.error().what);
    return kExitDisk;
  }
  raft_.emplace(env_, raft_config(config_, identity_.incarnation), std::move(*recovered), *journal_, *links_, *machine_,
                config_.raft.snapshot_every);
  replication_.emplace(env_, identity_);
  partitions_.emplace(env_, config_, *journal_, opened.streams, *replication_, static_cast<ControllerSink&>(*this));

  // The controller answers this very node through its membership, and the membership asks the controller.
  struct Local final : LocalReplies {
    std::optional<Membership>& membership;
    explicit Local(std::optional<Membership>& m) : membership(m) {}
    void on_controller_reply(const metadata::ControllerReply& reply) override { membership->on_controller_reply(reply); }
    void on_heartbeat_reply(const metadata::HeartbeatReply& reply) override { membership->on_heartbeat_reply(reply); }
  } local(membership_);
  controller_.emplace(env_, machine_->catalogue(), controller_options(config_), *raft_, *links_, local);

  // The Kafka listener needs the services, the registration its address.
  auto start_clients = [&]() -> Result<> {
    registration.peer = endpoint(config_.listen.peer);
    membership_.emplace(env_, config_.timing, identity_, registration, *machine_, *raft_, *controller_, *links_,
                        static_cast<StandingEvents&>(*this));
    producer_ids_.emplace(*membership_);
    kafka_server_.emplace(Services{env_, config_, identity_, *machine_, *raft_, *membership_, *partitions_, *producer_ids_},
                          config_.limits);
    TRY_DO(kafka_server_->listen(config_.listen.kafka));
    take_port(config_.listen.kafka, kafka_server_->local());
    membership_->set_kafka_endpoint(endpoint(config_.advertised()));
    return {};
  };
  if (Result<> r = start_clients(); !r) {
    callbacks_.failed(r.error().what);
    return kExitRefused;
  }

  TaskGroup journal_tasks(task.scheduler());
  TaskGroup tasks(task.scheduler());
  journal_->start(journal_tasks, *this);
  replication_->attach(*partitions_, machine_->catalogue(), tasks);
  for (const Voter& v : config_.voters)
    if (v.id != config_.node_id) links_->add(tasks, v.id, v.address);
  tasks.spawn("peer server", [this](Task& t) { peer_server_->run(t); });
  tasks.spawn("kafka server", [this](Task& t) { kafka_server_->run(t); });
  tasks.spawn("raft", [this](Task& t) {
    raft_->start();
    raft_->run(t);
  });
  tasks.spawn("controller", [this](Task& t) { controller_->run(t); });
  tasks.spawn("membership", [this](Task& t) { membership_->run(t); });
  tasks.spawn("partitions", [this](Task& t) { partitions_->run(t); });
  tasks.spawn("cluster id", [this](Task& t) {
    if (Result<> r = learn_cluster(t); !r && !r.is(Errc::stopped)) on_failed(r.error());
  });
  if (callbacks_.ready) callbacks_.ready(config_.listen.kafka, config_.listen.peer);

  while (!stop_requested_ && !disk_failure_)
    if (!wake_.wait(task, Time::never(), "a reason to stop")) break;
  bool orderly = stop_requested_ && !disk_failure_ && !task.stopping();
  if (orderly) hand_over(task);
  tasks.stop();
  tasks.join(task);
  if (orderly && !disk_failure_ && !task.stopping()) (void)journal_->close(task);
  journal_tasks.stop();
  journal_tasks.join(task);
  if (!disk_failure_) return kExitOk;
  callbacks_.failed(disk_failure_->what);
  return disk_failure_->code == Errc::invalid ? kExitRefused : kExitDisk;
}

void Node::hand_over(Task& task) {
  if (config_.voter_count() == 1) return;
  log_.info("stopping reason=\"asked to\"");
  const Time deadline = task.now() + kDrainTime;
  int32_t last_left = INT32_MAX;
  while (membership_->registered() && !disk_failure_) {
    auto reply = membership_->request(task, metadata::DrainBroker{config_.node_id, membership_->broker_epoch()}, deadline);
    const auto* drained = reply ? std::get_if<metadata::DrainReply>(&reply->body) : nullptr;
    if (!drained || drained->leaderships_left == 0) break;
    // What is left has no other in-sync replica; one more look tells whether that changes.
    if (drained->leaderships_left >= last_left) break;
    last_left = drained->leaderships_left;
    if (!task.sleep_for(kDrainRetry)) return;
  }
  // What was moved is known here before the sessions end, so nobody waits for this node.
  if (raft_->core().is_leader()) {
    raft_->transfer_leadership();
    while (raft_->core().is_leader() && raft_->core().transferring() && task.now() < deadline)
      if (!task.sleep_for(10ms)) return;
  }
}

Result<> Node::learn_cluster(Task& task) {
  while (machine_->catalogue().cluster_id().is_zero()) TRY_DO(machine_->wait_change(task, Time::never()));
  Uuid id = machine_->catalogue().cluster_id();
  TRY_DO(journal_->set_cluster_id(task, id));
  identity_.cluster_id = id;
  return {};
}

// --- Journal ---------------------------------------------------------------------------------------------------------------------

void Node::on_durable(std::span<const wal::StreamEnd> ends, wal::Tickets durable) {
  membership_->standing();  // what became durable answers nobody whom this node may no longer answer
  raft_->on_durable(durable.metadata);
  partitions_->on_durable(ends, durable);
  if (kafka_server_) kafka_server_->on_durable();
}

void Node::on_failed(const Error& error) {
  log_.error("halt reason=\"{}\"", error.what);
  disk_failure_ = error;
  // Nobody knows what is on the disk: what was promised before, and has not left yet, must not leave either.
  if (links_) links_->silence();
  if (replication_) replication_->silence();
  if (kafka_server_) kafka_server_->silence();
  wake_.notify_all();
}

// --- Peers -----------------------------------------------------------------------------------------------------------------------

void Node::on_link_up(NodeId node, Incarnation incarnation) {
  raft_->on_link_up(node, incarnation);
  controller_->on_alive(node, incarnation);
}

void Node::on_suspicion(NodeId node, Incarnation incarnation) {
  log_.warn("suspect node={} incarnation={}", node, incarnation);
  raft_->suspect(node, incarnation);
  controller_->on_suspicion(node, incarnation);
}

void Node::on_probe_refused(NodeId node) { controller_->on_probe_refused(node); }

void Node::on_hello(NodeId from, Incarnation incarnation) {
  // A newer run says that the older one is gone (architecture §5).
  Incarnation known = raft_->core().incarnation_of(from);
  if (known.v != 0 && known < incarnation) raft_->suspect(from, known);
  raft_->on_link_up(from, incarnation);
  controller_->on_alive(from, incarnation);
}

Result<> Node::on_control_frame(NodeId from, Incarnation incarnation, const peer::Frame& frame) {
  controller_->on_alive(from, incarnation);
  switch (frame.kind) {
    case peer::FrameKind::raft: return raft_->on_frame(frame);
    case peer::FrameKind::heartbeat: {
      TRY(auto heartbeat, unpack<metadata::Heartbeat>(frame.metadata));
      if (heartbeat.node != from) return fail(Errc::invalid, "a heartbeat in another node's name");
      controller_->on_heartbeat(heartbeat);
      return {};
    }
    case peer::FrameKind::heartbeat_reply: {
      TRY(auto reply, unpack<metadata::HeartbeatReply>(frame.metadata));
      membership_->on_heartbeat_reply(reply);
      return {};
    }
    case peer::FrameKind::controller_request: {
      TRY(auto request, unpack<metadata::ControllerRequest>(frame.metadata));
      controller_->on_request(from, std::move(request));
      return {};
    }
    case peer::FrameKind::controller_reply: {
      TRY(auto reply, unpack<metadata::ControllerReply>(frame.metadata));
      membership_->on_controller_reply(reply);
      return {};
    }
    default: return fail(Errc::invalid, fmt::format("frame kind {} on a control link", static_cast<int>(frame.kind)));
  }
}

Result<> Node::serve_replication(Task& task, net::Connection& connection, FrameReader& reader, const peer::Hello& hello) {
  return replication_->serve(task, connection, reader, hello);
}

// --- Catalogue -------------------------------------------------------------------------------------------------------------------

void Node::on_raft_change(const raft::StateChange& change) {
  controller_->on_raft_change(change);
  membership_->poke();
}

void Node::on_entry_applied(LogIndex index, Term term, const Result<metadata::Applied>& outcome) {
  controller_->on_entry_applied(index, term, outcome);
}

void Node::on_catalogue_restored() { refresh_all_ = true; }

void Node::on_catalogue_changed(const std::set<StreamId>& partitions, const std::set<NodeId>& brokers) {
  // Before the news reach the partitions, which answer those who wait.
  membership_->standing();
  // Until this run's own registration is applied, what the catalogue says of this node is about an earlier run.
  if (membership_->registered()) {
    partitions_->refresh(machine_->catalogue(), membership_->broker_epoch(), refresh_all_ ? nullptr : &partitions, brokers);
    refresh_all_ = false;
  }
  membership_->poke();
}

// --- Partitions ------------------------------------------------------------------------------------------------------------------

void Node::propose_isr(const replica::IsrProposal& proposal) {
  metadata::ChangeIsr request{.stream = proposal.stream,
                              .leader = config_.node_id,
                              .leader_broker_epoch = membership_->broker_epoch(),
                              .leader_epoch = proposal.leader_epoch,
                              .partition_epoch = proposal.partition_epoch,
                              .isr = {}};
  for (const replica::IsrMember& m : proposal.members) request.isr.push_back({m.node, m.broker_epoch});
  membership_->call(request, env_.clock.now() + kIsrAnswer, [this, proposal](Result<metadata::ControllerReply> reply) {
    using metadata::ControllerError;
    if (reply && reply->error == ControllerError::none) return;  // the catalogue's log tells
    replica::IsrRefusal why = replica::IsrRefusal::unknown;
    if (reply && reply->error == ControllerError::stale) why = replica::IsrRefusal::stale;
    if (reply && reply->error == ControllerError::ineligible_replica) why = replica::IsrRefusal::ineligible;
    partitions_->on_isr_refused(proposal.stream, proposal.partition_epoch, why);
  });
}

void Node::report_damage(StreamId stream) { membership_->report_damage(stream); }

void Node::on_standing(replica::Standing standing) { partitions_->on_standing(standing); }

}  // namespace sg::broker
