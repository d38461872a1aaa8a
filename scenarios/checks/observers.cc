#include "scenarios/checks/observers.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/wal/identity.h"
#include "scenarios/checks/client_watch.h"
#include "scenarios/checks/metadata_watch.h"
#include "scenarios/checks/partition_watch.h"
#include "scenarios/checks/progress_watch.h"
#include "scenarios/checks/speech_watch.h"
#include "scenarios/observe/copies.h"
#include "scenarios/observe/taps.h"

namespace sg::scenario {
namespace {

class SimDiskView final : public DiskView {
 public:
  explicit SimDiskView(const sim::SimDisk& disk) : disk_(disk) {}
  bool survives(std::string_view path, uint64_t offset, uint64_t length) const override { return disk_.survives(path, offset, length); }
  ByteVec contents(std::string_view path, uint64_t offset, uint64_t length) const override {
    if (!disk_.exists(path)) return {};
    ByteVec all = disk_.contents(path);
    if (offset >= all.size()) return {};
    auto from = all.begin() + static_cast<std::ptrdiff_t>(offset);
    return ByteVec(from, from + static_cast<std::ptrdiff_t>(std::min<uint64_t>(length, all.size() - offset)));
  }

 private:
  const sim::SimDisk& disk_;
};

}  // namespace

struct Observers::State final : sim::DiskObserver, sim::NetworkTap, LedgerEvents, MessageEvents {
  struct Machine {
    std::unique_ptr<SimDiskView> view;
    Ledger* ledger = nullptr;
    MachineId id;
    Uuid directory;
    VoterId voter{0};
  };

  State(sim::World& w, Cluster& c)
      : world(w),
        journal(wal::Options().directory + "/"),
        identity(journal + "identity"),
        judge([this](Check check, const std::string& text) { world.fail(std::string(to_string(check)), text); }),
        seen{.now = {},
             .cluster = c,
             .ledgers = {},
             .ghost = {},
             .contacts = {},
             .disks = {},
             .is_elsewhere = [this](MachineId m) { return elsewhere(m); }},
        copies(seen.ledgers, seen.ghost),
        taps(&seen.now, Cluster::kPeerPort, Cluster::kKafkaPort, judge, *this) {
    // Each is told in this order.
    metadata = add<MetadataWatch>(
        seen, judge, [this](LogIndex i, const std::optional<metadata::Record>& r, bool changed) { on_committed(i, r, changed); });
    partitions = add<PartitionWatch>(seen, judge);
    clients = add<ClientWatch>(seen, judge);
    speech = add<SpeechWatch>(seen, judge, c.timing());
    progress = add<ProgressWatch>(seen, judge, world, c.timing());
    for (size_t i = 0; i < c.machines().size(); ++i) {
      sim::Node& node = *c.machines()[i];
      Machine& machine = machines[node.index()];
      machine.id = c.machine_id(i);
      machine.view = std::make_unique<SimDiskView>(node.disk());
      auto ledger = std::make_unique<Ledger>(machine.id, *machine.view, judge, *this);
      machine.ledger = ledger.get();
      seen.ledgers.add(std::move(ledger));
      taps.add_node(node.index(), machine.id);
      node.disk().add_observer(this);
    }
    world.network().add_tap(this);
  }

  template <class T, class... Args>
  T* add(Args&&... args) {
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* out = made.get();
    observers.push_back(std::move(made));
    return out;
  }
  // Tells all of them.
  template <class... Parameters, class... Args>
  void tell(void (Observer::*event)(Parameters...), Args&&... args) {
    for (const auto& o : observers) (o.get()->*event)(args...);
  }
  bool elsewhere(MachineId machine) const { return metadata->raft().is_elsewhere(machine); }

  // --- disks ---
  bool is_journal(const sim::FileRef& file) const { return file.path.starts_with(journal) && file.path.ends_with(".seg"); }
  Machine& at(uint32_t node) {
    seen.now = world.now();
    return machines.at(node);
  }
  void on_write(uint32_t node, uint64_t op, const sim::FileRef& file, uint64_t offset, ByteSpan bytes, disk::Durability) override {
    if (file.path == identity) return on_identity(at(node), bytes);
    if (!is_journal(file)) return;
    Machine& machine = at(node);
    seen.disks[machine.id].begins(op, seen.now);
    machine.ledger->write(op, file.path, offset, bytes);
  }
  // Damage makes another voter of a process. Where the faults did it, nobody answers any more for what the former one has promised.
  void on_identity(Machine& machine, ByteSpan bytes) {
    auto slot = wal::decode_identity_slot(bytes.first(std::min(bytes.size(), wal::kIdentitySlotBytes)));
    if (!slot) return;
    const wal::Identity& now = slot->identity;
    const bool drawn = now.directory_id == machine.directory && now.voter_id != machine.voter;
    machine.directory = now.directory_id;
    machine.voter = now.voter_id;
    machine.ledger->runs_as(now.counter);
    if (!drawn || !machine.ledger->rotten()) return;
    machine.ledger->outlived();
    metadata->on_voter_drawn(machine.id);
    disk_changed(machine.id);
  }
  void on_written(uint32_t node, uint64_t op, const sim::FileRef& file, uint64_t, uint64_t, disk::Durability durability,
                  std::optional<Errc> error) override {
    if (!is_journal(file)) return;
    Machine& machine = at(node);
    seen.disks[machine.id].ends(op, seen.now);
    machine.ledger->written(op, !error, durability == disk::Durability::synced);
  }
  void on_sync(uint32_t node, const sim::FileRef& file, std::optional<Errc> error) override {
    if (is_journal(file) && !error) at(node).ledger->synced();
  }
  void on_failure(uint32_t node, uint64_t op, const sim::FileRef& file, Errc error) override {
    if (!is_journal(file)) return;
    Ledger& ledger = *at(node).ledger;
    // Where there is no space for a file ahead of its use, the journal goes on without it.
    if (error == Errc::no_space && !ledger.is_promise(op)) return;
    ledger.failed(fmt::format("a write or a sync of {}", file.path));
  }
  void on_sync_directory(uint32_t node, std::string_view) override { at(node).ledger->synced(); }
  void on_flip(uint32_t node, const sim::FileRef& file, uint64_t offset) override {
    if (is_journal(file)) at(node).ledger->flipped(file.path, offset);
  }
  void on_spoil(uint32_t node, const sim::FileRef& file, uint64_t offset) override {
    if (is_journal(file)) at(node).ledger->spoiled(file.path, offset);
  }
  void on_lost(uint32_t node, const sim::FileRef& file) override {
    if (is_journal(file)) at(node).ledger->file_lost(file.path);
  }
  void on_death(uint32_t node, sim::Death death) override {
    Machine& machine = at(node);
    const bool wiped = death == sim::Death::wipe;
    if (wiped) disk_leaves(machine.id, true);
    machine.ledger->died(death);
    seen.disks[machine.id].died();
    tell(&Observer::on_died, machine.id);
    if (wiped) disk_changed(machine.id);
  }
  // What a disk holds goes with it, and so does what is known of it.
  void on_exchange(uint32_t node, sim::DiskExchange what, uint64_t image) override {
    Machine& machine = at(node);
    if (what == sim::DiskExchange::image) {
      images.emplace(image, *machine.ledger);
      return;
    }
    disk_leaves(machine.id, false);
    switch (what) {
      case sim::DiskExchange::image: break;
      case sim::DiskExchange::put: machine.ledger->becomes(images.at(image)); break;
      case sim::DiskExchange::unmount:
        away.insert_or_assign(machine.id, *machine.ledger);
        machine.ledger->died(sim::Death::wipe);
        break;
      case sim::DiskExchange::mount: {
        const Ledger own = away.at(machine.id);
        away.erase(machine.id);
        machine.ledger->is_back(own);
        break;
      }
    }
    disk_changed(machine.id);
  }
  void disk_leaves(MachineId machine, bool wiped) {
    tell(&Observer::on_disk_leaves, machine, wiped);
    seen.ledgers.taken_out(machine);
  }
  void disk_changed(MachineId machine) { copies.taken(machine, metadata->raft().majority_remembers(), away); }

  // --- journals ---
  void on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan aux, ByteSpan payload, const wal::HardState&) override {
    tell(&Observer::on_append, node, stream, entry, aux, payload);
  }
  using sim::DiskObserver::on_truncate;
  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState& hard) override {
    tell(&Observer::on_truncate, node, stream, new_end, old_end, hard);
  }
  void on_durable(MachineId node, StreamId stream) override { tell(&Observer::on_durable, node, stream); }
  bool installed(MachineId node, int64_t position) override { return metadata->raft().was_sent_snapshot(node, LogIndex(position - 1)); }
  uint64_t committed_chain(StreamId stream, int64_t position) override {
    if (stream == wal::kRaftLog) return seen.ghost.raft.chain(LogIndex(position - 1)).value_or(kEmptyChain);
    auto it = seen.ghost.partitions.find(stream);
    return it == seen.ghost.partitions.end() ? kEmptyChain : it->second.committed.chain_at(position).value_or(kEmptyChain);
  }
  void on_committed(LogIndex index, const std::optional<metadata::Record>& record, bool changed) {
    tell(&Observer::on_committed, index, record);
    if (changed) tell(&Observer::on_catalogue_changed, index, *record);
  }

  // --- messages ---
  void on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) override {
    seen.now = world.now();
    taps.on_send(info, from_dialer, bytes);
    tell(&Observer::on_any_event);
  }
  void on_read(const sim::ConnectionInfo& info, bool by_dialer, size_t bytes) override {
    seen.now = world.now();
    taps.on_read(info, by_dialer, bytes);
  }
  void on_end(const sim::ConnectionInfo& info, bool from_dialer, bool reset) override {
    seen.now = world.now();
    taps.on_end(info, from_dialer, reset);
  }

  // Tells all of them what a machine says, unless that is about another cluster.
  template <class... Parameters, class... Args>
  void say(void (MessageEvents::*event)(MachineId, Parameters...), MachineId from, Args&&... args) {
    if (elsewhere(from)) return;
    for (const auto& o : observers) (o.get()->*event)(from, args...);
  }
  void on_peer(MachineId from, MachineId to) override { seen.contacts.peer_message(from, to, seen.now); }
  void on_accepted(MachineId from, MachineId to, const broker::peer::Hello& m) override { say(&MessageEvents::on_accepted, from, to, m); }
  void on_raft(MachineId from, MachineId to, const raft::Message& m) override {
    say(&MessageEvents::on_raft, from, to, m);
    if (const auto* r = std::get_if<raft::AppendEntriesReply>(&m.body); r && r->success && !elsewhere(from))
      seen.contacts.raft_accepted(from, to, seen.now);
  }
  void on_formation(MachineId from, const raft::FormationMessage& m) override { say(&MessageEvents::on_formation, from, m); }
  void on_replica(MachineId from, const replica::Message& m) override { say(&MessageEvents::on_replica, from, m); }
  void on_data(MachineId from, const replica::Data& m, const SharedBytes& payload) override {
    say(&MessageEvents::on_data, from, m, payload);
  }
  void on_heartbeat(MachineId from, const metadata::Heartbeat& m) override { say(&MessageEvents::on_heartbeat, from, m); }
  void on_heartbeat_reply(MachineId from, MachineId to, const metadata::HeartbeatReply& m) override {
    say(&MessageEvents::on_heartbeat_reply, from, to, m);
  }
  void on_request(MachineId to, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header,
                  const SharedBytes& body) override {
    say(&MessageEvents::on_request, to, connection, asked, header, body);
  }
  void on_arrived(MachineId machine, uint64_t connection, const Asked& asked) override {
    say(&MessageEvents::on_arrived, machine, connection, asked);
  }
  void on_answer(MachineId from, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header) override {
    say(&MessageEvents::on_answer, from, connection, asked, header);
  }
  void on_answer_begins(MachineId from, uint64_t connection) override { say(&MessageEvents::on_answer_begins, from, connection); }
  void on_connection_over(MachineId machine, uint64_t connection) override { say(&MessageEvents::on_connection_over, machine, connection); }
  void on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override {
    say(&MessageEvents::on_produced, from, when, asked, answer);
  }
  void on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) override {
    say(&MessageEvents::on_fetched, from, when, asked, answer);
  }
  void on_metadata(MachineId from, const Asked& when, const kafka::MetadataRequest& asked, const kafka::MetadataResponse& answer) override {
    say(&MessageEvents::on_metadata, from, when, asked, answer);
  }
  void on_code(MachineId from, const kafka::RequestHeader& header, kafka::ErrorCode code) override {
    codes.insert({header.api_key, header.api_version, code});
    say(&MessageEvents::on_code, from, header, code);
  }
  void on_producer_id(MachineId from, const kafka::InitProducerIdResponse& answer) override {
    say(&MessageEvents::on_producer_id, from, answer);
  }
  void on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                  const kafka::ListOffsetsResponse& answer) override {
    say(&MessageEvents::on_offsets, from, when, asked, answer);
  }

  sim::World& world;
  std::string journal;
  std::string identity;
  Judge judge;
  Seen seen;
  Copies copies;
  std::map<uint64_t, Ledger> images;  // as the ledger was when the disk was copied, by image
  std::map<MachineId, Ledger> away;   // of unmounted disks
  Taps taps;
  std::map<uint32_t, Machine> machines;                                  // by the world's number of the node
  std::set<std::tuple<kafka::ApiKey, int16_t, kafka::ErrorCode>> codes;  // that were answered
  std::vector<std::unique_ptr<Observer>> observers;
  MetadataWatch* metadata = nullptr;
  PartitionWatch* partitions = nullptr;
  ClientWatch* clients = nullptr;
  SpeechWatch* speech = nullptr;
  ProgressWatch* progress = nullptr;
};

Observers::Observers(sim::World& world, Cluster& cluster) : state_(std::make_unique<State>(world, cluster)) {}
Observers::~Observers() = default;

bool Observers::is_anywhere(const Uuid& directory) const {
  auto has_it = [&](const Ledger& l) { return l.directory() == directory; };
  return std::ranges::any_of(state_->seen.ledgers.all(), [&](const auto& l) { return has_it(*l.second); }) ||
         std::ranges::any_of(state_->away, [&](const auto& l) { return has_it(l.second); });
}
const Copies& Observers::copies() const { return state_->copies; }
const metadata::Catalogue& Observers::catalogue() const { return state_->seen.ghost.catalogue; }
bool Observers::damaged(NodeId node) const { return state_->seen.ledgers.find(node)->damaged(); }

void Observers::suspended(const sim::Node& machine, Time until) {
  auto it = state_->machines.find(machine.index());
  if (it != state_->machines.end()) state_->speech->suspended(it->second.id, until);
}

void Observers::struck(const sim::Node& machine) {
  auto it = state_->machines.find(machine.index());
  if (it != state_->machines.end()) state_->progress->struck(it->second.id);
}

void Observers::finish() { state_->tell(&Observer::finish); }

std::vector<IdlePartition> Observers::idle() const { return state_->partitions->idle(); }
const std::vector<LateAck>& Observers::late_acks() const { return state_->partitions->late_acks(); }

Term Observers::term() const {
  Term greatest;
  for (const auto& [node, ledger] : state_->seen.ledgers.all()) greatest = std::max(greatest, ledger->hard_state().term);
  return greatest;
}

std::set<std::string> Observers::answered() const {
  std::set<std::string> out;
  for (const auto& [api, version, code] : state_->codes)
    out.insert(fmt::format("{} v{} {}", kafka::to_string(api), version, kafka::to_string(code)));
  return out;
}

std::vector<std::string> Observers::outstanding() const { return state_->clients->outstanding(); }

std::map<std::string, uint64_t> Observers::judged() const {
  std::map<std::string, uint64_t> out;
  for (size_t i = 0; i < kChecks; ++i) {
    const auto check = static_cast<Check>(i);
    out.emplace(to_string(check), state_->judge.judged(check));
  }
  return out;
}

std::string Observers::idle_check(bool owes_silence) const {
  if (owes_silence && state_->speech->judged_in_silence() == 0) return "E25 never had an answer of a node without a controller to judge";
  if (state_->seen.cluster.nodes().size() > 1 && state_->judge.judged(Check::e27) == 0) return "E27 never had anything to judge";
  return scenario::idle_check(state_->judge);
}

}  // namespace sg::scenario
