// Hand-made histories for the checks: nodes whose journals are written commit by commit, with the journal's real format, onto a disk of
// which the test says what would survive; and what the checks reported.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "scenarios/checks/catalogue_checks.h"
#include "scenarios/checks/partition_checks.h"
#include "scenarios/checks/raft_checks.h"
#include "tests/base/nth_run.h"
#include "tests/scenarios/pairs.h"

namespace sg::scenario::testing {

inline constexpr StreamId kOrders{16};

class FakeDisk final : public DiskView {
 public:
  bool survives(std::string_view, uint64_t, uint64_t) const override { return syncs; }
  ByteVec contents(std::string_view path, uint64_t offset, uint64_t length) const override {
    auto it = files.find(std::string(path));
    if (it == files.end() || offset >= it->second.size()) return {};
    auto from = it->second.begin() + static_cast<std::ptrdiff_t>(offset);
    return ByteVec(from, from + static_cast<std::ptrdiff_t>(std::min<uint64_t>(length, it->second.size() - offset)));
  }
  void put(const std::string& path, uint64_t offset, ByteSpan bytes) {
    ByteVec& file = files[path];
    if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
    std::ranges::copy(bytes, file.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  bool syncs = true;  // false: nothing of what is written would survive
  std::map<std::string, ByteVec> files;
};

// One record of a commit to be.
struct Item {
  wal::Record record;
  ByteVec payload;
};
inline Item entry(StreamId stream, int64_t first, int64_t next, int64_t epoch, ByteVec payload = {1, 2, 3}) {
  wal::Record r{.kind = wal::RecordKind::append, .stream = stream, .first = first, .next = next, .epoch = epoch};
  r.payload_bytes = static_cast<uint32_t>(payload.size());
  r.body_crc = crc32c(payload);
  if (stream == wal::kRaftLog) r.aux = wal::Aux(ByteVec{static_cast<uint8_t>(raft::EntryKind::noop)});
  return {r, std::move(payload)};
}
inline Item fact(wal::RecordKind kind, StreamId stream, int64_t first) { return {{.kind = kind, .stream = stream, .first = first}, {}}; }
inline Item truncation(StreamId stream, int64_t end) { return fact(wal::RecordKind::truncate, stream, end); }
// The first Raft index is 1.
inline Item raft_entry(int64_t index, int64_t term, ByteVec payload = {9}) {
  return entry(wal::kRaftLog, index, index + 1, term, std::move(payload));
}

// A node's journal, as a correct one would write it unless the test bends it.
class FakeJournal {
 public:
  FakeJournal(NodeId node, Judge& judge, LedgerEvents& events)
      : ledger(std::make_unique<Ledger>(node, disk, judge, events)), mine_(ledger.get()) {
    directory = Uuid{0, static_cast<uint64_t>(node.v)};
  }

  // Begins a segment behind the last commit, or behind another one.
  void open() { open(end); }
  void open(const wal::ChainEnd& previous) { open_in("journal/" + std::to_string(generation + 1) + ".seg", previous); }
  // In a file that may have held another segment before.
  void open_in(const std::string& file, const wal::ChainEnd& previous) {
    path_ = file;
    wal::SegmentHeader header;
    header.directory_id = directory;
    header.generation = ++generation;
    header.floor = floor;
    header.previous = previous;
    header.hard_state = hard;
    position = wal::kBlockBytes;
    end = previous;
    write(path(), 0, wal::encode_segment_block(header));
  }
  void commit(const std::vector<Item>& items) {
    const uint64_t at = position;
    write(path(), at, encode(items));
  }
  void write(const std::string& where, uint64_t offset, ByteSpan bytes) {
    mine_->write(++op_, where, offset, bytes);
    disk.put(where, offset, bytes);
    mine_->written(op_, true);
  }
  // Advances the chain; the caller writes the bytes.
  ByteVec encode(const std::vector<Item>& items) {
    wal::CommitHeader h;
    h.directory_id = directory;
    h.sequence = end.sequence + 1;
    h.generation = generation;
    h.position = position;
    h.previous_crc = end.crc;
    h.floor = floor;
    h.hard_state = hard;
    ByteVec header;
    wal::begin_header(header);
    for (const Item& item : items) {
      wal::append_record(header, item.record);
      h.payload_bytes += static_cast<uint32_t>(item.payload.size());
    }
    h.commit_bytes = static_cast<uint32_t>(wal::commit_bytes_for(wal::finished_bytes(header), h.payload_bytes, wal::kBlockBytes));
    h.header_bytes = static_cast<uint32_t>(wal::finished_bytes(header));
    h.crc = wal::finish_header(header, h, static_cast<uint32_t>(items.size()));
    ByteVec bytes = header;
    for (const Item& item : items) bytes.insert(bytes.end(), item.payload.begin(), item.payload.end());
    bytes.resize(h.commit_bytes);
    wal::write_trailer(bytes, header);
    position += h.commit_bytes;
    end = h.end();
    return bytes;
  }
  const std::string& path() const { return path_; }

  FakeDisk disk;
  std::unique_ptr<Ledger> ledger;  // until somebody takes it
  Uuid directory;                  // the node's number, unless a test says otherwise
  wal::HardState hard;
  wal::ChainEnd end;
  uint64_t generation = 0;
  uint64_t floor = 1;
  uint64_t position = 0;

 private:
  Ledger* mine_;
  uint64_t op_ = 0;
  std::string path_;
};

// Three nodes with all checks.
class Bench : public LedgerEvents {
 public:
  Bench() {
    for (int32_t i = 1; i <= 3; ++i) {
      nodes.push_back(std::make_unique<FakeJournal>(NodeId(i), judge, *this));
      ledgers.add(std::move(nodes.back()->ledger));
      nodes.back()->open();
    }
  }
  FakeJournal& node(int i) { return *nodes[static_cast<size_t>(i - 1)]; }
  Ledger& ledger(int i) { return *ledgers.find(NodeId(i)); }
  void everywhere(const std::vector<Item>& items) {
    for (auto& n : nodes) n->commit(items);
  }
  void set_term(int i, int64_t term, int32_t vote) {
    node(i).hard = {Term(term), NodeId(vote), VoterId(static_cast<uint64_t>(vote))};
    node(i).commit({});
  }
  raft::Message message(int from, int to, int64_t term, raft::MessageBody body) const {
    const VoterId voter(static_cast<uint64_t>(from));
    return {NodeId(from), NodeId(to), voter, sg::test::nth_run(1), sg::test::nth_run(1), Term(term), std::move(body)};
  }
  void say(int from, int to, int64_t term, raft::MessageBody body) {
    raft.on_message(NodeId(from), NodeId(to), message(from, to, term, std::move(body)));
  }

  // Three brokers and the topic "orders" of one partition with three replicas; node 1 leads it.
  void make_topic(int32_t min_insync) {
    for (int32_t i = 1; i <= 3; ++i) {
      metadata::RegisterBroker r;
      r.node = NodeId(i);
      r.run = sg::test::nth_run(1, static_cast<uint64_t>(i));
      record(r);
      record(metadata::UnfenceBroker{NodeId(i), ghost.catalogue.broker(NodeId(i))->epoch});
    }
    record(metadata::CreateTopic{"orders", Uuid{5, 5}, {{NodeId(1), NodeId(2), NodeId(3)}}, min_insync, {}});
  }
  // A broker that is taken for live has told what it knows, unless the story says otherwise.
  void record(const metadata::Record& r, bool told = true) {
    const auto* live = std::get_if<metadata::UnfenceBroker>(&r);
    if (const metadata::Broker* b = live && told ? ghost.catalogue.broker(live->node) : nullptr)
      catalogue.on_heartbeat({.node = b->node, .run = b->run, .applied = b->since});
    const LogIndex index(++catalogue_index);
    if (catalogue.on_committed(index, r)) partitions.on_catalogue_changed(index, r);
  }
  void fence(int i) { record(metadata::FenceBroker{NodeId(i), ghost.catalogue.broker(NodeId(i))->epoch}); }
  LeaderEpoch leader_epoch() const { return ghost.catalogue.partition(kOrders)->leader_epoch; }
  replica::Data data(int64_t high_watermark) const { return {kOrders, leader_epoch(), 1, Offset(high_watermark), Offset(0), {}}; }
  PartitionChecks::Produced produced(int64_t base, int64_t end, int16_t acks = -1, ByteVec payload = {1, 2, 3}) const {
    return {kOrders, acks, base, end, crc32c(payload)};
  }

  // "E14" of the first report; empty if there was none.
  std::string found() const { return reports.empty() ? "" : reports.front().first; }
  // All of them: "E10 E14".
  std::string all_found() const {
    std::string names;
    for (const auto& [check, text] : reports) add_name(names, check);
    return names;
  }

  void on_append(NodeId n, StreamId stream, const LogEntry& e, ByteSpan aux, ByteSpan payload, const wal::HardState&) override {
    if (stream == wal::kRaftLog) raft.on_append(n, e, static_cast<raft::EntryKind>(aux[0]), payload);
    if (stream == wal::kRaftSnapshots) catalogue.on_snapshot(n, LogIndex(e.first), payload);
  }
  void on_truncate(NodeId n, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState& hard) override {
    if (stream == wal::kRaftLog) raft.on_truncate(n, new_end, hard);
    if (!wal::is_metadata(stream)) partitions.on_truncate(n, stream, new_end, old_end);
  }
  void on_durable(NodeId, StreamId stream) override {
    if (stream == wal::kRaftLog) raft.on_durable();
  }

  bool installed(NodeId n, int64_t position) override { return raft.was_sent_snapshot(n, LogIndex(position - 1)); }
  uint64_t committed_chain(StreamId stream, int64_t position) override {
    return stream == wal::kRaftLog ? ghost.raft.chain(LogIndex(position - 1)).value_or(kEmptyChain) : kEmptyChain;
  }

  std::vector<std::pair<std::string, std::string>> reports;
  Judge judge{[this](Check check, const std::string& text) { reports.emplace_back(to_string(check), text); }};
  Ledgers ledgers;
  Ghost ghost;
  // Nodes 1, 2 and 3 vote, each under its number.
  static RaftChecks::Voters three_voters() {
    raft::Configuration c;
    for (int32_t i = 1; i <= 3; ++i) c.voters.push_back({NodeId(i), VoterId(static_cast<uint64_t>(i))});
    return std::make_shared<const raft::Configuration>(std::move(c));
  }
  RaftChecks raft{ledgers, ghost.raft, judge, [](LogIndex, raft::EntryKind, ByteSpan) {}, three_voters()};
  CatalogueChecks catalogue{ghost, judge};
  PartitionChecks partitions{ledgers, ghost, judge};
  std::vector<std::unique_ptr<FakeJournal>> nodes;
  int64_t catalogue_index = 0;
};

// Raft alone: term 1 with entries 1 and 2 on the nodes 1 and 2; node 1 leads.
struct RaftBench : Bench {
  RaftBench() {
    for (int i = 1; i <= 3; ++i) node(i).commit({fact(wal::RecordKind::advance_start, wal::kRaftLog, 1)});
    for (int i = 1; i <= 3; ++i) say(i, i % 3 + 1, 0, raft::RequestVoteReply{true, false});  // under which id each promises
    for (int i = 1; i <= 3; ++i) set_term(i, 1, 1);
    say(1, 2, 1, raft::AppendEntries{});
    node(1).commit({raft_entry(1, 1), raft_entry(2, 1)});
    node(2).commit({raft_entry(1, 1), raft_entry(2, 1)});
  }
  static raft::AppendEntries commit(int64_t index) { return {LogIndex(index), Term(1), LogIndex(index), {}}; }
  static raft::AppendEntriesReply matched(int64_t index) {
    raft::AppendEntriesReply r;
    r.success = true;
    r.match = LogIndex(index);
    return r;
  }
};

// One partition that node 1 leads.
struct PartitionBench : Bench {
  explicit PartitionBench(int32_t min_insync = 2) { make_topic(min_insync); }
  // Nodes 1 … n hold [0, 2), synced.
  void replicate_to(int n) {
    for (int i = 1; i <= n; ++i) node(i).commit({entry(kOrders, 0, 2, 0)});
  }
  int64_t high_watermark() { return ghost.partitions[kOrders].high_watermark(); }
};

}  // namespace sg::scenario::testing
