#include "broker/metadata/records.h"

#include <fmt/ranges.h>

#include "base/archive.h"

namespace sg::metadata {

ByteVec encode(const Record& record) {
  ByteVec out{kRecordVersion};
  pack(out, record);
  return out;
}

namespace {

// Version 1 of the only kind that has changed since. Its incarnations grew within a directory, as counters do.
struct RegisterBroker1 {
  NodeId node{-1};
  Incarnation incarnation;
  Uuid directory_id;
  Endpoint kafka;
  Endpoint peer;
  std::string rack;
  bool clean = true;
  std::vector<StreamId> damaged;
  template <class A>
  void serialize(A& a) {
    a(node, incarnation, directory_id, kafka, peer, rack, clean, damaged);
  }
};

constexpr uint8_t kRegisterKind = 1;
constexpr uint8_t kKinds1 = 10;  // of version 1

Result<Record> decode_version_1(ByteSpan bytes) {
  if (bytes[1] != kRegisterKind) return unpack<Record>(bytes.subspan(1));
  TRY(RegisterBroker1 r, unpack<RegisterBroker1>(bytes.subspan(2)));
  return RegisterBroker{r.node,
                        Run{r.directory_id, r.incarnation, 0},
                        VoterId(0),
                        std::move(r.kafka),
                        std::move(r.peer),
                        std::move(r.rack),
                        r.clean,
                        std::move(r.damaged)};
}

}  // namespace

Result<Record> decode_record(ByteSpan bytes) {
  static_assert(std::is_same_v<std::variant_alternative_t<kRegisterKind, Record>, RegisterBroker>);
  if (bytes.size() < 2) return fail(Errc::corrupt, fmt::format("a catalogue record has at least 2 bytes, found {}", bytes.size()));
  if (bytes[0] == 1 && bytes[1] < kKinds1) return decode_version_1(bytes);
  if (bytes[0] != kRecordVersion || bytes[1] >= std::variant_size_v<Record>) {
    return fail(Errc::unsupported,
                fmt::format("catalogue record of version {}, kind {}: this release knows versions up to {}, kinds below {}", bytes[0],
                            bytes[1], kRecordVersion, std::variant_size_v<Record>));
  }
  return unpack<Record>(bytes.subspan(1));
}

namespace {

std::string values(const std::vector<StreamId>& ids) { return fmt::format("{}", fmt::join(ids, ",")); }

struct Describe {
  std::string operator()(const SetCluster& r) const { return fmt::format("set_cluster id={}", r.cluster_id); }
  std::string operator()(const RegisterBroker& r) const {
    return fmt::format("register_broker node={} run={} directory={} voter={} kafka={}:{} peer={}:{} rack={} clean={} damaged=[{}]", r.node,
                       r.run, r.run.directory, r.voter, r.kafka.host, r.kafka.port, r.peer.host, r.peer.port, r.rack, r.clean,
                       values(r.damaged));
  }
  std::string operator()(const FenceBroker& r) const { return fmt::format("fence_broker node={} epoch={}", r.node, r.broker_epoch); }
  std::string operator()(const UnfenceBroker& r) const { return fmt::format("unfence_broker node={} epoch={}", r.node, r.broker_epoch); }
  std::string operator()(const DrainBroker& r) const { return fmt::format("drain_broker node={} epoch={}", r.node, r.broker_epoch); }
  std::string operator()(const ReportDamage& r) const {
    return fmt::format("report_damage node={} epoch={} damaged=[{}]", r.node, r.broker_epoch, values(r.damaged));
  }
  std::string operator()(const CreateTopic& r) const {
    return fmt::format("create_topic name={} id={} partitions={} replication_factor={} min_insync_replicas={}", r.name, r.topic_id,
                       r.partitions.size(), r.partitions.empty() ? 0 : r.partitions[0].size(), r.min_insync_replicas);
  }
  std::string operator()(const DeleteTopic& r) const { return fmt::format("delete_topic id={}", r.topic_id); }
  std::string operator()(const ChangeIsr& r) const {
    std::vector<NodeId> nodes;
    for (const IsrMember& m : r.isr) nodes.push_back(m.node);
    return fmt::format("change_isr stream={} leader={} leader_epoch={} partition_epoch={} isr=[{}]", r.stream, r.leader, r.leader_epoch,
                       r.partition_epoch, fmt::join(nodes, ","));
  }
  std::string operator()(const AllocateProducerIds& r) const {
    return fmt::format("allocate_producer_ids node={} epoch={} count={}", r.node, r.broker_epoch, r.count);
  }
  std::string operator()(const Healed& r) const {
    return fmt::format("healed node={} epoch={} streams=[{}]", r.node, r.broker_epoch, values(r.streams));
  }
  std::string operator()(const HistoryCut& r) const {
    return fmt::format("history_cut next_stream={} leader_epoch={}", r.next_stream, r.leader_epoch);
  }
};

}  // namespace

std::string describe(const Record& record) { return std::visit(Describe{}, record); }

}  // namespace sg::metadata
