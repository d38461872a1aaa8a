#include "scenarios/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/probe.h"
#include "scenarios/checks/history_checks.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/checks/run_checks.h"
#include "scenarios/workloads/duties.h"
#include "scenarios/workloads/workload.h"
#include "scenarios/world/simulated.h"

namespace sg::scenario {
namespace {

constexpr Duration kSetUpLimit = 20s;
constexpr Duration kMakeLimit = 5s;   // for a topic that is made among faults
constexpr Duration kLook = 50ms;      // between two looks at the cluster after the healing
constexpr Duration kProbeBound = 5s;  // L4
constexpr Duration kLost = 4s;        // more, for who has to find out that a node does not answer
// H17. A connection whose peer lost power shows it only by the time-outs of what was asked over it: a fetch (3.5 s), then one look for the
// leader at each broker (3 s each). Followers of several partitions of one leader share a connection, and their fetches wait in turn.
constexpr Duration kFollowBound = 15s;
constexpr Duration kQuiesce = 20s;  // for what clients have not finished

// Leads a run through its phases, whatever world it takes place in.
class Conductor {
 public:
  Conductor(const Scenario& scenario, World& world, const PhaseTimes& times, const RunOptions& options)
      : scenario_(scenario), world_(world), times_(times), options_(options), partitions_(partitions_of(scenario.cluster.topics)) {}

  RunRecord go() {
    world_.start();
    add_clients();
    tell_progress();
    (void)(set_up() && safety() && liveness() && judge());
    world_.shut_down();
    if (options_.history) *options_.history = history_;
    return record();
  }

 private:
  // --- Set-up ---

  void add_clients() {
    std::vector<TopicSpec> first;
    for (const TopicSpec& topic : scenario_.cluster.topics) {
      if (topic.made_after == Duration::zero()) {
        first.push_back(topic);
        continue;
      }
      workloads_.push_back(&world_.add_client(fmt::format("maker of {}", topic.name), [this, topic](Task& task, ClientEnv& env) {
        if (!task.sleep_until(times_.safety_begin + topic.made_after)) return;
        std::string failed = create_topics(task, env, {topic}, task.now() + kMakeLimit);
        if (!failed.empty()) return world_.fail("setup", fmt::format("a topic cannot be made now: {}", failed));
        made_.insert(topic.name);
      }));
    }
    world_
        .add_client("admin",
                    [this, first](Task& task, ClientEnv& env) {
                      set_up_error_ = create_topics(task, env, first, task.now() + kSetUpLimit);
                      for (const TopicSpec& topic : first) made_.insert(topic.name);
                      topics_ready_ = true;
                    })
        .start();
    for (const WorkloadSpec& spec : scenario_.workloads) {
      std::vector<PartitionName> partitions;
      for (const PartitionName& p : spec.topics.empty() ? partitions_of(first) : partitions_)
        if (spec.topics.empty() || std::ranges::find(spec.topics, p.topic) != spec.topics.end()) partitions.push_back(p);
      for (int i = 0; i < spec.clients; ++i) add_client(spec, partitions);
    }
  }

  void add_client(const WorkloadSpec& spec, const std::vector<PartitionName>& partitions) {
    const int32_t client = next_client_++;
    const bool is_owed = spec.what->is_owed_its_end();
    if (is_owed) ++owed_;
    workloads_.push_back(&world_.add_client(fmt::format("client{}", client), [=, this](Task& task, ClientEnv& env) {
      while (!are_made(partitions) && task.sleep_for(kLook)) {}
      spec.what->run(task, env, {client, spec.clients, partitions, control_, history_});
      if (is_owed) ++ended_;
    }));
  }

  // All topics of these partitions have been made.
  bool are_made(const std::vector<PartitionName>& partitions) const {
    return std::ranges::all_of(partitions, [&](const PartitionName& p) { return made_.contains(p.topic); });
  }

  bool set_up() {
    // Topics may take their time; nothing is judged before they are there.
    if (!world_.run_while([this] { return !topics_ready_; }, Time{0} + kSetUpLimit)) return false;
    if (!topics_ready_ || !set_up_error_.empty())
      return fail("setup", topics_ready_ ? set_up_error_ : "the topics were not created in time");
    for (ClientHost* host : workloads_) host->start();
    return true;
  }

  // --- Safety ---

  bool safety() {
    if (world_.ending() != Ending::majority && (world_.faults_planned() == 0 || scenario_.phases.calm)) {
      if (!world_.run_until(std::max(world_.now(), times_.safety_begin))) return false;
      calm_from_ = world_.view();
    }
    while (options_.progress && world_.now() + 1s < times_.safety_end) {
      if (!world_.run_until(world_.now() + 1s)) return false;
      tell_progress();
    }
    return world_.run_until(times_.safety_end);
  }

  void tell_progress() const {
    if (options_.progress) options_.progress({world_.events(), history_.sends.size()});
  }

  // --- Liveness ---

  bool liveness() {
    const Duration phase = scenario_.phases.liveness;
    const ClusterTiming timing = world_.timing();
    LivenessBounds bounds = bounds_of(timing);
    bounds.everything = phase;
    if (scenario_.phases.rejoin) bounds.rejoined = kRejoined;
    world_.heal();
    control_.writing = false;
    // Nobody at the address that is registered can say that the run there is dead: a session decides.
    const Duration unnoticed = world_.somebody_moved() ? timing.session_timeout + 1s : 0s;
    bounds.up += world_.still_stopping();
    bounds.controller += unnoticed;
    bounds.in_sync += unnoticed;
    // Who is broken for good is out after a session, and nobody's ISR has him any more after the lag that it allows.
    if (world_.ending() != Ending::healed) {
      bounds.leaders += timing.session_timeout;
      bounds.in_sync += timing.session_timeout + timing.replica_lag_time_max;
    }
    liveness_.emplace(world_.now(), bounds);
    watching_ = true;
    watch();
    const Time limit = world_.now() + phase + kQuiesce;
    // What a link held back before the healing arrives as late; a record that came after the final read would be owed to nobody in time.
    const Time settled = world_.now() + std::max(unnoticed, world_.still_under_way());
    if (!world_.run_while([&] { return world_.now() < settled || !liveness_->healthy() || ended_ < owed_; }, limit)) return false;
    if (ended_ < owed_ && somebody_waits())
      return owed("L4", fmt::format("{} of {} producers still wait for an answer", owed_ - ended_, owed_));
    return world_.view().quorum_destroyed || (probe() && final_read() && listing() && await_followers());
  }

  // Looks again and again, until the judging begins: what is owed stays owed.
  void watch() {
    if (!watching_ || world_.failed()) return;
    for (const char* check : {"L2", "L3", "L8"}) ++facts_[check];
    auto v = liveness_->look(world_.view());
    if (v && options_.judging == Judging::all) return world_.fail(v->check, v->text);
    world_.schedule(world_.now() + kLook, [this] { watch(); });
  }

  // For an answer from a partition that can give one.
  bool somebody_waits() const {
    const std::vector<PartitionName> living = living_partitions();
    return std::ranges::any_of(
        history_.sends, [&](const Send& s) { return s.completed == Time{} && std::ranges::find(living, s.partition) != living.end(); });
  }
  // Those that can still be asked for what was written.
  std::vector<PartitionName> living_partitions() const {
    const ClusterView now = world_.view();
    std::vector<PartitionName> out;
    for (const PartitionName& p : partitions_) {
      if (now.quorum_destroyed) break;
      auto it = std::ranges::find(now.partitions, to_string(p), &ClusterView::Partition::name);
      if (it == now.partitions.end() || (!it->damaged && (world_.ending() == Ending::healed || now.is_served(*it)))) out.push_back(p);
    }
    return out;
  }

  // Runs `body` on a client host of its own until it has returned.
  bool run_client(std::string name, Duration bound, const ClientProgram& body) {
    bool ended = false;
    ClientHost& host = world_.add_client(std::move(name), [&](Task& task, ClientEnv& env) {
      body(task, env);
      ended = true;
    });
    host.start();
    world_.run_while([&] { return !ended; }, world_.now() + bound + 10s);
    if (!ended) host.kill();
    return !world_.failed();
  }

  bool probe() {
    std::string failed = "it never ended";
    const Duration bound = kProbeBound + (world_.ending() == Ending::healed ? 0s : kLost);
    bool ran = run_client("probe", bound, [&](Task& task, ClientEnv& env) {
      failed = run_probe(task, env, {next_client_, living_partitions(), world_.ending() == Ending::healed, scenario_.phases.full_journals},
                         history_, task.now() + bound);
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

  // Of those who have made and deleted topics, and only where it is known what became of everything. Who is cut off for good lists what it
  // remembers.
  bool listing() {
    if (history_.topic_ops.empty() || world_.ending() != Ending::healed) return true;
    std::string failed = "it never ended";
    bool ran = run_client("lister", kQuiesce,
                          [&](Task& task, ClientEnv& env) { failed = run_listing(task, env, history_, task.now() + kProbeBound); });
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
    (void)behind();
    history_.owed_to_followers = ends;
    world_.run_while(behind, world_.now() + kFollowBound);
    if (behind()) world_.note_waiting();
    return !world_.failed();
  }

  // From a partition that nobody can lead any more, nobody is owed the rest of the log.
  void release_followers() {
    const std::vector<PartitionName> living = living_partitions();
    std::erase_if(history_.followers, [&](const Follower& f) { return std::ranges::find(living, f.partition) == living.end(); });
  }

  // --- Judgement ---

  bool judge() {
    control_.running = false;
    if (!world_.run_until(world_.now() + 1s)) return false;
    watching_ = false;
    if (options_.judging == Judging::nothing) return true;
    release_followers();
    for (TimeLook& look : history_.time_looks) look.by_sleeper = world_.may_be_stale(look.at);
    for (Anomaly& anomaly : history_.anomalies) anomaly.by_sleeper = anomaly.is_refusal && world_.may_be_stale(anomaly.at);
    // A run without any fault, or with such as may change nothing, has no reason for any change.
    if (calm_from_ && options_.judging == Judging::all)
      if (auto v = check_calm(*calm_from_, world_.view(), history_)) return fail(v->check, v->text);
    if (auto v = world_.judge_outside()) return fail(v->check, v->text);
    if (world_.failed()) return false;
    const bool headless = world_.view().quorum_destroyed;
    const std::vector<ReplicaContents> replicas = world_.read_replicas();
    if (world_.failed()) return false;
    history_.late_acks = world_.late_acks();
    facts_.merge(facts_of(history_, replicas));
    for (const Violation& v : check_history(history_, replicas)) {
      if (headless && v.check == "H3") continue;  // nobody was there to bring them to the same end
      return fail(v.check, v.text);
    }
    return unmet_.empty() || fail("L4", unmet_);
  }

  // What clients are owed and do not get ends the run; by histories alone it counts only where these show nothing worse.
  bool owed(std::string check, std::string text) {
    if (options_.judging != Judging::histories) return fail(std::move(check), std::move(text));
    if (unmet_.empty()) unmet_ = std::move(text);
    return true;
  }

  bool fail(std::string check, std::string text) {
    world_.fail(std::move(check), std::move(text));
    return false;
  }

  bool followed() const {
    return history_.followers.empty() || std::ranges::any_of(history_.reads, [&](const Read& r) {
             return std::ranges::any_of(history_.followers, [&](const Follower& f) { return f.client == r.client; });
           });
  }

  RunRecord record() const {
    RunRecord out;
    out.scenario = scenario_.name;
    world_.describe(out);
    // The harness's own probes prove nothing about the faults that came before them.
    for (const Send& s : history_.sends)
      if (s.outcome == Outcome::ok && s.value.client < next_client_) ++out.acked;
    for (const auto& [check, facts] : facts_) out.judged[check] += facts;
    for (const Probe& p : probes())
      if (p.hits > 0) out.probes.emplace_back(p.name);
    if (out.verdict == Verdict::fail) return out;
    if (out.acked == 0) {
      out.check = "no write of a workload was acknowledged";
    } else if (std::string nothing = world_.vacuous(); !nothing.empty()) {
      out.check = nothing;
    } else if (options_.judging != Judging::nothing && !followed()) {
      out.check = "H17 never had anything to judge: no consumer that was there from the beginning has read a record";
    } else {
      out.verdict = Verdict::pass;
    }
    return out;
  }

  const Scenario& scenario_;
  World& world_;
  const PhaseTimes& times_;
  const RunOptions& options_;
  std::vector<PartitionName> partitions_;
  std::vector<ClientHost*> workloads_;
  History history_;
  WorkloadControl control_;
  bool topics_ready_ = false;
  std::string set_up_error_;
  std::set<std::string> made_;  // topics
  std::string unmet_;
  std::map<std::string, uint64_t> facts_;  // that histories gave the checks on them
  int owed_ = 0;                           // clients whose end is owed, and those of them that have ended
  int ended_ = 0;
  int32_t next_client_ = 0;
  std::optional<LivenessChecks> liveness_;
  bool watching_ = false;
  std::optional<ClusterView> calm_from_;  // of a run without faults: the cluster before the safety phase
};

}  // namespace

RunRecord run_once(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const RunOptions& options) {
  for (Probe& p : probes()) p.hits = 0;
  SimulatedWorld world(scenario, seed, pools, {.plan = options.plan, .trace = options.trace, .observed = options.judging == Judging::all});
  return Conductor(scenario, world, world.times(), options).go();
}

}  // namespace sg::scenario
