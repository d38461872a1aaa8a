#include "scenarios/checks/partition_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/kafka/record_batch.h"
#include "scenarios/observe/by_partition.h"

namespace sg::scenario {

void PartitionWatch::on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t old_end, const wal::HardState&) {
  if (!wal::is_metadata(stream) && !seen_.is_elsewhere(node)) checks_.on_truncate(node, stream, new_end, old_end);
}

// --- Registrations, and second processes ---------------------------------------------------------------------------------------------

void PartitionWatch::on_catalogue_changed(LogIndex index, const metadata::Record& record) {
  if (const auto* r = std::get_if<metadata::RegisterBroker>(&record)) on_registered(*r);
  checks_.on_catalogue_changed(index, record);
}

void PartitionWatch::on_registered(const metadata::RegisterBroker& r) {
  const MachineId before = seen_.ledgers.machine_of(r.node);
  const MachineId newcomer = seen_.ledgers.holder_of(r.node, r.run.directory);
  if (newcomer == before || !is_spare(newcomer)) return;
  const bool runs =
      seen_.cluster.running(before) && !seen_.cluster.machine(before).stalled() && !seen_.cluster.is_named_after(newcomer, before);
  checks_.on_newcomer(r.node, before, newcomer, "registered as", runs && seen_.in_contact(before));
}

// A second process, on a machine of its own, may be taken for a node only by who has heard nothing of the first for a while, unless that
// one holds nothing that counts, or has lent it its name.
void PartitionWatch::on_accepted(MachineId from, MachineId to, const broker::peer::Hello& hello) {
  const metadata::Catalogue* catalogue = seen_.catalogue_of(from);
  const metadata::Broker* known = catalogue ? catalogue->broker(hello.from) : nullptr;
  judge_.check(Check::twin, !known || !known->run.newer_than(hello.run), [&] {
    return fmt::format(
        "machine {} takes run {} for node {}, of whose directory run {} is registered; expected: a run ends all earlier ones", from,
        hello.run, hello.from, known->run);
  });
  const MachineId first = seen_.ledgers.machine_of(hello.from);
  if (!is_spare(to) || to == first) return;
  const CatalogueFacts::Disk disk{hello.from, seen_.ledgers.find(first)->directory()};
  const bool has_place = std::ranges::any_of(seen_.ghost.fold.facts().partitions,
                                             [&](const auto& p) { return std::ranges::find(p.second.isr, disk) != p.second.isr.end(); });
  const Cluster& cluster = seen_.cluster;
  const bool ran = cluster.running_for(first) >= kSettled && cluster.running_for(from) >= kSettled;
  checks_.on_newcomer(hello.from, first, to, fmt::format("taken by machine {} for", from),
                      has_place && ran && !cluster.machine(first).stalled() && !cluster.is_named_after(to, first) &&
                          seen_.contacts.heard(first, from, seen_.now));
}

// --- Replication ---------------------------------------------------------------------------------------------------------------------

void PartitionWatch::on_replica(MachineId from, const replica::Message& m) {
  if (const auto* ack = std::get_if<replica::Ack>(&m)) checks_.on_ack(from, *ack);
}

void PartitionWatch::on_data(MachineId from, const replica::Data& data, const SharedBytes& payload) {
  checks_.on_data(from, data);
  size_t at = 0;
  for (uint32_t bytes : data.batch_bytes) {
    if (bytes < kafka::kBatchHeaderBytes || bytes > payload.size() - at) return;  // the follower will refuse it
    kafka::BatchView batch(payload.slice(at, bytes));
    judge_.check(Check::e12, batch.crc_holds(), [&] {
      return fmt::format("{}: node {} gives a follower the batch at {} with bytes that its checksum {:08x} does not fit",
                         seen_.ghost.name(data.stream), from, batch.base_offset(), batch.crc());
    });
    at += bytes;
  }
}

// --- Answers to clients --------------------------------------------------------------------------------------------------------------

// Asks the broker itself: what it has not heard yet it cannot act upon.
bool PartitionWatch::knows_newest_state(MachineId node, StreamId stream) const {
  auto partition = seen_.ghost.partitions.find(stream);
  const PartitionState* newest = partition == seen_.ghost.partitions.end() ? nullptr : partition->second.newest();
  const metadata::Catalogue* heard = seen_.catalogue_of(node);
  return newest && heard && heard->applied() >= newest->since;
}

void PartitionWatch::on_produced(MachineId from, const Asked&, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) {
  for_each_answer(asked, answer, [&](std::string_view topic, const auto& question, const auto& p) {
    auto stream = seen_.stream_of(from, topic, p.index);
    const SharedBytes* records = batch_of(question);
    if (!stream || !records) return;
    kafka::BatchView batch(*records);
    if (p.error_code == kafka::ErrorCode::request_timed_out && asked.acks == -1 && knows_newest_state(from, *stream) &&
        seen_.now >= grown_[{from, *stream}] + kSettled && seen_.in_contact(from))
      checks_.on_timed_out(from, *stream, batch.crc());
    if (p.error_code != kafka::ErrorCode::none) return;
    const int64_t end = p.base_offset.v + batch.last_offset_delta() + 1;
    checks_.on_produced(from, {*stream, asked.acks, p.base_offset.v, end, batch.crc()});
    if (!seen_.ghost.catalogue.partition(*stream))
      late_acks_.push_back({{std::string(topic), p.index}, p.base_offset, Offset(end), seen_.now});
  });
}

void PartitionWatch::on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest&, const kafka::FetchResponse& answer) {
  for_each_partition(answer, [&](std::string_view topic, const kafka::FetchResponse::Partition& p) {
    auto stream = seen_.stream_of(from, topic, p.partition_index);
    if (p.error_code != kafka::ErrorCode::none || !stream) return;
    if (p.diverging_epoch.end_offset.v >= 0) return;  // it tells of no watermark
    checks_.on_watermark_given(seen_.now, when.left, from, *stream, p.high_watermark.v);
    if (p.records) give_batches(from, *stream, *p.records);
  });
}

void PartitionWatch::give_batches(MachineId from, StreamId stream, const kafka::Records& records) {
  for (const SharedBytes& piece : records.pieces) {
    auto split = kafka::split_batches(piece);
    judge_.check(Check::format, split.has_value(),
                 [&] { return fmt::format("node {}, stream {}: a fetch returns no batches: {}", from, stream, split.error().what); });
    if (!split) return;
    for (const SharedBytes& bytes : split->batches) {
      kafka::BatchView batch(bytes);
      judge_.check(Check::e17, batch.crc_holds(), [&] {
        return fmt::format("{}: node {} gives a consumer the batch at {} with bytes that its checksum {:08x} does not fit",
                           seen_.ghost.name(stream), from, batch.base_offset(), batch.crc());
      });
      checks_.on_batch_given(from, stream, batch.base_offset().v, batch.last_offset().v + 1, batch.crc());
    }
  }
}

void PartitionWatch::on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                                const kafka::ListOffsetsResponse& answer) {
  for_each_answer(asked, answer, [&](std::string_view topic, const auto& question, const auto& p) {
    auto stream = seen_.stream_of(from, topic, p.partition_index);
    if (!stream || p.error_code != kafka::ErrorCode::none || question.timestamp != kafka::ListOffsetsRequest::kLatest) return;
    LeaderEpoch epoch = p.leader_epoch;
    // Below version 4 it does not say in which epoch it speaks: in the newest, if it has heard of that.
    if (epoch == kNoLeaderEpoch && knows_newest_state(from, *stream)) epoch = seen_.ghost.partitions.at(*stream).newest()->leader_epoch;
    checks_.on_latest_given(seen_.now, when.left, from, *stream, epoch, p.offset.v);
  });
}

}  // namespace sg::scenario
