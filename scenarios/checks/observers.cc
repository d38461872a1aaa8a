#include "scenarios/checks/observers.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/kafka/record_batch.h"
#include "broker/raft_snapshot.h"
#include "scenarios/checks/catalogue_checks.h"
#include "scenarios/checks/copies.h"
#include "scenarios/checks/partition_checks.h"
#include "scenarios/checks/raft_checks.h"
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
        catalogue(ghost, judge),
        partitions(ledgers, ghost, judge),
        copies(ledgers, ghost),
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
    if (death == sim::Death::wipe) raft.forgotten(broker.machine);
    broker.ledger->died(death);
    if (death == sim::Death::wipe) copies.taken(broker.machine, raft.majority_remembers(), away);
  }
  // What a disk holds goes with it, and so does what is known of it.
  void on_exchange(uint32_t node, sim::DiskExchange what, uint64_t image) override {
    Broker& broker = brokers.at(node);
    if (what != sim::DiskExchange::image) raft.forgotten(broker.machine);
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
    if (stream == wal::kRaftLog && aux.size() == 1) raft.on_append(node, entry, static_cast<raft::EntryKind>(aux[0]), payload);
    if (stream != wal::kRaftSnapshots || raft.is_elsewhere(node)) return;
    auto snapshot = broker::snapshot_from(wal::Aux(aux), LogIndex(entry.first), Term(entry.epoch), payload);
    judge.check(Check::e7, snapshot.has_value(), [&] { return fmt::format("node {} writes a snapshot that nobody can read", node); });
    if (snapshot) catalogue.on_snapshot(node, LogIndex(entry.first), snapshot->data);
  }
  using sim::DiskObserver::on_truncate;
  void on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState& hard) override {
    if (stream == wal::kRaftLog) raft.on_truncate(node, new_end, hard);
    if (!wal::is_metadata(stream) && !raft.is_elsewhere(node)) partitions.on_truncate(node, stream, new_end, old_end);
  }
  void on_durable(MachineId node, StreamId stream) override {
    grown[{node, stream}] = world.now();
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
  }
  void on_registered(const metadata::RegisterBroker& r) {
    const MachineId before = ledgers.machine_of(r.node);
    const MachineId newcomer = ledgers.holder_of(r.node, r.run.directory);
    if (newcomer == before || !is_spare(newcomer)) return;
    const bool runs = cluster.running(before) && !cluster.machine(before).stalled();
    partitions.on_newcomer(r.node, before, newcomer, runs && in_contact(before));
  }

  // --- messages ---
  std::optional<StreamId> stream_of(std::string_view topic_name, int32_t index) const {
    const metadata::Topic* topic = ghost.catalogue.topic(topic_name);
    if (!topic || index < 0 || static_cast<size_t>(index) >= topic->partitions.size()) return std::nullopt;
    return topic->partitions[static_cast<size_t>(index)];
  }
  void on_raft(MachineId from, MachineId to, const raft::Message& m) override {
    if (raft.is_elsewhere(from)) return;
    raft.on_message(from, to, m);
    const broker::Node* node = cluster.running(from);
    if (node && node->catalogue()) catalogue.on_seen(from, *node->catalogue());
    if (const auto* r = std::get_if<raft::AppendEntriesReply>(&m.body); r && r->success)
      for (MachineId other : {from, to}) {
        Contact& c = contact[other];
        if (world.now() > c.last + kContactGap) c.since = world.now();
        c.last = world.now();
      }
  }
  void on_replica(MachineId from, const replica::Message& m) override {
    if (raft.is_elsewhere(from)) return;
    if (const auto* ack = std::get_if<replica::Ack>(&m)) partitions.on_ack(from, *ack);
  }
  void on_data(MachineId from, const replica::Data& data, const SharedBytes& payload) override {
    if (raft.is_elsewhere(from)) return;
    partitions.on_data(from, data);
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
  void on_produced(MachineId from, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : answer.responses) {
      for (const auto& p : topic.partition_responses) {
        auto stream = stream_of(topic.name, p.index);
        const SharedBytes* records = records_of(asked, topic.name, p.index);
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
  bool in_contact(MachineId node) {
    const Contact& c = contact[node];
    return world.now() >= c.since + kSettled && world.now() <= c.last + kContactGap;
  }
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
  void on_fetched(MachineId from, Time asked, const kafka::FetchResponse& answer) override {
    if (raft.is_elsewhere(from)) return;
    for (const auto& topic : answer.responses) {
      for (const auto& p : topic.partitions) {
        auto stream = stream_of(topic.topic, p.partition_index);
        if (p.error_code != kafka::ErrorCode::none || !stream) continue;
        partitions.on_watermark_given(now, asked, from, *stream, p.high_watermark.v);
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
  void on_offsets(MachineId from, Time asked_at, const kafka::ListOffsetsRequest& asked,
                  const kafka::ListOffsetsResponse& answer) override {
    for (const auto& topic : asked.topics) {
      for (const auto& p : topic.partitions) {
        if (p.timestamp != kafka::ListOffsetsRequest::kLatest) continue;
        for (const auto& t : answer.topics)
          for (const auto& a : t.partitions)
            if (auto stream = stream_of(t.name, a.partition_index);
                t.name == topic.name && a.partition_index == p.partition_index && a.error_code == kafka::ErrorCode::none && stream)
              partitions.on_latest_given(now, asked_at, from, *stream, a.leader_epoch, a.offset.v);
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
    void on_end(const sim::ConnectionInfo& info, bool from_dialer, bool reset) override { state.taps.on_end(info, from_dialer, reset); }
    State& state;
  };

  sim::World& world;
  const Cluster& cluster;
  struct Contact {
    Time since;
    Time last;
  };
  std::map<MachineId, Contact> contact;                  // of followers with Raft's leader, and of a leader with one of them
  std::map<std::pair<MachineId, StreamId>, Time> grown;  // when more of a stream became durable last
  std::string journal;
  Time now;
  Judge judge;
  Ledgers ledgers;
  Ghost ghost;
  RaftChecks raft;
  CatalogueChecks catalogue;
  PartitionChecks partitions;
  Copies copies;
  std::map<uint64_t, Ledger> images;  // as the ledger was when the disk was copied, by image
  std::map<MachineId, Ledger> away;   // of unmounted disks
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

std::string Observers::idle_check() const { return scenario::idle_check(state_->judge); }

}  // namespace sg::scenario
