#include "scenarios/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "scenarios/checks/history_checks.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/checks/observers.h"
#include "scenarios/checks/run_checks.h"
#include "scenarios/cluster.h"
#include "scenarios/holds.h"
#include "scenarios/plan.h"
#include "scenarios/workloads/workloads.h"
#include "sim/fault_executor.h"

namespace sg::scenario {
namespace {

constexpr Duration kSetUpLimit = 20s;
constexpr Duration kMakeLimit = 5s;   // for a topic that is made among faults
constexpr Duration kLook = 50ms;      // between two looks at the cluster after the healing
constexpr Duration kEndsLook = 1ms;   // between two looks for what ends a hold
constexpr Duration kProbeBound = 5s;  // L4
// H17. A connection whose peer lost power shows it only by the time-outs of what was asked over it: a fetch (3.5 s), then one look for the
// leader at each broker (3 s each). Followers of several partitions of one leader share a connection, and their fetches wait in turn.
constexpr Duration kFollowBound = 15s;
constexpr Duration kQuiesce = 20s;  // for what clients have not finished
constexpr Duration kRestartAfterExit = 200ms;
constexpr size_t kLastEvents = 20;
constexpr int kSpares = 2;

// For how long the faults of links can hold back one message, at most.
Duration longest_delay(const sim::FaultPlan& plan) {
  Duration delay{}, stall{};
  for (const sim::Fault& f : plan.faults) {
    if (f.kind == sim::FaultKind::link_delay) delay = std::max(delay, Duration(f.value));
    if (f.kind == sim::FaultKind::link_stall) stall = std::max(stall, f.duration);
  }
  return delay + stall;
}

sim::WorldOptions draw_world(uint64_t seed) {
  Rng rng = Rng(seed).split("world options");
  sim::WorldOptions options;
  options.network.link.latency_max = std::chrono::microseconds(rng.log_between(60, 5000));
  options.network.link.tail_per_million = static_cast<uint32_t>(rng.chance(1, 2) ? 0 : rng.between(1, 5000));
  options.network.retransmit_max = std::chrono::milliseconds(rng.log_between(5'000, 60'000));
  options.network.has_patience = rng.chance(1, 2);
  return options;
}

// The cluster of this seed.
ClusterSpec draw_cluster(const Scenario& scenario, const RunOptions& options, const sim::World& world) {
  ClusterSpec out = scenario.cluster;
  if (!out.nodes_of_seed.empty()) out.nodes = out.nodes_of_seed[world.rng("nodes").below(out.nodes_of_seed.size())];
  const bool twins = options.plan && std::ranges::any_of(options.plan->faults, sim::needs_spare, &sim::Fault::kind);
  if (twins || needs_spares(scenario)) out.spares = kSpares;
  return out;
}

bool is_hold(const sim::Fault& fault) { return fault.kind == sim::FaultKind::link_hold; }

void check_words(const sim::Fault& hold) {
  auto knows = [](const std::vector<std::string_view>& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
  };
  ENSURE(knows(held_kinds(), hold.choice), "nobody knows the message '{}'", hold.choice);
  ENSURE(hold.until.empty() || knows(hold_ends(), hold.until), "nobody knows the event '{}'", hold.until);
}

class Run {
 public:
  Run(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        world_(seed, draw_world(seed), pools),
        cluster_(world_, draw_cluster(scenario, options, world_)) {
    if (options.judging == Judging::all) observers_.emplace(world_, cluster_);
    if (options.trace) world_.trace().record_to(options.trace);
    partitions_ = partitions_of(scenario.cluster.topics);
    Rng rng = world_.rng("phases");
    const int64_t low = scenario.phases.safety.low / 1ms;
    const int64_t high = scenario.phases.safety.high / 1ms;
    safety_begin_ = Time{0} + scenario.phases.set_up;
    safety_end_ = safety_begin_ + std::chrono::milliseconds(rng.between(low, std::max(low, high)));
    plan_ = options.plan ? *options.plan : draw_plan(scenario, world_.rng("faults"), seed, safety_begin_, safety_end_);
    if (std::ranges::any_of(plan_.faults, is_hold)) world_.network().set_finder(&messages_);
    for (const sim::Fault& fault : plan_.faults)
      if (is_hold(fault)) check_words(fault);
  }

  RunResult go() {
    executor_ = std::make_unique<sim::FaultExecutor>(
        world_, plan_, cluster_.nodes(), [this](std::string_view target, uint64_t draw) { return cluster_.resolve(target, draw); });
    executor_->set_operator(cluster_);
    executor_->set_on_fault([this](const sim::Fault& fault, sim::Node& target) {
      if (takes_disk(fault)) taken_.insert(target.name());
    });
    executor_->start();
    if (std::ranges::any_of(plan_.faults, [](const sim::Fault& f) { return !f.until.empty(); })) await_hold_ends();
    supervise();
    cluster_.start();
    add_clients();
    tell_progress();
    bool went = set_up() && safety() && liveness() && judge();
    (void)went;
    shut_down();
    return result();
  }

 private:
  static bool takes_disk(const sim::Fault& f) {
    return f.kind == sim::FaultKind::wipe || (f.kind == sim::FaultKind::crash_point && f.death == sim::Death::wipe) ||
           f.kind == sim::FaultKind::operator_restore || f.kind == sim::FaultKind::operator_unmount;
  }
  // Records may have been destroyed by the faults themselves. Without anybody who looks at the disks: as soon as two were taken.
  bool quorum_destroyed() const { return observers_ ? observers_->copies().quorum_destroyed() : taken_.size() > 1; }
  bool destroyed(StreamId stream) const { return observers_ ? observers_->copies().destroyed(stream) : taken_.size() > 1; }

  // A host whose program runs `body` with what clients need.
  template <class F>
  sim::Node& add_client(std::string name, F body) {
    // Observers have one clock, the world's: what different clients saw is compared in time.
    sim::NodeOptions options;
    options.clock_origin = world_.now();
    auto program = [this, body](Task& task, sim::NodeEnv& env) {
      ClientEnv client{env.scheduler, env.clock, env.network, env.rng, cluster_.bootstrap()};
      body(task, client);
      return 0;
    };
    sim::Node& node = world_.add_node(name, program, options);
    clients_.push_back(&node);
    return node;
  }

  void add_clients() {
    std::vector<TopicSpec> first;
    for (const TopicSpec& topic : scenario_.cluster.topics) {
      if (topic.made_after == Duration::zero()) {
        first.push_back(topic);
        continue;
      }
      workloads_.push_back(&add_client(fmt::format("maker of {}", topic.name), [this, topic](Task& task, ClientEnv& env) {
        if (!task.sleep_until(safety_begin_ + topic.made_after)) return;
        std::string failed = create_topics(task, env, {topic}, task.now() + kMakeLimit);
        if (!failed.empty()) return world_.fail("setup", fmt::format("a topic cannot be made now: {}", failed));
        made_.insert(topic.name);
      }));
    }
    add_client("admin", [this, first](Task& task, ClientEnv& env) {
      set_up_error_ = create_topics(task, env, first, task.now() + kSetUpLimit);
      for (const TopicSpec& topic : first) made_.insert(topic.name);
      topics_ready_ = true;
    }).start();
    int32_t id = 0;
    for (const WorkloadSpec& spec : scenario_.workloads) {
      std::vector<PartitionName> partitions;
      for (const PartitionName& p : spec.topics.empty() ? partitions_of(first) : partitions_)
        if (spec.topics.empty() || std::find(spec.topics.begin(), spec.topics.end(), p.topic) != spec.topics.end()) partitions.push_back(p);
      for (int i = 0; i < spec.clients; ++i) {
        const int32_t client = id++;
        workloads_.push_back(&add_client(fmt::format("client{}", client), [this, spec, client, partitions](Task& task, ClientEnv& env) {
          while (!are_made(partitions) && task.sleep_for(kLook)) {}
          if (spec.kind == WorkloadKind::produce) {
            run_produce(task, env, spec, client, spec.clients, partitions, control_, history_);
          } else {
            run_consume(task, env, spec, client, partitions, control_, history_);
          }
          if (spec.kind == WorkloadKind::produce) ++producers_ended_;
        }));
        if (spec.kind == WorkloadKind::produce) ++producers_;
      }
    }
    next_client_ = id;
  }

  // All topics of these partitions have been made.
  bool are_made(const std::vector<PartitionName>& partitions) const {
    return std::ranges::all_of(partitions, [&](const PartitionName& p) { return made_.contains(p.topic); });
  }

  bool set_up() {
    // Topics may take their time; nothing is judged before they are there.
    world_.run_while([this] { return !topics_ready_; }, Time{0} + kSetUpLimit);
    if (world_.failure()) return false;
    if (!topics_ready_ || !set_up_error_.empty())
      return fail("setup", topics_ready_ ? set_up_error_ : "the topics were not created in time");
    for (sim::Node* node : workloads_) node->start();
    return true;
  }

  bool safety() {
    if (plan_.faults.empty()) {
      if (!world_.run_until(std::max(world_.now(), safety_begin_))) return false;
      calm_from_ = view();
    }
    while (options_.progress && world_.now() + 1s < safety_end_) {
      if (!world_.run_until(world_.now() + 1s)) return false;
      tell_progress();
    }
    return world_.run_until(safety_end_);
  }

  void tell_progress() const {
    if (options_.progress) options_.progress({world_.events(), history_.sends.size()});
  }

  bool liveness() {
    executor_->mend();
    const bool moved = somebody_is_registered_elsewhere();
    world_.begin_liveness(cluster_.nodes());  // clients that have ended stay ended
    control_.writing = false;
    const Duration phase = scenario_.phases.liveness;
    const auto& timing = cluster_.config().timing;
    LivenessBounds bounds = bounds_of({timing.election_max, timing.session_timeout});
    bounds.everything = phase;
    if (scenario_.phases.rejoin) bounds.rejoined = kRejoined;
    // Nobody at the address that is registered can say that the run there is dead: a session decides.
    const Duration unnoticed = moved ? timing.session_timeout + 1s : 0s;
    bounds.controller += unnoticed;
    bounds.in_sync += unnoticed;
    liveness_.emplace(world_.now(), bounds);
    watching_ = true;
    watch();
    const Time limit = world_.now() + phase + kQuiesce;
    // What a link held back before the healing arrives as late; a record that came after the final read would be owed to nobody in time.
    const Time settled = world_.now() + std::max(unnoticed, longest_delay(plan_));
    world_.run_while([&] { return world_.now() < settled || !liveness_->healthy() || producers_ended_ < producers_; }, limit);
    if (world_.failure()) return false;
    if (producers_ended_ < producers_ && somebody_waits())
      return owed("L4", fmt::format("{} of {} producers still wait for an answer", producers_ - producers_ended_, producers_));
    return quorum_destroyed() || (probe() && final_read() && await_followers());
  }

  bool somebody_is_registered_elsewhere() const {
    if (!observers_) return false;
    const metadata::Catalogue& catalogue = observers_->catalogue();
    for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
      const metadata::Broker* registered = catalogue.broker(Cluster::broker_id(i));
      if (registered && registered->peer.host != cluster_.nodes()[i]->name()) return true;
    }
    return false;
  }

  // Looks again and again, until the judging begins: what is owed stays owed.
  void watch() {
    if (!watching_ || world_.failure()) return;
    auto v = liveness_->look(view());
    if (v && options_.judging == Judging::all) return world_.fail(v->check, v->text);
    world_.schedule(world_.now() + kLook, [this] { watch(); });
  }

  // The partitions are those of the newest catalogue that a broker has.
  ClusterView view() const {
    ClusterView out;
    out.now = world_.now();
    if (observers_) out.term = observers_->term();
    for (size_t i = 0; i < cluster_.nodes().size(); ++i) {
      const broker::Node* broker = cluster_.running(Cluster::broker_id(i));
      out.nodes.push_back({.id = Cluster::broker_id(i),
                           .up = broker && broker->catalogue(),
                           .controller = broker && broker->is_controller(),
                           .spoiled = cluster_.nodes()[i]->disk().flips() + cluster_.nodes()[i]->disk().losses() > 0});
    }
    if (const metadata::Catalogue* catalogue = cluster_.newest_catalogue())
      for (const auto& [stream, p] : catalogue->partitions()) {
        // Damaged, or on a disk that is not there any more.
        const bool spoiled = std::ranges::none_of(p.isr, [&](const metadata::Copy& copy) { return catalogue->intact(p, copy); });
        out.partitions.push_back({fmt::format("{}-{}", catalogue->topic(p.topic_id)->name, p.index), p.leader, p.leader_epoch,
                                  p.partition_epoch, p.replicas, p.isr_nodes(),
                                  destroyed(stream) || (spoiled && touched(p.isr_nodes())) || nobody_left(p)});
      }
    out.quorum_destroyed = quorum_destroyed();
    return out;
  }
  // The disks of all in-sync copies are gone for good: others may hold what they held, and nobody may say so.
  bool nobody_left(const metadata::Partition& p) const {
    return observers_ && std::ranges::none_of(p.isr, [&](const metadata::Copy& copy) { return observers_->is_anywhere(copy.directory); });
  }
  // Something was done to one of their disks: a broker that takes a copy for damaged may be right.
  bool touched(const std::vector<NodeId>& members) const {
    return std::ranges::any_of(members, [&](NodeId member) {
      const sim::SimDisk& disk = cluster_.nodes()[static_cast<size_t>(member.v - 1)]->disk();
      return disk.flips() + disk.losses() + disk.failures() + disk.exchanges() > 0;
    });
  }
  // For an answer from a partition that can give one.
  bool somebody_waits() const {
    if (quorum_destroyed()) return false;
    const std::vector<PartitionName> living = living_partitions();
    return std::ranges::any_of(
        history_.sends, [&](const Send& s) { return s.completed == Time{} && std::ranges::find(living, s.partition) != living.end(); });
  }
  // Those that can still be asked for what was written.
  std::vector<PartitionName> living_partitions() const {
    const ClusterView now = view();
    std::vector<PartitionName> out;
    for (const PartitionName& p : partitions_) {
      auto it = std::ranges::find(now.partitions, to_string(p), &ClusterView::Partition::name);
      if (it == now.partitions.end() || !it->damaged) out.push_back(p);
    }
    return out;
  }

  // Runs `body` on a client host of its own until it has returned.
  template <class F>
  bool run_client(std::string name, Duration bound, F body) {
    bool ended = false;
    add_client(std::move(name), [&](Task& task, ClientEnv& env) {
      body(task, env);
      ended = true;
    }).start();
    world_.run_while([&] { return !ended; }, world_.now() + bound + 10s);
    if (!ended) clients_.back()->die(sim::Death::kill);
    return !world_.failure();
  }

  bool probe() {
    std::string failed = "it never ended";
    bool ran = run_client("probe", kProbeBound, [&](Task& task, ClientEnv& env) {
      failed = run_probe(task, env, next_client_, living_partitions(), history_, task.now() + kProbeBound);
    });
    if (ran && !failed.empty()) return owed("L4", failed);
    return ran;
  }

  bool final_read() {
    std::string failed = "it never ended";
    bool ran = run_client("reader", kQuiesce, [&](Task& task, ClientEnv& env) {
      failed = run_final_read(task, env, next_client_ + 1, living_partitions(), history_, task.now() + kQuiesce);
    });
    if (ran && !failed.empty()) return owed("L4", failed);
    return ran;
  }

  // H17: who was there from the beginning has a moment more to read what the final read has shown.
  bool await_followers() {
    std::map<PartitionName, Offset> ends;
    std::map<std::pair<int32_t, PartitionName>, Offset> positions;
    for (const Follower& f : history_.followers) positions[{f.client, f.partition}];
    size_t looked_at = 0;
    auto behind = [&] {
      for (; looked_at < history_.reads.size(); ++looked_at) {
        const Read& r = history_.reads[looked_at];
        if (auto it = positions.find({r.client, r.partition}); it != positions.end()) it->second = r.offset + 1;
        if (r.client == next_client_ + 1) ends[r.partition] = r.offset + 1;
      }
      return std::ranges::any_of(positions, [&](const auto& p) { return p.second < ends[p.first.second]; });
    };
    world_.run_while(behind, world_.now() + kFollowBound);
    return !world_.failure();
  }

  // From a partition that nobody can lead any more, nobody is owed the rest of the log.
  void release_followers() {
    const std::vector<PartitionName> living = quorum_destroyed() ? std::vector<PartitionName>() : living_partitions();
    std::erase_if(history_.followers, [&](const Follower& f) { return std::ranges::find(living, f.partition) == living.end(); });
  }

  bool judge() {
    control_.running = false;
    if (!world_.run_until(world_.now() + 1s)) return false;
    watching_ = false;
    leader_changes_ = cluster_.leader_changes();
    if (options_.judging == Judging::nothing) return true;
    release_followers();
    if (observers_ && !judge_from_outside()) return false;
    std::vector<ReplicaContents> replicas = what_is_left();
    if (world_.failure()) return false;
    for (const Violation& v : check_history(history_, replicas)) {
      if (quorum_destroyed() && v.check == "H3") continue;  // nobody was there to bring them to the same end
      return fail(v.check, v.text);
    }
    return unmet_.empty() || fail("L4", unmet_);
  }

  // Every replica on the disks. What is committed says who is in sync; a cluster without a quorum does not know it any more. What the
  // faults have destroyed is compared with nothing.
  std::vector<ReplicaContents> what_is_left() {
    std::vector<ReplicaContents> out;
    const bool headless = quorum_destroyed();
    if (headless && !observers_) return out;
    const metadata::Catalogue* newest = cluster_.newest_catalogue();
    ENSURE(headless || newest, "no node is up");
    std::set<PartitionName> gone;
    const metadata::Catalogue catalogue = headless ? observers_->catalogue() : *newest;
    for (const auto& [stream, p] : catalogue.partitions())
      if (destroyed(stream)) gone.insert({catalogue.topic(p.topic_id)->name, p.index});
    std::set<NodeId> damaged;
    for (size_t i = 0; observers_ && i < cluster_.nodes().size(); ++i)
      if (observers_->damaged(Cluster::broker_id(i))) damaged.insert(Cluster::broker_id(i));
    for (ReplicaContents& r : cluster_.read_replicas(catalogue)) {
      if (gone.contains(r.partition)) continue;
      if (headless && damaged.contains(r.node)) r.in_sync = false;
      out.push_back(std::move(r));
    }
    return out;
  }

  // What the checks saw that look at processes, messages, journals and catalogues.
  bool judge_from_outside() {
    for (const Cluster::Exit& e : cluster_.exits())
      if (auto v = check_exit({e.machine, e.code, e.why, world_.find(e.machine)->disk().failures(), e.mistake}, scenario_.refusals))
        return fail(v->check, v->text);
    for (const MistakeEnd& m : cluster_.mistakes())
      if (auto v = check_refused(m, scenario_.refusals)) return fail(v->check, v->text);
    // The control against false alarms: a run without any fault has no reason for any change.
    if (calm_from_)
      if (auto v = check_calm(*calm_from_, view(), history_)) return fail(v->check, v->text);
    observers_->finish();
    if (world_.failure()) return false;
    if (quorum_destroyed()) return true;
    for (const Violation& v : check_idle(observers_->idle())) return fail(v.check, v.text);
    return true;
  }

  // What clients are owed and do not get ends the run; by histories alone it counts only where these show nothing worse.
  bool owed(std::string check, std::string text) {
    if (options_.judging != Judging::histories) return fail(std::move(check), std::move(text));
    if (unmet_.empty()) unmet_ = std::move(text);
    return true;
  }

  // As long as anything may be held.
  void await_hold_ends() {
    if (world_.phase() != sim::Phase::safety) return;
    for (std::string_view event : hold_ends_.look()) executor_->happened(event);
    world_.schedule(world_.now() + kEndsLook, [this] { await_hold_ends(); });
  }

  // A broker whose disk has failed under it ends, and its service manager starts it again.
  void supervise() {
    for (sim::Node* node : cluster_.nodes())
      node->set_on_end([this](sim::Node& ended, std::optional<int> code) {
        if (code != broker::kExitDisk) return;
        world_.schedule(world_.now() + kRestartAfterExit, [this, &ended] { world_.effects().start(ended); });
      });
  }

  bool fail(std::string check, std::string text) {
    world_.fail(std::move(check), std::move(text));
    return false;
  }

  void shut_down() {
    for (sim::Node* node : clients_)
      if (node->running()) node->die(sim::Death::kill);
    for (sim::Node* node : cluster_.machines())
      if (node->running()) node->die(sim::Death::kill);
  }

  bool followed() const {
    return history_.followers.empty() || std::ranges::any_of(history_.reads, [&](const Read& r) {
             return std::ranges::any_of(history_.followers, [&](const Follower& f) { return f.client == r.client; });
           });
  }

  RunResult result() {
    RunResult out;
    out.hash = world_.trace().hash();
    out.events = world_.events();
    out.sim_ns = world_.now().ns;
    // The harness's own probes prove nothing about the faults that came before them.
    for (const Send& s : history_.sends)
      if (s.outcome == Outcome::ok && s.value.client < next_client_) ++out.acked;
    out.drawn = cluster_.drawn();
    out.plan = plan_;
    out.faults_struck = executor_->executed();
    for (const Cluster::Exit& e : cluster_.exits()) out.exits.push_back(fmt::format("{} ended with code {}: {}", e.machine, e.code, e.why));
    out.leader_changes = leader_changes_;
    if (world_.failure()) {
      out.verdict = Verdict::fail;
      out.check = world_.failure()->check;
      out.text =
          fmt::format("{}\n  at {} s of simulated time, event {}", world_.failure()->text,
                      fmt::format("{}.{:06}", world_.failure()->time.ns / 1'000'000'000, world_.failure()->time.ns / 1000 % 1'000'000),
                      world_.failure()->event);
      for (sim::Node* node : cluster_.nodes()) {
        std::vector<sim::TraceEvent> last = world_.trace().last(node->index());
        for (size_t i = last.size() > kLastEvents ? last.size() - kLastEvents : 0; i < last.size(); ++i)
          out.last_events.push_back(sim::to_line(last[i]));
      }
    } else if (out.acked == 0) {
      out.check = "no write of a workload was acknowledged";
    } else if (!plan_.faults.empty() && out.faults_struck == 0) {
      out.check = fmt::format("none of the {} faults of the plan struck", plan_.faults.size());
    } else if (options_.judging != Judging::nothing && !followed()) {
      out.check = "H17 never had anything to judge: no consumer that was there from the beginning has read a record";
    } else if (std::string idle = observers_ ? observers_->idle_check(scenario_.owes_silence) : std::string(); !idle.empty()) {
      out.check = idle;
    } else {
      out.verdict = Verdict::pass;
    }
    return out;
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  HeldMessages messages_{Cluster::kPeerPort, Cluster::kKafkaPort};
  sim::World world_;
  Cluster cluster_;
  HoldEnds hold_ends_{cluster_};
  std::optional<Observers> observers_;  // none: nothing is judged
  std::vector<PartitionName> partitions_;
  Time safety_begin_;
  Time safety_end_;
  sim::FaultPlan plan_;
  std::unique_ptr<sim::FaultExecutor> executor_;
  std::vector<sim::Node*> clients_;
  std::vector<sim::Node*> workloads_;
  History history_;
  WorkloadControl control_;
  bool topics_ready_ = false;
  std::string set_up_error_;
  std::set<std::string> made_;  // topics
  std::string unmet_;
  int producers_ = 0;
  int producers_ended_ = 0;
  int32_t next_client_ = 0;
  uint64_t leader_changes_ = 0;
  std::optional<LivenessChecks> liveness_;
  bool watching_ = false;
  std::set<std::string> taken_;           // machines whose disks faults have emptied or exchanged
  std::optional<ClusterView> calm_from_;  // of a run without faults: the cluster before the safety phase
};

}  // namespace

RunResult run_once(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const RunOptions& options) {
  return Run(scenario, seed, pools, options).go();
}

std::string verdict_line(const std::string& scenario, uint64_t seed, const RunResult& r) {
  std::string line = fmt::format("{} {}:{} hash={:016x} events={} sim_s={}.{:03} acked={}", r.verdict == Verdict::pass ? "PASS" : "FAIL",
                                 scenario, seed, r.hash, r.events, r.sim_ns / 1'000'000'000, r.sim_ns / 1'000'000 % 1000, r.acked);
  if (r.verdict == Verdict::fail) line += fmt::format(" check={}", r.check);
  if (r.verdict == Verdict::unjudged) line += fmt::format(" check=unjudged ({})", r.check);
  return line;
}

}  // namespace sg::scenario
