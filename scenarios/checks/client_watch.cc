#include "scenarios/checks/client_watch.h"

#include <fmt/format.h>

#include "broker/kafka/codec.h"
#include "broker/kafka/create_topics.h"
#include "broker/kafka/delete_topics.h"
#include "broker/kafka/record_batch.h"
#include "scenarios/observe/by_partition.h"

namespace sg::scenario {
namespace {

template <class Request>
Request decoded(const kafka::RequestHeader& header, const SharedBytes& body) {
  auto request = kafka::decode<Request>(header.api_version, body);
  return request ? std::move(*request) : Request{};
}

}  // namespace

// --- Journals ------------------------------------------------------------------------------------------------------------------------

void ClientWatch::on_append(MachineId node, StreamId stream, const LogEntry& entry, ByteSpan, ByteSpan payload) {
  if (wal::is_metadata(stream) || seen_.is_elsewhere(node) || payload.size() < kafka::kBatchHeaderBytes) return;
  const kafka::BatchView batch(payload);
  producers_.on_batch(node, stream, entry.first, batch);
  owed_.on_appended(node, batch.crc());
  auto partition = seen_.ghost.partitions.find(stream);
  const PartitionState* newest = partition == seen_.ghost.partitions.end() ? nullptr : partition->second.newest();
  // What it led before, it may be given back by who leads now.
  if (newest && newest->leader == node && newest->leader_epoch.v == entry.epoch) truth_.on_appended(seen_.now, node, stream, batch.crc());
}

void ClientWatch::on_truncate(MachineId node, StreamId stream, int64_t new_end, int64_t, const wal::HardState&) {
  if (!wal::is_metadata(stream)) producers_.on_truncate(node, stream, new_end);
}

void ClientWatch::on_disk_leaves(MachineId machine, bool) {
  producers_.forget(machine);
  metadata_.forget(machine);
}

void ClientWatch::on_died(MachineId machine) {
  runs_.erase(machine);
  truth_.on_died(machine);
  owed_.on_died(machine);
}

void ClientWatch::on_any_event() {
  owed_.look(seen_.now, [this](MachineId machine) {
    const sim::Node& node = seen_.cluster.machine(machine);
    return node.stalled() ? seen_.now : std::max(node.last_stall_end(), seen_.disks[machine].stood_until(seen_.now));
  });
}

// --- Requests and answers ------------------------------------------------------------------------------------------------------------

void ClientWatch::on_request(MachineId to, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header,
                             const SharedBytes& body) {
  int32_t own_ms = 0;  // the time that it names itself
  switch (header.api_key) {
    case kafka::ApiKey::produce: {
      const auto request = decoded<kafka::ProduceRequest>(header, body);
      own_ms = request.timeout_ms;
      on_produce_request(to, connection, asked, request);
      break;
    }
    case kafka::ApiKey::fetch: own_ms = decoded<kafka::FetchRequest>(header, body).max_wait_ms; break;
    case kafka::ApiKey::create_topics: own_ms = decoded<kafka::CreateTopicsRequest>(header, body).timeout_ms; break;
    case kafka::ApiKey::delete_topics: own_ms = decoded<kafka::DeleteTopicsRequest>(header, body).timeout_ms; break;
    default: break;
  }
  if (!asked.answered) return;
  owed_.on_request(to, connection,
                   {.number = asked.number, .header = header, .own = std::chrono::milliseconds(std::max(0, own_ms)), .asked = asked.left});
}

void ClientWatch::on_produce_request(MachineId to, uint64_t connection, const Asked& asked, const kafka::ProduceRequest& request) {
  std::vector<uint32_t> batches;
  for_each_partition(request, [&](std::string_view, const kafka::ProduceRequest::Partition& p) {
    if (const SharedBytes* batch = batch_of(p)) batches.push_back(kafka::BatchView(*batch).crc());
  });
  for (uint32_t crc : batches) truth_.on_carried(to, asked.number, crc);
  if (asked.answered) {
    produces_[connection].insert(asked.number);
  } else {
    truth_.on_unanswerable(to, asked.number);
    owed_.on_unanswerable(to, connection, asked.number, std::move(batches));
  }
}

void ClientWatch::on_answer(MachineId, uint64_t connection, const Asked& asked, const kafka::RequestHeader& header) {
  owed_.on_answer(connection, asked.number, seen_.now);
  if (header.api_key == kafka::ApiKey::produce) produces_[connection].erase(asked.number);
}

void ClientWatch::on_connection_over(MachineId machine, uint64_t connection) {
  owed_.on_connection_over(connection);
  auto open = produces_.find(connection);
  if (open == produces_.end()) return;
  for (uint64_t number : open->second) truth_.on_unanswerable(machine, number);
  produces_.erase(open);
}

void ClientWatch::on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) {
  asked_.on_produced(from, asked, answer);
  for_each_answer(asked, answer, [&](std::string_view, const auto& question, const auto& p) {
    if (const SharedBytes* batch = batch_of(question))
      truth_.on_answered(seen_.now, from, when.number, when.arrived, kafka::BatchView(*batch).crc(), p.error_code);
  });
}

void ClientWatch::on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) {
  asked_.on_fetched(from, seen_.now - when.arrived, asked, answer);
}

bool ClientWatch::is_registered(MachineId machine) const {
  if (seen_.cluster.nodes().size() == 1) return true;  // whoever is alone says to nobody who it is
  auto run = runs_.find(machine);
  const metadata::Broker* broker = run == runs_.end() ? nullptr : seen_.ghost.catalogue.broker(run->second.first);
  return broker && broker->run == run->second.second;
}

// One that is not registered tells of the others what it remembers, as a client's way out (identity: Who may still speak).
void ClientWatch::on_metadata(MachineId from, const Asked& when, const kafka::MetadataRequest& asked,
                              const kafka::MetadataResponse& answer) {
  asked_.on_metadata(from, asked, answer);
  const metadata::Catalogue* catalogue = seen_.catalogue_of(from);
  if (!catalogue || !is_registered(from)) return;
  const auto run = runs_.find(from);
  const NodeId self = run == runs_.end() ? from : run->second.first;
  metadata_.on_answer(seen_.now, from, when, {self, catalogue->applied()}, asked, answer);
}

void ClientWatch::on_producer_id(MachineId from, const kafka::InitProducerIdResponse& answer) {
  if (answer.error_code == kafka::ErrorCode::none) producers_.on_issued(from, answer.producer_id, answer.producer_epoch);
}

}  // namespace sg::scenario
