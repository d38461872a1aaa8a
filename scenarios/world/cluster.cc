#include "scenarios/world/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/kafka/record.h"
#include "scenarios/world/knobs.h"
#include "scenarios/world/mistakes.h"
#include "scenarios/world/resonance.h"

namespace sg::scenario {
namespace {

std::string host_name(size_t index) { return fmt::format("node{}", index + 1); }

std::vector<NodeId> leaders(const metadata::Catalogue& catalogue, std::string_view partition) {
  std::vector<NodeId> out;
  for (const auto& [stream, p] : catalogue.partitions()) {
    const metadata::Topic* topic = catalogue.topic(p.topic_id);
    if (p.leader == kNoNode || !topic) continue;
    if (partition.empty() || partition == fmt::format("{}-{}", topic->name, p.index)) out.push_back(p.leader);
  }
  return out;
}

}  // namespace

Cluster::Cluster(sim::World& world, const ClusterSpec& spec) : world_(world), resonance_(spec.resonance) {
  DrawnConfig drawn = draw_config(world, spec);
  config_ = std::move(drawn.config);
  drawn_ = std::move(drawn.text);
  const auto count = static_cast<size_t>(spec.nodes);
  for (size_t i = 0; i < count && count > 1; ++i) config_.voters.push_back({broker_id(i), {host_name(i), kPeerPort}});
  Rng clocks = world.rng("clocks");
  for (size_t i = 0; i < count; ++i) nodes_.push_back(&add_machine(clocks, host_name(i)));
  for (int i = 0; i < spec.spares; ++i) add_machine(clocks, fmt::format("spare{}", i + 1));
}

sim::Node& Cluster::add_machine(Rng& clocks, std::string name) {
  const size_t i = machines_.size();
  sim::NodeOptions options;
  options.clock_drift_ppm = clocks.between(-100, 100);
  options.wall_offset = std::chrono::milliseconds(clocks.between(-200, 200));
  if (resonance_) take_jitter(options);
  auto program = [this, i](Task& task, sim::NodeEnv& env) { return reading_ ? run_reader(task, env, i) : run_broker(task, env, i); };
  machines_.push_back(&world_.add_node(std::move(name), program, options));
  starts_.push_back({.node = broker_id(i), .choice = {}, .mistake = {}, .since = {}, .used = {}});
  brokers_.push_back(nullptr);
  return *machines_.back();
}

size_t Cluster::index_of(MachineId id) const {
  return static_cast<size_t>(is_spare(id) ? id.v - kFirstSpare.v + static_cast<int32_t>(nodes_.size()) : id.v - 1);
}

Cluster::Start& Cluster::start_of(const sim::Node& machine) {
  const auto at = std::ranges::find(machines_, &machine);
  ENSURE(at != machines_.end(), "{} is no machine of the cluster", machine.name());
  return starts_[static_cast<size_t>(at - machines_.begin())];
}

void Cluster::start() {
  for (sim::Node* node : nodes_) node->start();
}

std::vector<net::Address> Cluster::bootstrap() const {
  std::vector<net::Address> out;
  for (const sim::Node* node : nodes_) out.push_back({node->name(), kKafkaPort});
  return out;
}

// --- People --------------------------------------------------------------------------------------------------------------------------

void Cluster::begin(sim::Node& machine, const sim::Fault& mistake) {
  Start& start = start_of(machine);
  start.choice = mistake.choice;
  start.mistake = name_of(mistake);
  start.refused = false;
  start.put_back = mistake.kind == sim::FaultKind::operator_restore;
  start.exchanges = machine.disk().exchanges();
  // A disk that was emptied may not have heard again who votes.
  start.informed = mistake.kind != sim::FaultKind::operator_start || start.exchanges == 0;
}

bool Cluster::end(sim::Node& machine) {
  Start& start = start_of(machine);
  mistakes_.push_back({.node = machine.name(), .mistake = start.mistake, .refused = start.refused});
  if (machine.running() && start.informed && machine.disk().exchanges() == start.exchanges)
    mistakes_.back().running = world_.now() - start.since;
  start.choice.clear();
  start.mistake.clear();
  if (start.put_back) return false;  // it lacks what others have counted from it, whoever has noticed
  return !start.used || start.used->first != machine.disk().exchanges() || start.used->second == start.node;
}

sim::Node* Cluster::spare(const sim::Node& of) {
  for (size_t i = nodes_.size(); i < machines_.size(); ++i) {
    if (!starts_[i].mistake.empty()) continue;
    starts_[i].node = start_of(of).node;
    return machines_[i];
  }
  return nullptr;
}

// --- Programs ------------------------------------------------------------------------------------------------------------------------

int Cluster::run_broker(Task& task, sim::NodeEnv& env, size_t index) {
  starts_[index].since = world_.now();
  const Start start = starts_[index];
  broker::Config config = config_;
  config.node_id = start.node;
  config.listen.kafka = {env.host, kKafkaPort};
  config.listen.peer = {env.host, kPeerPort};
  // Nodes whose disks are all new ones do not form a second cluster in place of the first: that would be a wish, not a mistake.
  config.form = std::ranges::any_of(nodes_, [](sim::Node* n) { return n->disk().exchanges() == 0; });
  // An empty disk without voters is a new cluster of one: that, too, would be a wish.
  const bool alone = start.choice == "no_voters" && machines_[index]->disk().exchanges() > 0;
  config = mistaken(std::move(config), alone ? "" : start.choice);
  auto& used = starts_[index].used;
  if (const uint64_t disk = machines_[index]->disk().exchanges(); !used || used->first != disk) used.emplace(disk, config.node_id);
  std::string why;
  broker::Node node({env.scheduler, env.clock, env.network, env.disk, env.rng, env.log}, config,
                    {.ready = nullptr, .failed = [&why](const std::string& line) { why = line; }});
  brokers_[index] = &node;
  env.on_stop = [&node] { node.request_stop(); };
  int code = node.run(task);
  env.on_stop = nullptr;
  brokers_[index] = nullptr;
  if (code != broker::kExitOk && !task.stopping()) {
    exits_.push_back({machines_[index]->name(), code, why, start.mistake, machines_[index]->disk().overflows() > 0});
    starts_[index].refused |= code == broker::kExitRefused;
  }
  return code;
}

uint64_t Cluster::leader_changes() const {
  uint64_t changes = 0;
  if (const metadata::Catalogue* c = newest_catalogue())
    for (const auto& [stream, p] : c->partitions()) changes += static_cast<uint64_t>(p.leader_epoch.v);
  return changes;
}

std::vector<ReplicaContents> Cluster::read_replicas(const metadata::Catalogue& catalogue) {
  last_catalogue_ = catalogue;
  for (sim::Node* node : nodes_)
    if (node->running()) node->die(sim::Death::kill);
  reading_ = true;
  for (sim::Node* node : nodes_) node->start();
  auto busy = [this] { return std::any_of(nodes_.begin(), nodes_.end(), [](const sim::Node* n) { return n->running(); }); };
  world_.run_while(busy, world_.now() + 60s);
  if (busy() && !world_.failure()) world_.fail("E24", "a journal could not be recovered within a minute");
  reading_ = false;
  return std::move(contents_);
}

namespace {

// Reads one partition of a recovered journal.
Result<ReplicaContents> read_replica(Task& task, wal::Journal& journal, const metadata::Copy& copy, PartitionName name,
                                     const metadata::Partition& p) {
  const bool in_sync = std::ranges::find(p.isr, copy) != p.isr.end() && !p.is_damaged(copy);
  ReplicaContents out{.node = copy.node, .partition = std::move(name), .in_sync = in_sync, .records = {}};
  int64_t position = journal.start_of(p.stream);
  while (position < journal.end_of(p.stream)) {
    TRY(auto batches, journal.read(task, p.stream, position, 1 << 20, true));
    if (batches.empty()) return fail(Errc::corrupt, fmt::format("nothing at {}", position));
    for (const wal::ReadBatch& b : batches) {
      TRY(auto records, kafka::read_records(b.payload));
      for (const kafka::Record& r : records) {
        TRY(ValueId value, parse_value(r.value.value_or(ByteSpan())));
        out.records.push_back({r.offset, LeaderEpoch(static_cast<int32_t>(b.epoch)), value, r.timestamp_ms});
      }
      position = b.next;
    }
  }
  return out;
}

}  // namespace

int Cluster::run_reader(Task& task, sim::NodeEnv& env, size_t index) {
  auto give_up = [&](const Error& e) {
    if (e.code != Errc::stopped) world_.fail("E21", fmt::format("{}: the journal cannot be read back: {}", env.host, e.what));
    return 1;
  };
  wal::Options options;
  options.node_id = broker_id(index);
  options.segment_bytes = config_.journal.segment_bytes;
  options.first_segment_bytes = config_.journal.first_segment_bytes;
  options.tail_cache_bytes = 4096;
  auto opened = wal::Journal::open(task, env.disk, options, env.rng, env.log);
  if (!opened) return give_up(opened.error());
  for (const auto& [stream, p] : last_catalogue_.partitions()) {
    if (!p.has_replica(broker_id(index))) continue;
    const metadata::Topic* topic = last_catalogue_.topic(p.topic_id);
    auto contents = read_replica(task, *opened->journal, {broker_id(index), opened->run.directory}, {topic->name, p.index}, p);
    // What a flipped bit or a lost file has spoiled is for this replica to find, sooner or later; the others have to be whole.
    const sim::SimDisk& disk = nodes_[index]->disk();
    const bool spoiled = contents.is(Errc::corrupt) || contents.is(Errc::io) || opened->unattributed_damage;
    if (spoiled && disk.damages() > 0) continue;
    if (!contents) return give_up(contents.error());
    contents_.push_back(std::move(*contents));
  }
  return 0;
}

const metadata::Catalogue* Cluster::newest_catalogue() const {
  const metadata::Catalogue* newest = nullptr;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const metadata::Catalogue* c = brokers_[i] ? brokers_[i]->catalogue() : nullptr;
    if (c && (!newest || c->applied() > newest->applied())) newest = c;
  }
  return newest;
}

std::vector<sim::Node*> Cluster::resolve(std::string_view target, uint64_t draw) const {
  if (target == "controller") {
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (brokers_[i] && brokers_[i]->is_controller()) return {nodes_[i]};
    return {};
  }
  const metadata::Catalogue* catalogue = newest_catalogue();
  if (!catalogue) return {};
  std::string_view partition;
  if (target.starts_with("leader(") && target.ends_with(")")) partition = target.substr(7, target.size() - 8);
  std::vector<NodeId> leading = leaders(*catalogue, partition);
  std::vector<sim::Node*> fitting;
  if (target == "follower") {
    for (size_t i = 0; i < nodes_.size(); ++i)
      if (nodes_[i]->running() && std::find(leading.begin(), leading.end(), broker_id(i)) == leading.end()) fitting.push_back(nodes_[i]);
  } else {
    for (NodeId id : leading) {
      sim::Node* node = nodes_[static_cast<size_t>(id.v - 1)];
      if (node->running()) fitting.push_back(node);
    }
  }
  if (fitting.empty()) return {};
  return {fitting[draw % fitting.size()]};
}

}  // namespace sg::scenario
