#include "scenarios/checks/speech_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "scenarios/observe/by_partition.h"

namespace sg::scenario {
namespace {

// For so long a node that has just started does not answer Metadata before it is a member: 2 s by its own clock (handlers.h, kPatience).
constexpr Duration kRegistrationWait = 1600ms;

}  // namespace

void SpeechWatch::on_catalogue_changed(LogIndex index, const metadata::Record& record) {
  // Whoever is alone says to nobody who it is.
  if (const auto* r = std::get_if<metadata::RegisterBroker>(&record); r && seen_.cluster.nodes().size() == 1)
    checks_.on_run(seen_.now, seen_.ledgers.machine_of(r->node), r->node, r->run);
  checks_.on_catalogue_changed(index, record);
}

// At what the node itself has applied, and whether it is the controller.
void SpeechWatch::look(MachineId machine) {
  if (const metadata::Catalogue* catalogue = seen_.catalogue_of(machine))
    checks_.on_seen(seen_.now, machine, catalogue->applied(), seen_.cluster.running(machine)->is_controller());
}

void SpeechWatch::on_raft(MachineId from, MachineId, const raft::Message& m) {
  checks_.on_run(seen_.now, from, m.from, m.from_run);
  look(from);
}

void SpeechWatch::on_replica(MachineId from, const replica::Message& m) {
  if (const auto* ack = std::get_if<replica::Ack>(&m)) checks_.on_promise(from, "an acknowledgement to a leader", ack->stream);
}

void SpeechWatch::on_data(MachineId from, const replica::Data& data, const SharedBytes&) {
  checks_.on_promise(from, "a high watermark to a follower", data.stream);
}

// --- Answers to clients --------------------------------------------------------------------------------------------------------------

// `promise`: what it promises, if it does.
void SpeechWatch::judge(MachineId from, const Answer& answer, std::string_view promise) {
  look(from);
  const sim::Node& node = seen_.cluster.machine(from);
  checks_.on_answer(seen_.now, from, answer, std::max(node.last_stall_end(), node.disk().hindered_until()),
                    seen_.ghost.name(answer.stream));
  if (!promise.empty()) checks_.on_promise(from, promise, answer.stream);
}

// Where it sends the client instead (KIP-951): never to itself, who does not lead or may not say so, and to nobody who was never elected.
void SpeechWatch::judge_hint(MachineId from, std::string_view topic, int32_t index, kafka::ErrorCode error,
                             const kafka::LeaderIdAndEpoch& hint) {
  if (hint.leader_id == kNoNode) return;
  auto stream = seen_.stream_of(from, topic, index);
  auto partition = stream ? seen_.ghost.partitions.find(*stream) : seen_.ghost.partitions.end();
  const bool to_itself = error == kafka::ErrorCode::not_leader_or_follower && hint.leader_id == checks_.claimed_id(from);
  bool elected = true;
  if (partition != seen_.ghost.partitions.end()) {
    auto leader = partition->second.leaders.find(hint.leader_epoch);
    elected = leader != partition->second.leaders.end() && (is_spare(leader->second) || leader->second == hint.leader_id);
  }
  judge_.check(Check::e25, !to_itself && elected, [&] {
    return fmt::format(
        "{}-{}: machine {} answers {} and sends the client to node {}, the leader of epoch {}; expected: another node, elected in it",
        topic, index, from, kafka::to_string(error), hint.leader_id, hint.leader_epoch);
  });
}

// Of a partition whose name the ghost knows; false if there is something else to judge.
bool SpeechWatch::denies(MachineId from, const Asked& when, std::string_view topic, int32_t index, kafka::ErrorCode error) {
  if (error != kafka::ErrorCode::unknown_topic_or_partition) return false;
  look(from);
  if (seen_.ghost.catalogue.topic(topic))
    checks_.on_denied(from, when.arrived, fmt::format("{}-{}", topic, index), seen_.stream_of(from, topic, index));
  return true;
}

void SpeechWatch::on_produced(MachineId from, const Asked& when, const kafka::ProduceRequest& asked, const kafka::ProduceResponse& answer) {
  for_each_partition(answer, [&](std::string_view topic, const kafka::ProduceResponse::Partition& p) {
    if (denies(from, when, topic, p.index, p.error_code)) return;
    judge_hint(from, topic, p.index, p.error_code, p.current_leader);
    if (auto stream = seen_.stream_of(from, topic, p.index))
      judge(from,
            {.kind = Answer::Kind::produced,
             .stream = *stream,
             .error = p.error_code,
             .asked = when.arrived,
             .first = when.first,
             .acks = asked.acks},
            p.error_code == kafka::ErrorCode::none ? "an acknowledgement to a producer" : "");
  });
}

void SpeechWatch::on_fetched(MachineId from, const Asked& when, const kafka::FetchRequest& asked, const kafka::FetchResponse& answer) {
  for_each_answer(asked, answer, [&](std::string_view topic, const auto& question, const auto& p) {
    if (denies(from, when, topic, p.partition_index, p.error_code)) return;
    judge_hint(from, topic, p.partition_index, p.error_code, p.current_leader);
    auto stream = seen_.stream_of(from, topic, p.partition_index);
    if (!stream) return;
    const bool has_records = p.records && std::ranges::any_of(p.records->pieces, [](const SharedBytes& b) { return b.size() > 0; });
    judge(from,
          {.kind = Answer::Kind::fetched,
           .stream = *stream,
           .error = p.error_code,
           .asked = when.arrived,
           .first = when.first,
           .named_epoch = question.current_leader_epoch,
           .has_records = has_records,
           .diverging = p.diverging_epoch.end_offset.v >= 0},
          p.error_code == kafka::ErrorCode::none ? "a high watermark to a consumer" : "");
  });
}

// It names itself as leader, or nobody in an epoch that it leads.
bool SpeechWatch::is_of_its_own(MachineId machine, StreamId stream, const kafka::MetadataResponse::Partition& p) const {
  if (p.leader_id != kNoNode) return p.leader_id == checks_.claimed_id(machine);
  auto partition = seen_.ghost.partitions.find(stream);
  if (partition == seen_.ghost.partitions.end()) return false;
  auto leader = partition->second.leaders.find(p.leader_epoch);
  return leader != partition->second.leaders.end() && leader->second == machine;
}

void SpeechWatch::on_metadata(MachineId from, const Asked& when, const kafka::MetadataRequest&, const kafka::MetadataResponse& answer) {
  if (seen_.now < when.arrived + kRegistrationWait) checks_.on_told(from);
  for_each_partition(answer, [&](std::string_view topic, const kafka::MetadataResponse::Partition& p) {
    if (auto stream = seen_.stream_of(from, topic, p.partition_index); stream && is_of_its_own(from, *stream, p))
      judge(from, {.kind = Answer::Kind::claimed, .stream = *stream, .error = p.error_code, .asked = when.arrived, .first = when.first},
            "");
  });
}

void SpeechWatch::on_offsets(MachineId from, const Asked& when, const kafka::ListOffsetsRequest& asked,
                             const kafka::ListOffsetsResponse& answer) {
  for_each_answer(asked, answer, [&](std::string_view topic, const auto& question, const auto& p) {
    if (denies(from, when, topic, p.partition_index, p.error_code)) return;
    if (auto stream = seen_.stream_of(from, topic, p.partition_index))
      judge(from,
            {.kind = Answer::Kind::offsets,
             .stream = *stream,
             .error = p.error_code,
             .asked = when.arrived,
             .first = when.first,
             .named_epoch = question.current_leader_epoch},
            p.error_code == kafka::ErrorCode::none ? "an offset to a client" : "");
  });
}

}  // namespace sg::scenario
