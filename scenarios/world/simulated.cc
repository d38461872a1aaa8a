#include "scenarios/world/simulated.h"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/checks/run_checks.h"
#include "scenarios/plan.h"
#include "scenarios/world/resonance.h"

namespace sg::scenario {
namespace {

constexpr Duration kRestartAfterExit = 200ms;
constexpr size_t kLastEvents = 20;
constexpr int kSpares = 2;
constexpr Duration kEndsLook = 1ms;  // between two looks for what ends a hold
constexpr Duration kLastLook = 500ms;
constexpr int kLastLooks = 10;
constexpr Duration kStopMargin = 2s;
constexpr Duration kStopping = 4s;  // a broker hands over for at most 3 s (broker/node.cc), and closes its journal

sim::WorldOptions draw_world(const ClusterSpec& cluster, uint64_t seed) {
  Rng rng = Rng(seed).split("world options");
  sim::WorldOptions options;
  options.network.link.latency_max = std::chrono::microseconds(rng.log_between(60, 5000));
  options.network.link.tail_per_million = static_cast<uint32_t>(rng.chance(1, 2) ? 0 : rng.between(1, 5000));
  options.network.retransmit_max = std::chrono::milliseconds(rng.log_between(5'000, 60'000));
  options.network.has_patience = rng.chance(1, 2);
  if (cluster.resonance) take_jitter(options.network);
  return options;
}

// The cluster of this seed.
ClusterSpec draw_cluster(const Scenario& scenario, const sim::FaultPlan* plan, const sim::World& world) {
  ClusterSpec out = scenario.cluster;
  if (!out.nodes_of_seed.empty()) out.nodes = out.nodes_of_seed[world.rng("nodes").below(out.nodes_of_seed.size())];
  const bool twins = plan && std::ranges::any_of(plan->faults, sim::needs_spare, &sim::Fault::kind);
  if (twins || needs_spares(scenario)) out.spares = kSpares;
  return out;
}

bool takes_disk(const sim::Fault& f) {
  return f.kind == sim::FaultKind::wipe || (f.kind == sim::FaultKind::crash_point && f.death == sim::Death::wipe) ||
         f.kind == sim::FaultKind::operator_restore || f.kind == sim::FaultKind::operator_unmount;
}

bool is_hold(const sim::Fault& fault) { return fault.kind == sim::FaultKind::link_hold; }

void check_words(const sim::Fault& hold) {
  auto knows = [](const std::vector<std::string_view>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
  };
  ENSURE(knows(held_kinds(), hold.choice), "nobody knows the message '{}'", hold.choice);
  ENSURE(hold.until.empty() || knows(hold_ends(), hold.until), "nobody knows the event '{}'", hold.until);
}

}  // namespace

class SimulatedWorld::Host final : public ClientHost {
 public:
  Host(sim::World& world, std::string name, const sim::NodeOptions& options, std::vector<net::Address> bootstrap, ClientProgram program)
      : node_(world.add_node(
            std::move(name),
            [bootstrap = std::move(bootstrap), program = std::move(program)](Task& task, sim::NodeEnv& env) {
              ClientEnv client{env.scheduler, env.clock, env.network, env.rng, bootstrap};
              program(task, client);
              return 0;
            },
            options)) {}
  void start() override { node_.start(); }
  void kill() override {
    if (node_.running()) node_.die(sim::Death::kill);
  }

 private:
  sim::Node& node_;
};

SimulatedWorld::SimulatedWorld(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const Options& options)
    : scenario_(scenario),
      world_(seed, draw_world(scenario.cluster, seed), pools),
      cluster_(world_, draw_cluster(scenario, options.plan, world_)) {
  if (options.observed) observers_.emplace(world_, cluster_);
  if (options.trace) world_.trace().record_to(options.trace);
  Rng rng = world_.rng("phases");
  const int64_t low = scenario.phases.safety.low / 1ms;
  const int64_t high = scenario.phases.safety.high / 1ms;
  times_.safety_begin = Time{0} + scenario.phases.set_up;
  times_.safety_end = times_.safety_begin + std::chrono::milliseconds(rng.between(low, std::max(low, high)));
  plan_ = options.plan ? *options.plan : draw_plan(scenario, world_.rng("faults"), seed, times_.safety_begin, times_.safety_end);
  Rng ending = world_.rng("ending");
  ending_ = scenario.phases.endings[ending.below(scenario.phases.endings.size())];
  if (ending_ == Ending::majority) broken_ = draw_broken(ending, cluster_.nodes().size());
  if (std::ranges::any_of(plan_.faults, is_hold)) world_.network().set_finder(&held_);
  for (const sim::Fault& fault : plan_.faults)
    if (is_hold(fault)) check_words(fault);
  executor_ = std::make_unique<sim::FaultExecutor>(
      world_, plan_, cluster_.nodes(), [this](std::string_view target, uint64_t draw) { return cluster_.resolve(target, draw); });
  executor_->set_operator(cluster_);
  executor_->set_on_fault([this](const sim::Fault& fault, sim::Node& target) {
    ++struck_[std::string(sim::to_string(fault.kind))];
    seen_.insert(fmt::format("{} of {}", sim::to_string(fault.kind), role_of(target)));
    if (observers_) observers_->struck(target);
    if (takes_disk(fault)) taken_.insert(target.name());
    if (fault.kind == sim::FaultKind::suspend) sleeps_.emplace_back(world_.now(), world_.now() + fault.duration);
    if (observers_ && fault.kind == sim::FaultKind::suspend) observers_->suspended(target, sleeps_.back().second);
    if (fault.kind == sim::FaultKind::stop && target.running()) {
      stopping_[target.index()] = target.incarnation();
      await_stop(target, target.incarnation(), world_.now());
    }
  });
}
SimulatedWorld::~SimulatedWorld() = default;

bool SimulatedWorld::run_while(const std::function<bool()>& condition, Time limit) {
  world_.run_while(condition, limit);
  return !failed();
}

void SimulatedWorld::start() {
  executor_->start();
  if (std::ranges::any_of(plan_.faults, [](const sim::Fault& f) { return !f.until.empty(); })) await_hold_ends();
  supervise();
  cluster_.start();
}

// What a node is when a fault strikes it: one word, for the list of what was never tried.
std::string_view SimulatedWorld::role_of(const sim::Node& node) const {
  const auto at = std::ranges::find(cluster_.nodes(), &node);
  if (at == cluster_.nodes().end()) return "a second process";
  const NodeId id = Cluster::broker_id(static_cast<size_t>(at - cluster_.nodes().begin()));
  const broker::Node* broker = cluster_.running(id);
  if (!broker) return "one that is down";
  if (node.stalled()) return "one that stands still";
  if (!broker->catalogue()) return "one that recovers";
  if (broker->is_controller()) return "the controller";
  const metadata::Catalogue* newest = cluster_.newest_catalogue();
  const bool leads = newest && std::ranges::any_of(newest->partitions(), [&](const auto& p) { return p.second.leader == id; });
  return leads ? "a leader" : "a follower";
}

// A broker whose disk has failed under it ends, and its service manager starts it again; so does one that was stopped in order and took
// longer than it was to stay down.
void SimulatedWorld::supervise() {
  for (sim::Node* node : cluster_.nodes())
    node->set_on_end([this](sim::Node& ended, std::optional<int> code) {
      const bool stopped = is_stopping(ended) && !world_.effects().kept_down(ended);
      stopping_.erase(ended.index());
      if (code != broker::kExitDisk && !stopped) return;
      world_.schedule(world_.now() + kRestartAfterExit, [this, &ended] { world_.effects().start(ended); });
    });
}

// As long as anything may be held.
void SimulatedWorld::await_hold_ends() {
  if (world_.phase() != sim::Phase::safety) return;
  for (std::string_view event : hold_ends_.look()) executor_->happened(event);
  world_.schedule(world_.now() + kEndsLook, [this] { await_hold_ends(); });
}

ClientHost& SimulatedWorld::add_client(std::string name, ClientProgram program) {
  // Observers have one clock, the world's: what different clients saw is compared in time.
  sim::NodeOptions options;
  options.clock_origin = world_.now();
  clients_.push_back(std::make_unique<Host>(world_, std::move(name), options, cluster_.bootstrap(), std::move(program)));
  return *clients_.back();
}

void SimulatedWorld::heal() {
  if (ending_ == Ending::stopped) {
    world_.disarm();
    world_.run_until(world_.now() + longest_fault());
    return world_.end_faults();
  }
  executor_->mend();
  world_.begin_liveness(cluster_.nodes());  // clients that have ended stay ended
  // With a voter that has to be admitted again a minority more is too many.
  const bool damaged = std::ranges::any_of(cluster_.nodes(), [](sim::Node* node) { return node->disk().damages() > 0; });
  if (damaged || !taken_.empty()) broken_.clear();
  if (ending_ == Ending::majority && broken_.empty()) ending_ = Ending::healed;
  break_for_ever(world_, cluster_.nodes(), broken_);
}

Duration SimulatedWorld::longest_fault() const {
  Duration longest{};
  for (const sim::Fault& f : plan_.faults) {
    const bool twice = f.kind == sim::FaultKind::kill || f.kind == sim::FaultKind::power_cut || f.kind == sim::FaultKind::wipe;
    longest = std::max(longest, twice ? 2 * f.duration + Duration(f.value) : f.duration);
  }
  return longest + sim::FaultExecutor::kRetriedFor;
}

// For how long the faults of links can hold back one message, at most.
Duration SimulatedWorld::still_under_way() const {
  Duration delay{}, stall{};
  for (const sim::Fault& f : plan_.faults) {
    if (f.kind == sim::FaultKind::link_delay) delay = std::max(delay, Duration(f.value));
    if (f.kind == sim::FaultKind::link_stall) stall = std::max(stall, f.duration);
  }
  return delay + stall;
}

// It was told to, and was not killed meanwhile.
bool SimulatedWorld::is_stopping(const sim::Node& node) const {
  auto it = stopping_.find(node.index());
  return it != stopping_.end() && it->second == node.incarnation();
}

// A machine or a disk that stands still takes its time.
void SimulatedWorld::await_stop(sim::Node& node, uint64_t incarnation, Time since) {
  since = std::max({since, node.last_stall_end(), node.disk().hindered_until()});
  const Time due = since + kStopping + kStopMargin;
  if (due > world_.now())
    return world_.schedule(due, [this, &node, incarnation, since] {
      if (node.running() && node.incarnation() == incarnation && is_stopping(node)) await_stop(node, incarnation, since);
    });
  fail("exit",
       fmt::format("{} was asked to stop, and runs still {} ms after its machine and its disk worked as they were made; expected: it "
                   "ends within {} ms",
                   node.name(), (world_.now() - since) / 1ms, kStopping / 1ms));
}

Duration SimulatedWorld::still_stopping() const {
  const bool any = std::ranges::any_of(cluster_.nodes(), [&](const sim::Node* n) { return n->running() && is_stopping(*n); });
  return any ? kStopping + kRestartAfterExit : Duration(0);
}

bool SimulatedWorld::somebody_moved() const {
  if (!observers_) return false;
  const metadata::Catalogue& catalogue = observers_->catalogue();
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const metadata::Broker* registered = catalogue.broker(Cluster::broker_id(i));
    if (registered && registered->peer.host != cluster_.nodes()[i]->name()) return true;
  }
  return false;
}

// Until its session has ended by its own clock.
bool SimulatedWorld::may_be_stale(Time time) const {
  return std::ranges::any_of(sleeps_, [&](const auto& sleep) {
    return sleep.first <= time && time <= sleep.second + cluster_.config().timing.session_timeout + 1s;
  });
}

// --- What is known of it -------------------------------------------------------------------------------------------------------------

// Records may have been destroyed by the faults themselves. Without anybody who looks at the disks: as soon as two were taken.
bool SimulatedWorld::quorum_destroyed() const { return observers_ ? observers_->copies().quorum_destroyed() : taken_.size() > 1; }
bool SimulatedWorld::destroyed(StreamId stream) const { return observers_ ? observers_->copies().destroyed(stream) : taken_.size() > 1; }
// The disks of all in-sync copies are gone for good: others may hold what they held, and nobody may say so.
bool SimulatedWorld::nobody_left(const metadata::Partition& p) const {
  return observers_ && std::ranges::none_of(p.isr, [&](const metadata::Copy& copy) { return observers_->is_anywhere(copy.directory); });
}
// Something was done to one of their disks: a broker that takes a copy for damaged may be right.
bool SimulatedWorld::touched(const std::vector<NodeId>& members) const {
  return std::ranges::any_of(members, [&](NodeId member) {
    const sim::SimDisk& disk = cluster_.nodes()[static_cast<size_t>(member.v - 1)]->disk();
    return disk.damages() + disk.failures() + disk.exchanges() > 0;
  });
}

// The partitions are those of the newest catalogue that a broker has.
ClusterView SimulatedWorld::view() const {
  ClusterView out;
  out.now = world_.now();
  if (observers_) out.term = observers_->term();
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const broker::Node* broker = cluster_.running(Cluster::broker_id(i));
    out.nodes.push_back({.id = Cluster::broker_id(i),
                         .up = broker && broker->catalogue(),
                         .controller = broker && broker->is_controller(),
                         .spoiled = cluster_.nodes()[i]->disk().damages() > 0,
                         .away = is_away(*cluster_.nodes()[i])});
  }
  note_cuts(out);
  if (const metadata::Catalogue* catalogue = cluster_.newest_catalogue())
    for (const auto& [stream, p] : catalogue->partitions()) {
      // Damaged, or on a disk that is not there any more.
      const bool spoiled = std::ranges::none_of(p.isr, [&](const metadata::Copy& copy) { return catalogue->intact(p, copy); });
      out.partitions.push_back({fmt::format("{}-{}", catalogue->topic(p.topic_id)->name, p.index), p.leader, p.leader_epoch,
                                p.partition_epoch, p.replicas, p.isr_nodes(),
                                destroyed(stream) || (spoiled && touched(p.isr_nodes())) || nobody_left(p), stream, p.min_isr});
    }
  out.quorum_destroyed = quorum_destroyed();
  return out;
}

// For good, once no fault strikes any more.
bool SimulatedWorld::is_away(const sim::Node& node) const {
  return world_.phase() == sim::Phase::liveness && (world_.effects().kept_down(node) || node.stalled());
}

void SimulatedWorld::note_cuts(ClusterView& view) const {
  if (world_.phase() != sim::Phase::liveness) return;
  const std::vector<sim::Node*>& nodes = cluster_.nodes();
  for (size_t a = 0; a < nodes.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      if (world_.network().is_cut(nodes[a]->index(), nodes[b]->index()) || world_.network().is_cut(nodes[b]->index(), nodes[a]->index()))
        view.cut.emplace_back(Cluster::broker_id(a), Cluster::broker_id(b));
}

// What is committed says who is in sync; a cluster without a quorum does not know it any more. What the faults have destroyed is compared
// with nothing.
std::vector<ReplicaContents> SimulatedWorld::read_replicas() {
  leader_changes_ = cluster_.leader_changes();
  std::vector<ReplicaContents> out;
  const bool headless = quorum_destroyed();
  if (headless && !observers_) return out;
  const ClusterView before = view();
  const metadata::Catalogue* newest = cluster_.newest_catalogue();
  ENSURE(headless || newest, "no node is up");
  std::set<PartitionName> gone, unserved;
  const metadata::Catalogue catalogue = headless ? observers_->catalogue() : *newest;
  for (const auto& [stream, p] : catalogue.partitions())
    if (destroyed(stream)) gone.insert({catalogue.topic(p.topic_id)->name, p.index});
  std::set<NodeId> damaged;
  for (size_t i = 0; observers_ && i < cluster_.nodes().size(); ++i)
    if (observers_->damaged(Cluster::broker_id(i))) damaged.insert(Cluster::broker_id(i));
  world_.heal_all();  // also who is broken for good has a disk that can be read
  for (ReplicaContents& r : cluster_.read_replicas(catalogue)) {
    if (gone.contains(r.partition)) continue;
    if (headless && damaged.contains(r.node)) r.in_sync = false;
    // Nobody could bring those to the same end: one of them has to have it all.
    auto seen = std::ranges::find(before.partitions, to_string(r.partition), &ClusterView::Partition::name);
    const bool served = ending_ == Ending::healed || (seen != before.partitions.end() && before.is_served(*seen));
    if (r.in_sync && !served && !unserved.insert(r.partition).second) r.in_sync = false;
    out.push_back(std::move(r));
  }
  return out;
}

std::optional<Violation> SimulatedWorld::check_holdings() {
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const sim::Node* node = cluster_.nodes()[i];
    const broker::Node* broker = cluster_.running(Cluster::broker_id(i));
    if (auto v = is_away(*node) ? std::nullopt
                                : check_resources({.node = node->name(),
                                                   .others = cluster_.nodes().size() - 1,
                                                   .client_connections = world_.network().accepted(node->index(), Cluster::kKafkaPort),
                                                   .peer_connections = world_.network().accepted(node->index(), Cluster::kPeerPort),
                                                   .tasks = node->describe_tasks(),
                                                   .held = broker ? broker->held() : broker::Held{},
                                                   .open_files = node->disk().open_files(),
                                                   .files = node->disk().files().size()}))
      return v;
  }
  return std::nullopt;
}

std::optional<Violation> SimulatedWorld::judge_outside() {
  if (!observers_) return std::nullopt;
  for (const Cluster::Exit& e : cluster_.exits())
    if (auto v = check_exit({e.machine, e.code, e.why, world_.find(e.machine)->disk().failures(), e.mistake, e.disk_was_full},
                            scenario_.refusals))
      return v;
  for (const MistakeEnd& m : cluster_.mistakes())
    if (auto v = check_refused(m, scenario_.refusals)) return v;
  // What clients have sent may arrive after they have gone, is written, and is served for nobody.
  const bool headless = quorum_destroyed();
  auto look = [&] {
    auto v = check_holdings();
    return v || headless ? v : check_idleness();
  };
  std::optional<Violation> unrest = look();
  for (int i = 0; unrest && i < kLastLooks && world_.run_until(world_.now() + kLastLook); ++i) unrest = look();
  if (unrest) return unrest;
  observers_->finish();
  return std::nullopt;
}

std::optional<Violation> SimulatedWorld::check_idleness() {
  const ClusterView now = view();
  std::vector<IdlePartition> partitions = observers_->idle();
  std::erase_if(partitions, [&](const IdlePartition& p) {
    auto it = std::ranges::find(now.partitions, p.stream, &ClusterView::Partition::stream);
    return it != now.partitions.end() && !it->damaged && ending_ != Ending::healed && !now.is_served(*it);
  });
  for (IdlePartition& p : partitions)
    std::erase_if(p.replicas, [&](const IdleReplica& r) { return !now.takes_part(r.node) || !now.hear_each_other(r.node, p.leader); });
  idle_partitions_ = partitions.size();
  const std::vector<Violation> idle = check_idle(partitions);
  return idle.empty() ? std::nullopt : std::optional(idle.front());
}

std::string SimulatedWorld::vacuous() const {
  if (!plan_.faults.empty() && executor_->executed() == 0)
    return fmt::format("none of the {} faults of the plan struck", plan_.faults.size());
  return observers_ ? observers_->idle_check(scenario_.owes_silence) : std::string();
}

void SimulatedWorld::shut_down() {
  if (leader_changes_ == 0) leader_changes_ = cluster_.leader_changes();  // unless the replicas were read: then nobody runs
  if (failed() && (world_.failure()->check.starts_with('L') || world_.failure()->check == "setup")) note_waiting();
  for (const auto& client : clients_) client->kill();
  for (sim::Node* node : cluster_.machines())
    if (node->running()) node->die(sim::Death::kill);
}

// For whoever has to find out why a run did not end well.
std::vector<std::string> SimulatedWorld::how_it_stands() const {
  std::vector<std::string> out;
  const ClusterView now = view();
  for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
    const sim::Node& node = *cluster_.nodes()[i];
    const broker::Node* broker = cluster_.running(Cluster::broker_id(i));
    const metadata::Catalogue* catalogue = broker ? broker->catalogue() : nullptr;
    std::string line = fmt::format("{}: {}", node.name(), !broker ? "down" : node.stalled() ? "stands still" : "up");
    if (catalogue) line += fmt::format(", catalogue applied to {}", catalogue->applied());
    if (now.nodes[i].controller) line += ", controller";
    for (const ClusterView::Partition& p : now.partitions)
      if (p.leader == now.nodes[i].id)
        line += fmt::format(", leads {} (epoch {}, {} of {} in sync)", p.name, p.leader_epoch, p.isr.size(), p.replicas.size());
    out.push_back(std::move(line));
  }
  for (const ClusterView::Partition& p : now.partitions)
    if (p.leader == kNoNode) out.push_back(fmt::format("{}: nobody leads it (epoch {})", p.name, p.leader_epoch));
  if (!observers_) return out;
  for (std::string& request : observers_->outstanding()) out.push_back(std::move(request));
  return out;
}

void SimulatedWorld::describe(RunRecord& out) const {
  out.seed = world_.seed();
  out.hash = world_.trace().hash();
  out.events = world_.events();
  out.sim_ns = world_.now().ns;
  out.drawn = cluster_.drawn();
  if (scenario_.phases.endings.size() > 1 || ending_ != Ending::healed)
    out.drawn +=
        fmt::format("ending = {}{}{}\n", to_string(ending_), broken_.empty() ? "" : ": ", scenario::describe(cluster_.nodes(), broken_));
  out.plan = sim::to_string(plan_);
  out.faults_planned = plan_.faults.size();
  out.faults_struck = executor_->executed();
  out.struck = struck_;
  out.leader_changes = leader_changes_;
  out.seen = seen_;
  for (std::string_view kind : held_.sent()) out.seen.insert(fmt::format("message {}", kind));
  if (observers_) {
    out.judged = observers_->judged();
    out.judged["L5"] += idle_partitions_;
    out.judged["L8"] += idle_partitions_;
    out.seen.merge(observers_->answered());
  }
  for (const Cluster::Exit& e : cluster_.exits()) out.exits.push_back(fmt::format("{} ended with code {}: {}", e.machine, e.code, e.why));
  const std::optional<sim::Failure>& failure = world_.failure();
  if (!failure) return;
  out.verdict = Verdict::fail;
  out.check = failure->check;
  out.text = fmt::format("{}\n  at {}.{:06} s of simulated time, event {}", failure->text, failure->time.ns / 1'000'000'000,
                         failure->time.ns / 1000 % 1'000'000, failure->event);
  if (failure->check.starts_with('L') || failure->check == "H17" || failure->check == "setup") out.waiting = how_it_stands_;
  for (sim::Node* node : cluster_.nodes()) {
    std::vector<sim::TraceEvent> last = world_.trace().last(node->index());
    for (size_t i = last.size() > kLastEvents ? last.size() - kLastEvents : 0; i < last.size(); ++i)
      out.last_events.push_back(sim::to_line(last[i]));
  }
}

}  // namespace sg::scenario
