#include "scenarios/checks/observers.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/archive.h"
#include "broker/kafka/record_batch.h"
#include "broker/raft_snapshot.h"
#include "scenarios/checks/catalogue_checks.h"
#include "scenarios/checks/copies.h"
#include "scenarios/checks/formation_checks.h"
#include "scenarios/checks/partition_checks.h"
#include "scenarios/checks/raft_checks.h"
#include "scenarios/checks/speech_checks.h"
#include "scenarios/checks/taps.h"

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

// Within it a broker that is in contact with the controller has an answer to whatever it asked, or has asked again.
constexpr Duration kSettled = 3s;
constexpr Duration kContactGap = 500ms;

}  // namespace

struct Observers::State final : sim::DiskObserver, LedgerEvents, MessageEvents {
  struct Broker {
    std::unique_ptr<SimDiskView> view;
    Ledger* ledger = nullptr;
    MachineId machine;
  };

  State(sim::World& w, Cluster& c)
      : world(w),
        cluster(c),
        journal(wal::Options().directory + "/"),
        judge([this](Check check, const std::string& text) { world.fail(std::string(to_string(check)), text); }),
        raft(ledgers, ghost.raft, judge, [this](LogIndex index, raft::EntryKind kind, ByteSpan data) { on_committed(index, kind, data); }),
        formation(ledgers, judge),
        catalogue(ghost, judge),
        partitions(ledgers, ghost, judge),
        copies(ledgers, ghost),
        speech(ledgers, ghost, judge, {c.config().timing.election_max, c.config().timing.session_timeout}),
        taps(&now, Cluster::kPeerPort, Cluster::kKafkaPort, judge, *this) {
    for (size_t i = 0; i < cluster.machines().size(); ++i) {
      sim::Node& node = *cluster.machines()[i];
      const MachineId id = cluster.machine_id(i);
      Broker& broker = brokers[node.index()];
      broker.machine = id;
      broker.view = std::make_unique<SimDiskView>(node.disk());
      auto ledger = std::make_unique<Ledger>(id, *broker.view, judge, *this);
      broker.ledger = ledger.get();
      ledgers.add(std::move(ledger));
      taps.add_node(node.index(), id);
      node.disk().add_observer(this);
    }
    world.network().add_tap(&clocked);
  }

  // --- disks ---
  bool is_journal(const sim::FileRef& file) const { return file.path.starts_with(journal) && file.path.ends_with(".seg"); }
  void on_write(uint32_t node, uint64_t op, const sim::FileRef& file, uint64_t offset, ByteSpan bytes, disk::Durability) override {
    if (is_journal(file)) brokers.at(node).ledger->write(op, file.path, offset, bytes);
  }
  void on_written(uint32_t node, uint64_t op, const sim::FileRef& file, uint64_t, uint64_t, disk::Durability,
                  std::optional<Errc> error) override {
    if (!is_journal(file)) return;
    if (error) disk_failed(node, "a write", file.path);
    brokers.at(node).ledger->written(op, !error);
  }
  void on_sync(uint32_t node, const sim::FileRef& file, std::optional<Errc> error) override {
    if (!is_journal(file)) return;
    if (error) return disk_failed(node, "a sync", file.path);
    brokers.at(node).ledger->synced();
  }
  void on_sync_directory(uint32_t node, std::string_view) override { brokers.at(node).ledger->synced(); }
  void disk_failed(uint32_t node, std::string_view what, std::string_view path) {
    brokers.at(node).ledger->failed(fmt::format("{} of {}", what, path));
  }
  void on_flip(uint32_t node, const sim::FileRef& file, uint64_t offset) override {
    if (is_journal(file)) brokers.at(node).ledger->flipped(file.path, offset);
  }
  void on_lost(uint32_t node, const sim::FileRef& file) override {
    if (is_journal(file)) brokers.at(node).ledger->file_lost(file.path);
  }
  void on_death(uint32_t node, sim::Death death) override {
    Broker& broker = brokers.at(node);
    if (death == sim::Death::wipe) {
      is_taken_out(broker.machine);
      formation.emptied(broker.machine);
    }
    broker.ledger->died(death);
    speech.on_died(broker.machine);
    if (death == sim::Death::wipe) copies.taken(broker.machine, raft.majority_remembers(), away);
  }
  void is_taken_out(MachineId machine) {
    raft.forgotten(machine);
    ledgers.taken_out(machine);
  }
  // What a disk holds goes with it, and so does what is known of it.
  void on_exchange(uint32_t node, sim::DiskExchange what, uint64_t image) override {
    Broker& broker = brokers.at(node);
    if (what != sim::DiskExchange::image) {
      is_taken_out(broker.machine);
      formation.exchanged(broker.machine);
    }
    switch (what) {
      case sim::DiskExchange::image: images.emplace(image, *broker.ledger); return;
      case sim::DiskExchange::put: broker.ledger->becomes(images.at(image)); break;
      case sim::DiskExchange::unmount:
        away.insert_or_assign(broker.machine, *broker.ledger);
        broker.ledger->died(sim::Death::wipe);
        break;
      case sim::DiskExchange::mount: {
        const Ledger own = away.at(broker.machine);
        away.erase(broker.machine);
        broker.ledger->is_back(own);
        break;
      }
    }
    copies.taken(broker.machine, raft.majority_remembers(), away);
  }

  // --- journals ---
  void on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan aux, ByteSpan payload, const wal::HardState&) override {
    if (stream == wal::kRaftFormation) on_formation_state(node, entry.first, payload);
    if (stream == wal::kRaftLog && aux.size() == 1) on_log_append(node, entry, static_cast<raft::EntryKind>(aux[0]), payload);
    if (stream != wal::kRaftSnapshots || raft.is_elsewhere(node)) return;
    auto snapshot = broker::snapshot_from(wal::Aux(aux), LogIndex(entry.first), Term(entry.epoch), payload);
    judge.check(Check::e7, snapshot.has_value(), [&] { return fmt::format("node {} writes a snapshot that nobody can read", node); });
    if (snapshot) catalogue.on_snapshot(node, LogIndex(entry.first), snapshot->data);
  }
  void on_formation_state(MachineId node, int64_t position, ByteSpan payload) {
    auto state = unpack<raft::FormationState>(payload);
    judge.check(Check::format, state.has_value(),
                [&] { return fmt::format("node {} writes a state of formation that nobody can read", node); });
    if (state) formation.on_state(node, position, *state);
  }
  void on_log_append(MachineId node, const LogEntry& entry, raft::EntryKind kind, ByteSpan payload) {
    if (entry.first == 1 && kind == raft::EntryKind::configuration)
      if (auto begun = raft::decode_configuration(payload)) formation.on_log_begins(node, *begun);
    raft.on_append(node, entry, kind, payload);
  }
  using sim::DiskObserver::on_truncate;
  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState& hard) override {
    if (stream == wal::kRaftLog) raft.on_truncate(node, new_end, hard);
    if (!wal::is_metadata(stream) && !raft.is_elsewhere(node)) partitions.on_truncate(node, stream, new_end, old_end);
  }
  void on_durable(MachineId node, StreamId stream) override {
    grown[{node, stream}] = world.now();
    if (stream == wal::kRaftFormation) formation.on_durable(node);
    if (stream == wal::kRaftLog && !raft.is_elsewhere(node)) raft.on_durable();
  }
  bool installed(MachineId node, int64_t position) override { return raft.was_sent_snapshot(node, LogIndex(position - 1)); }
  uint64_t committed_chain(StreamId stream, int64_t position) override {
    if (stream == wal::kRaftLog) return ghost.raft.chain(LogIndex(position - 1)).value_or(kEmptyChain);
    auto it = ghost.partitions.find(stream);
    return it == ghost.partitions.end() ? kEmptyChain : it->second.committed.chain_at(position).value_or(kEmptyChain);
  }
  void on_committed(LogIndex index, raft::EntryKind kind, ByteSpan data) {
    std::optional<metadata::Record> record;
    if (kind == raft::EntryKind::command) {
      auto decoded = metadata::decode_record(data);
      judge.check(Check::format, decoded.has_value(),
                  [&] { return fmt::format("the committed entry {} is no record: {}", index, decoded.error().what); });
      if (decoded) record = std::move(*decoded);
    }
    if (!catalogue.on_committed(index, record)) return;
    const auto* r = std::get_if<metadata::RegisterBroker>(&*record);
    if (r) on_registered(*r);
    partitions.on_catalogue_changed(index, *record);
    // Whoever is alone says to nobody who it is.
    if (r && cluster.nodes().size() == 1) speech.on_run(world.now(), ledgers.machine_of(r->node), r->node, r->run);
    speech.on_catalogue_changed(index, *record);
  }
  void on_registered(const metadata::RegisterBroker& r) {
    const MachineId before = ledgers.machine_of(r.node);
    const MachineId newcomer = ledgers.holder_of(r.node, r.run.directory);
    if (newcomer == before || !is_spare(newcomer)) return;
    const bool runs = cluster.running(before) && !cluster.machine(before).stalled();
    partitions.on_newcomer(r.node, before, newcomer, "registered as", runs && in_contact(before));
  }

  // --- messages ---
  std::optional<StreamId> stream_of(std::string_view topic_name, int32_t index) const {
    const metadata::Topic* topic = ghost.catalogue.topic(topic_name);
    if (!topic || index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) return std::nullopt;
    return topic->partitions[static_cast<size_t>(index)];
  }
  // Looks at what the node itself has applied, and whether it is the controller.
  const metadata::Catalogue* see(MachineId machine) {
    const broker::Node* broker = cluster.running(machine);
    const metadata::Catalogue* seen = broker ? broker->catalogue() : nullptr;
    if (seen) speech.on_seen(world.now(), machine, seen->applied(), broker->is_controller());
    return seen;
  }
  void on_peer(MachineId from, MachineId to) override { between[{from, to}].note(world.now()); }
  // A second process, on a machine of its own, may be taken for a node only by who has heard nothing of the first for a while, unless that
  // one holds nothing that counts.
  void on_accepted(MachineId from, MachineId to, const broker::peer::Hello& hello) override {
    const metadata::Catalogue* seen = see(from);
    const metadata::Broker* known = seen ? seen->broker(hello.from) : nullptr;
    judge.check(Check::twin, !known || !known->run.newer_than(hello.run), [&] {
      return fmt::format(
          "machine {} takes run {} for node {}, of whose directory run {} is registered; expected: a run ends all earlier ones", from,
          hello.run, hello.from, known->run);
    });
    const MachineId first = ledgers.machine_of(hello.from);
    if (!is_spare(to) || to == first || raft.is_elsewhere(from)) return;
    const CatalogueFacts::Disk disk{hello.from, ledgers.find(first)->directory()};
    const bool has_place = std::ranges::any_of(ghost.fold.facts().partitions,
                                               [&](const auto& p) { return std::ranges::find(p.second.isr, disk) != p.second.isr.end(); });
    const bool ran = cluster.running_for(first) >= kSettled && cluster.running_for(from) >= kSettled;
    partitions.on_newcomer(hello.from, first, to, fmt::format("taken by machine {} for", from),
                           has_place && ran && !cluster.machine(first).stalled() && between[{first, from}].lasts(world.now()));
  }
  void on_raft(MachineId from, MachineId to, const raft::Message& m) override {
    if (raft.is_elsewhere(from)) return;
    raft.on_message(from, to, m);
    speech.on_run(world.now(), from, m.from, m.from_run);
    if (const metadata::Catalogue* seen = see(from)) catalogue.on_seen(from, *seen);
    if (const auto* r = std::get_if<raft::AppendEntriesReply>(&m.body); r && r->success)
      for (MachineId other : {from, to}) contact[other].note(world.now());
  }
  void on_formation(MachineId from, const raft::FormationMessage& m) override {
    if (!raft.is_elsewhere(from)) formation.on_message(from, m);
  }
  void on_replica(MachineId from, const replica::Message& m) override {
    const auto* ack = std::get_if<replica::Ack>(&m);
    if (!ack || raft.is_elsewhere(from)) return;
    partitions.on_ack(from, *ack);
    speech.on_promise(from, "an acknowledgement to a leader", ack->stream);
  }
  void on_heartbeat(MachineId from, const metadata::Heartbeat& heartbeat) override {
    if (!raft.is_elsewhere(from)) speech.on_heartbeat(world.now(), from, heartbeat);
  }
  void on_heartbeat_reply(MachineId from, MachineId to, const metadata::HeartbeatReply& reply) override {
    if (!raft.is_elsewhere(from)) speech.on_heartbeat_reply(to, reply);
  }
  // E25 and E26 of one partition's answer; `promise`: what it promises, if it does.
  void judge_answer(MachineId from, const Answer& answer, std::string_view promise) {
    see(from);
    speech.on_answer(world.now(), from, answer, cluster.machine(from).last_stall_end(), partitions.name(answer.stream));
    if (!promise.empty()) speech.on_promise(from, promise, answer.stream);
  }
  void on_data(MachineId from, const replica::Data& data, const SharedBytes& payload) override {
    if (raft.is_elsewhere(from)) return;
    partitions.on_data(from, data);
    speech.on_promise(from, "a high watermark to a follower", data.stream);
    size_t at = 0;
    for (uint32_t bytes : data.batch_bytes) {
      if (bytes < kafka::kBatchHeaderBytes || bytes > payload.size() - at) return;  // the follower will refuse it
      kafka::BatchView batch(payload.slice(at, bytes));
      judge.check(Check::e12, batch.crc_holds(), [&] {
        return fmt::format("{}: node {} gives a follower the batch at {} with bytes that its checksum {:08x} does not fit",
                           partitions.name(data.stream), from, batch.base_offset(), batch.crc());
      });
      at += bytes;
    }
  }
  void on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : answer.responses) {
      for (const auto& p : topic.partition_responses) {
        auto stream = stream_of(topic.name, p.index);
        const SharedBytes* records = records_of(asked, topic.name, p.index);
        const bool promises = p.error_code == kafka::ErrorCode::none;
        if (stream)
          judge_answer(
              from, {.kind = Answer::Kind::produced, .stream = *stream, .error = p.error_code, .asked = when.arrived, .acks = asked.acks},
              promises ? "an acknowledgement to a producer" : "");
        if (p.error_code == kafka::ErrorCode::request_timed_out && asked.acks == -1 && stream && records &&
            records->size() >= kafka::kBatchHeaderBytes && knows_newest_state(from, *stream) &&
            world.now() >= grown[{from, *stream}] + kSettled && in_contact(from))
          partitions.on_timed_out(from, *stream, kafka::BatchView(*records).crc());
        if (p.error_code != kafka::ErrorCode::none || !stream || !records || records->size() < kafka::kBatchHeaderBytes) continue;
        kafka::BatchView batch(*records);
        const int64_t end = p.base_offset.v + batch.last_offset_delta() + 1;
        partitions.on_produced(from, {*stream, asked.acks, p.base_offset.v, end, batch.crc()});
      }
    }
  }
  bool in_contact(MachineId node) { return contact[node].lasts(world.now()); }
  // Asks the broker itself: what it has not heard yet it cannot act upon.
  bool knows_newest_state(MachineId node, StreamId stream) const {
    auto partition = ghost.partitions.find(stream);
    const PartitionState* newest = partition == ghost.partitions.end() ? nullptr : partition->second.newest();
    const broker::Node* broker = cluster.running(node);
    const metadata::Catalogue* heard = broker ? broker->catalogue() : nullptr;
    return newest && heard && heard->applied() >= newest->since;
  }
  static const SharedBytes* records_of(const kafka::ProduceRequest& asked, std::string_view topic_name, int32_t index) {
    for (const auto& topic : asked.topic_data)
      for (const auto& p : topic.partition_data)
        if (topic.name == topic_name && p.index == index && p.records) return &*p.records;
    return nullptr;
  }
  static LeaderEpoch named_epoch(const auto& request, std::string_view topic, int32_t index) {
    for (const auto& t : request.topics)
      for (const auto& p : t.partitions)
        if (name_of(t) == topic && index_of(p) == index) return p.current_leader_epoch;
    return kNoLeaderEpoch;
  }
  static const std::string& name_of(const kafka::FetchRequest::Topic& t) { return t.topic; }
  static const std::string& name_of(const kafka::ListOffsetsRequest::Topic& t) { return t.name; }
  static int32_t index_of(const kafka::FetchRequest::Partition& p) { return p.partition; }
  static int32_t index_of(const kafka::ListOffsetsRequest::Partition& p) { return p.partition_index; }
  static bool has_records(const kafka::FetchResponse::Partition& p) {
    return p.records && std::ranges::any_of(p.records->pieces, [](const SharedBytes& piece) { return piece.size() > 0; });
  }
  // It names itself as leader, or nobody in an epoch that it leads.
  bool is_of_its_own(MachineId machine, StreamId stream, const kafka::MetadataResponse::Partition& p) const {
    if (p.leader_id != kNoNode) return p.leader_id == speech.claimed_id(machine);
    auto partition = ghost.partitions.find(stream);
    if (partition == ghost.partitions.end()) return false;
    auto leader = partition->second.leaders.find(p.leader_epoch);
    return leader != partition->second.leaders.end() && leader->second == machine;
  }
  void on_metadata(MachineId from, const Asked& when, const kafka::MetadataResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : answer.topics)
      for (const auto& p : topic.partitions)
        if (auto stream = stream_of(topic.name.value_or(""), p.partition_index); stream && is_of_its_own(from, *stream, p))
          judge_answer(from, {.kind = Answer::Kind::claimed, .stream = *stream, .error = p.error_code, .asked = when.arrived}, "");
  }
  void on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& request, const kafka::FetchResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : answer.responses) {
      for (const auto& p : topic.partitions) {
        auto stream = stream_of(topic.topic, p.partition_index);
        const bool promises = p.error_code == kafka::ErrorCode::none;
        if (stream)
          judge_answer(from,
                       {.kind = Answer::Kind::fetched,
                        .stream = *stream,
                        .error = p.error_code,
                        .asked = when.arrived,
                        .named_epoch = named_epoch(request, topic.topic, p.partition_index),
                        .has_records = has_records(p),
                        .diverging = p.diverging_epoch.end_offset.v >= 0},
                       promises ? "a high watermark to a consumer" : "");
        if (p.error_code != kafka::ErrorCode::none || !stream) continue;
        partitions.on_watermark_given(now, when.left, from, *stream, p.high_watermark.v);
        if (p.records) give_batches(from, *stream, *p.records);
      }
    }
  }
  void give_batches(MachineId from, StreamId stream, const kafka::Records& records) {
    for (const SharedBytes& piece : records.pieces) {
      auto split = kafka::split_batches(piece);
      judge.check(Check::format, split.has_value(),
                  [&] { return fmt::format("node {}, stream {}: a fetch returns no batches: {}", from, stream, split.error().what); });
      if (!split) return;
      for (const SharedBytes& bytes : split->batches) {
        kafka::BatchView batch(bytes);
        judge.check(Check::e17, batch.crc_holds(), [&] {
          return fmt::format("{}: node {} gives a consumer the batch at {} with bytes that its checksum {:08x} does not fit",
                             partitions.name(stream), from, batch.base_offset(), batch.crc());
        });
        partitions.on_batch_given(from, stream, batch.base_offset().v, batch.last_offset().v + 1, batch.crc());
      }
    }
  }
  void judge_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked, std::string_view topic, int32_t index,
                     const kafka::ListOffsetsResponse& answer) {
    auto stream = stream_of(topic, index);
    if (!stream) return;
    for (const auto& t : answer.topics)
      for (const auto& a : t.partitions)
        if (t.name == topic && a.partition_index == index)
          judge_answer(from,
                       {.kind = Answer::Kind::offsets,
                        .stream = *stream,
                        .error = a.error_code,
                        .asked = when.arrived,
                        .named_epoch = named_epoch(asked, topic, index)},
                       a.error_code == kafka::ErrorCode::none ? "an offset to a client" : "");
  }
  void on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                  const kafka::ListOffsetsResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : asked.topics) {
      for (const auto& p : topic.partitions) {
        judge_offsets(from, when, asked, topic.name, p.partition_index, answer);
        if (p.timestamp != kafka::ListOffsetsRequest::kLatest) continue;
        for (const auto& t : answer.topics)
          for (const auto& a : t.partitions)
            if (auto stream = stream_of(t.name, a.partition_index);
                t.name == topic.name && a.partition_index == p.partition_index && a.error_code == kafka::ErrorCode::none && stream)
              partitions.on_latest_given(now, when.left, from, *stream, a.leader_epoch, a.offset.v);
      }
    }
  }

  // Gives the taps the time of each event.
  struct ClockedTap final : sim::NetworkTap {
    explicit ClockedTap(State& s) : state(s) {}
    void on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) override {
      state.now = state.world.now();
      state.taps.on_send(info, from_dialer, bytes);
    }
    void on_read(const sim::ConnectionInfo& info, bool by_dialer, size_t bytes) override {
      state.now = state.world.now();
      state.taps.on_read(info, by_dialer, bytes);
    }
    void on_end(const sim::ConnectionInfo& info, bool from_dialer, bool reset) override { state.taps.on_end(info, from_dialer, reset); }
    State& state;
  };

  sim::World& world;
  const Cluster& cluster;
  struct Contact {
    Time since;
    Time last;
    void note(Time at) {
      if (at > last + kContactGap) since = at;
      last = at;
    }
    bool lasts(Time at) const { return at >= since + kSettled && at <= last + kContactGap; }
  };
  std::map<std::pair<MachineId, MachineId>, Contact> between;  // from one machine to another
  std::map<MachineId, Contact> contact;                        // of followers with Raft's leader, and of a leader with one of them
  std::map<std::pair<MachineId, StreamId>, Time> grown;        // when more of a stream became durable last
  std::string journal;
  Time now;
  Judge judge;
  Ledgers ledgers;
  Ghost ghost;
  RaftChecks raft;
  FormationChecks formation;
  CatalogueChecks catalogue;
  PartitionChecks partitions;
  Copies copies;
  std::map<uint64_t, Ledger> images;  // as the ledger was when the disk was copied, by image
  std::map<MachineId, Ledger> away;   // of unmounted disks
  SpeechChecks speech;
  Taps taps;
  ClockedTap clocked{*this};
  std::map<uint32_t, Broker> brokers;
};

Observers::Observers(sim::World& world, Cluster& cluster) : state_(std::make_unique<State>(world, cluster)) {}
Observers::~Observers() = default;

bool Observers::is_anywhere(const Uuid& directory) const {
  auto has_it = [&](const Ledger& l) { return l.directory() == directory; };
  return std::ranges::any_of(state_->ledgers.all(), [&](const auto& l) { return has_it(*l.second); }) ||
         std::ranges::any_of(state_->away, [&](const auto& l) { return has_it(l.second); });
}
const Copies& Observers::copies() const { return state_->copies; }
const metadata::Catalogue& Observers::catalogue() const { return state_->ghost.catalogue; }
bool Observers::damaged(NodeId node) const { return state_->ledgers.find(node)->damaged(); }

void Observers::finish() { state_->partitions.finish(); }

std::vector<IdlePartition> Observers::idle() const { return state_->partitions.idle(); }

Term Observers::term() const {
  Term greatest;
  for (const auto& [node, ledger] : state_->ledgers.all()) greatest = std::max(greatest, ledger->hard_state().term);
  return greatest;
}

std::string Observers::idle_check(bool owes_silence) const {
  if (owes_silence && state_->speech.judged_in_silence() == 0) return "E25 never had an answer of a node without a controller to judge";
  if (state_->cluster.nodes().size() > 1 && state_->judge.judged(Check::e27) == 0) return "E27 never had anything to judge";
  return scenario::idle_check(state_->judge);
}

}  // namespace sg::scenario
