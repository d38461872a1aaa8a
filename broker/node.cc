#include "broker/node.h"

#include <algorithm>

#include "base/archive.h"
#include "base/probe.h"
#include "broker/cluster/voters_list.h"
#include "broker/raft_recovery.h"

namespace sg::broker {
namespace {

constexpr Duration kDrainTime = 3s;
constexpr Duration kDrainRetry = 100ms;
constexpr Duration kIsrAnswer = 1s;

// What to say when the process ends: what happened, and what helps where something does.
std::string advised(const Error& error) {
  if (error.code != Errc::no_space) return error.what;
  return error.what + ": the disk of the data directory is full; free some space, and start again";
}

raft::Config raft_config(const Config& config, Run run, VoterId voter) {
  raft::Config out;
  out.self = config.node_id;
  out.voter = voter;
  out.run = run;
  out.voter_silence = config.timing.session_timeout;
  out.heartbeat_interval = config.timing.heartbeat;
  out.election_timeout_min = config.timing.election_min;
  out.election_timeout_max = config.timing.election_max;
  out.limits.append_max_entries = config.raft.append_max_entries;
  out.kept_behind_snapshot = config.raft.kept_behind_snapshot;
  return out;
}

metadata::ControllerOptions controller_options(const Config& config) {
  metadata::ControllerOptions out;
  out.node = config.node_id;
  out.session_timeout = config.timing.session_timeout;
  out.default_replication_factor = config.broker.default_replication_factor;
  out.default_min_insync_replicas = config.broker.min_insync_replicas;
  out.default_partitions = config.broker.num_partitions;
  return out;
}

wal::Options journal_options(const Config& config) {
  wal::Options out;
  out.node_id = config.node_id;
  out.copy_check = config.journal.copy_check;
  out.named = config.data_dir;
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
    if (error.code != Errc::stopped) callbacks_.failed(advised(error));
    return error.code == Errc::io || error.code == Errc::no_space ? kExitDisk : kExitRefused;
  };
  auto opened = wal::Journal::open(task, env_.disk, journal_options(config_), env_.rng.split("journal"), env_.log.with("journal"));
  if (!opened) return refuse(opened.error());
  identity_.run = opened->run;
  identity_.cluster_id = opened->cluster_id;
  pulses_.emplace(env_, config_.timing.link_timeout);
  peer_server_.emplace(env_, identity_, static_cast<peer::PeerEvents&>(*this), *pulses_, config_.limits.peer_connections);
  if (Result<> r = peer_server_->listen(config_.listen.peer); !r) return refuse(r.error());
  take_port(config_.listen.peer, peer_server_->local());
  identity_.address = config_.listen.peer;
  return run_opened(task, std::move(*opened));
}

Held Node::held() const {
  Held out;
  if (kafka_server_) {
    const InFlight& clients = kafka_server_->in_flight();
    out = {.connections = clients.connections,
           .request_bytes = clients.bytes,
           .unfinished_bytes = clients.unfinished_bytes,
           .answer_bytes = clients.answer_bytes};
  }
  if (partitions_) {
    out.produces = partitions_->waits();
    out.fetches = partitions_->readers();
  }
  if (controller_) out.proposals = controller_->proposals();
  return out;
}

int Node::run_opened(Task& task, wal::OpenResult opened) {
  journal_ = std::move(opened.journal);
  log_.info("opened run={} start={} streams={} term={}", identity_.run, to_string(opened.start), opened.streams.size(),
            opened.hard_state.term);

  metadata::RegisterBroker registration;
  registration.rack = config_.rack;
  registration.clean = !opened.unattributed_damage;
  for (const wal::StreamState& s : opened.streams)
    if (s.damaged && !wal::is_metadata(s.stream)) registration.damaged.push_back(s.stream);

  machine_.emplace(env_, static_cast<CatalogueEvents&>(*this));
  auto votes = [this](NodeId node, VoterId voter) { return raft_ && raft_->core().configuration().votes({node, voter}); };
  bearers_.emplace(machine_->catalogue(), votes, config_.timing.session_timeout, config_.timing.link_timeout);
  links_.emplace(env_, identity_, static_cast<peer::LinkEvents&>(*this), *pulses_);
  auto recovered = recover_raft(task, opened);
  auto formation = recovered ? FormationHost::recover(task, *journal_, *recovered) : std::unexpected(recovered.error());
  if (!formation) {
    if (!formation.is(Errc::stopped)) callbacks_.failed(advised(formation.error()));
    return formation.is(Errc::invalid) ? kExitRefused : kExitDisk;
  }
  identity_.voter = registration.voter = journal_->voter();
  raft_.emplace(env_, raft_config(config_, identity_.run, identity_.voter), std::move(*recovered), *journal_, *links_, *machine_,
                config_.raft.snapshot_every);
  formation_.emplace(env_, config_, std::move(*formation), identity_, *journal_, *links_, *raft_);
  replication_.emplace(env_, identity_, *pulses_);
  partitions_.emplace(env_, config_, *journal_, opened.streams, *replication_, static_cast<ControllerSink&>(*this));

  // The controller answers this very node through its membership, and the membership asks the controller.
  struct Local final : LocalReplies {
    std::optional<Membership>& membership;
    explicit Local(std::optional<Membership>& m) : membership(m) {}
    void on_controller_reply(const metadata::ControllerReply& reply) override { membership->on_controller_reply(reply); }
    void on_heartbeat_reply(const metadata::HeartbeatReply& reply) override { membership->on_heartbeat_reply(reply); }
  } local(membership_);
  controller_.emplace(env_, machine_->catalogue(), controller_options(config_), identity_, *raft_, *links_, local);

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
  tell_voters();
  link_tasks_ = &tasks;
  update_links();
  tasks.spawn("pulses", [this](Task& t) { pulses_->run(t); });
  tasks.spawn("peer server", [this](Task& t) { peer_server_->run(t); });
  tasks.spawn("kafka server", [this](Task& t) { kafka_server_->run(t); });
  tasks.spawn("raft", [this](Task& t) {
    raft_->start();
    raft_->run(t);
  });
  tasks.spawn("formation", [this](Task& t) {
    if (Result<> r = formation_->run(t); !r && !r.is(Errc::stopped)) on_failed(r.error());
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
  bool handed_over = !orderly;
  if (orderly)
    tasks.spawn("hand over", [&](Task& t) {
      hand_over(t);
      handed_over = true;
      wake_.notify_all();
    });
  // A disk that fails meanwhile ends the process at once: whom it asks to take over will not hear of it any more.
  while (!handed_over && !disk_failure_)
    if (!wake_.wait(task, Time::never(), "others to take over")) break;
  link_tasks_ = nullptr;
  tasks.stop();
  tasks.join(task);
  if (orderly && !disk_failure_ && !task.stopping()) (void)journal_->close(task);
  journal_tasks.stop();
  journal_tasks.join(task);
  if (!disk_failure_) return kExitOk;
  callbacks_.failed(advised(*disk_failure_));
  return disk_failure_->code == Errc::invalid ? kExitRefused : kExitDisk;
}

void Node::hand_over(Task& task) {
  if (raft_->core().configuration().members().size() <= 1) return;
  log_.info("stopping reason=\"asked to\"");
  const Time deadline = task.now() + kDrainTime;
  int32_t last_left = INT32_MAX;
  while (membership_->registered()) {
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

// What Raft goes on from, if the operator's list of voters does not contradict it.  Errc::invalid: it does.
Result<raft::Recovered> Node::recover_raft(Task& task, const wal::OpenResult& opened) {
  TRY(KeptRaft kept, read_raft(task, *journal_, opened));
  TRY_DO(judge_list(kept.raft));
  TRY(auto recovered, settle_raft(task, *journal_, std::move(kept), config_.voters.size() <= 1));
  if (!recovered.may_lead)
    log_.error(
        "does_not_lead reason=\"this is the only voter of its cluster, and something that it had promised is missing\" what=\"stop it; "
        "'stormglassd accept-damage {}' says what is lost, and lets it lead without that\"",
        config_.data_dir);
  identity_.lineage = raft::newest_configuration(recovered).lineage;
  return recovered;
}

Result<> Node::judge_list(const raft::Recovered& found) const {
  std::vector<NodeId> list;
  for (const Voter& v : config_.voters) list.push_back(v.id);
  JudgedList judged;
  if (const raft::Configuration newest = raft::newest_configuration(found); newest.known()) {
    judged = judge_voters_list(std::move(list), config_.node_id, newest);
  } else {
    TRY(const metadata::Catalogue catalogue, catalogue_of(found));
    std::vector<NodeId> named;
    for (const auto& [node, broker] : catalogue.brokers()) named.push_back(node);
    judged = judge_first_list(std::move(list), config_.node_id, named);
  }
  if (judged.verdict == ListVerdict::refused) return fail(Errc::invalid, judged.line);
  if (judged.verdict == ListVerdict::warning) log_.warn("voters_list {}", judged.line);
  return {};
}

// A peer is looked for where this node's operator said, then where the configuration says, then where it has registered.
void Node::update_links() {
  if (!link_tasks_) return;
  std::map<NodeId, std::vector<net::Address>> where;
  auto add = [&](NodeId node, const net::Address& address) {
    std::vector<net::Address>& known = where[node];
    if (std::ranges::find(known, address) == known.end()) known.push_back(address);
  };
  for (const Voter& v : config_.voters) add(v.id, v.address);
  for (const auto& [node, address] : raft_->core().configuration().addresses) add(node, {address.host, address.port});
  for (const auto& [node, broker] : machine_->catalogue().brokers()) add(node, {broker.peer.host, broker.peer.port});
  where.erase(config_.node_id);
  for (auto& [node, addresses] : where) links_->add(*link_tasks_, node, std::move(addresses));
}

// --- Journal ---------------------------------------------------------------------------------------------------------------------

void Node::on_durable(std::span<const wal::StreamEnd> ends, wal::Tickets durable) {
  membership_->standing();  // what became durable answers nobody whom this node may no longer answer
  raft_->on_durable(durable.metadata);
  formation_->on_durable(durable.metadata);
  partitions_->on_durable(ends, durable);
  if (kafka_server_) kafka_server_->on_durable();
}

void Node::on_damaged(std::span<const StreamId> streams, const Error& what) {
  log_.error("damage streams={} {}", streams.size(), what.what);
  for (StreamId stream : streams)
    if (!wal::is_metadata(stream)) partitions_->on_damaged(stream, what);
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

// `run` bears the node's id from now on, as far as this node can tell. The run before it is gone or will be told by the catalogue.
void Node::borne_by(NodeId node, Run run) {
  const Run known = raft_->core().run_of(node);
  if (!known.is_none() && known != run) raft_->suspect(node, known);
  raft_->on_link_up(node, run);
  controller_->on_alive(node, run);
}

Result<> Node::on_link_up(NodeId node, Run run, VoterId voter, const net::Address& address) {
  TRY_DO(bearers_->answered(env_.clock.now(), {node, run, voter, address}));
  bearers_->link_opened(node, run);
  borne_by(node, run);
  return {};
}

// A restart or a replaced disk may make it the bearer; the link follows when it dials, or is dialed again.
void Node::on_refused_by(NodeId node, Run run, VoterId voter, const net::Address& address) {
  (void)bearers_->answered(env_.clock.now(), {node, run, voter, address});
}

void Node::on_nobody_at(NodeId node, const net::Address& address) { bearers_->nobody_at(node, address); }

void Node::on_link_down(NodeId node, Run run) { bearers_->link_closed(node, run); }

void Node::on_suspicion(NodeId node, Run run) {
  if (Run bearer = bearers_->of(node); bearer != run && !bearer.is_none()) return;  // another has taken its place already
  log_.warn("suspect node={} run={}", node, run);
  bearers_->suspect(node, run);
  raft_->suspect(node, run);
  controller_->on_suspicion(node, run);
}

void Node::on_probe_refused(NodeId node) { controller_->on_probe_refused(node); }

Result<> Node::admit(const peer::Hello& hello) {
  return bearers_->greeted(env_.clock.now(), {hello.from, hello.run, hello.voter, {hello.host, hello.port}});
}

void Node::on_hello(NodeId from, Run run) {
  bearers_->link_opened(from, run);
  borne_by(from, run);
}

void Node::on_hello_over(NodeId from, Run run) { bearers_->link_closed(from, run); }

Result<> Node::on_control_frame(NodeId from, Run run, const peer::Frame& frame) {
  if (!bearers_->heard(env_.clock.now(), from, run))
    return fail(Errc::invalid, fmt::format("node {} is run {} now, this link is of run {}", from, bearers_->of(from), run));
  controller_->on_alive(from, run);
  switch (frame.kind) {
    case peer::FrameKind::raft: return raft_->on_frame(from, frame);
    case peer::FrameKind::formation: return formation_->on_frame(from, frame);
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

Result<> Node::serve_replication(Task& task, peer::LiveConnection& connection, FrameReader& reader, const peer::Hello& hello) {
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

void Node::on_catalogue_restored() {
  refresh_all_ = true;
  for (const auto& [node, broker] : machine_->catalogue().brokers()) raft_->registered({node, broker.voter});
}

void Node::on_configuration() {
  log_.info("configuration index={} {}", raft_->core().configuration_index(), to_string(raft_->core().configuration()));
  identity_.lineage = raft_->core().configuration().lineage;
  tell_voters();
  update_links();
}

void Node::tell_voters() {
  if (!controller_) return;
  metadata::Voters voters;
  const raft::Configuration& c = raft_->core().configuration();
  for (const std::vector<raft::Voter>* set : {&c.voters, &c.next})
    for (const raft::Voter& v : *set) voters.emplace(v.node, v.id);
  controller_->on_voters(std::move(voters));
}

void Node::on_distrusted() {
  on_failed(
      {Errc::invalid, fmt::format("{} holds less than what the cluster has counted from it: it was put back from an older copy. Make it a "
                                  "directory of its own with 'stormglassd adopt {}', then start again",
                                  config_.data_dir, config_.data_dir)});
}

void Node::on_catalogue_changed(const std::set<StreamId>& partitions, const std::set<NodeId>& brokers) {
  for (NodeId node : brokers)
    if (const metadata::Broker* broker = machine_->catalogue().broker(node)) raft_->registered({node, broker->voter});
  if (!brokers.empty() || refresh_all_) update_links();
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
