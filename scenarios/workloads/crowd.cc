#include "scenarios/workloads/crowd.h"

#include "broker/kafka/fetch.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"
#include "broker/kafka/record.h"
#include "scenarios/client/broker_connection.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/notes.h"

namespace sg::scenario {
namespace {

constexpr int16_t kProduceVersion = 9;
constexpr int16_t kFetchVersion = 11;  // of which the answer is the same for clients that know epochs and those that do not
constexpr int16_t kMetadataVersion = 12;
constexpr Duration kConnectTimeout = 1s;
constexpr Duration kAnswerTimeout = 4s;

// One client of the crowd, from visit to visit.
class Visitor {
 public:
  Visitor(ClientEnv& env, const ClientPart& part, const CrowdOptions& options)
      : env_(env), part_(part), options_(options), rng_(env.rng.split("crowd")), name_(fmt::format("crowd-{}", part.client)) {}

  void run(Task& task) {
    while (present(task) && task.sleep_for(options_.away.draw(rng_))) {
      const net::Address& broker = env_.bootstrap[rng_.below(env_.bootstrap.size())];
      leaves_ = task.now() + options_.stays.draw(rng_);
      switch (rng_.below(5)) {
        case 0: write_large(task, broker); break;
        case 1: stop_in_mid_request(task, broker); break;
        case 2: take_no_answer(task, broker, fetches()); break;
        case 3: take_no_answer(task, broker, questions()); break;
        default: fall_silent(task, broker); break;
      }
    }
  }

 private:
  bool present(const Task& task) const { return part_.control.running && part_.control.writing && !task.stopping(); }

  // Until the end of the visit, or of all visits.
  void stay(Task& task) {
    while (present(task) && task.now() < leaves_)
      if (!task.sleep_until(std::min(leaves_, task.now() + 100ms))) return;
  }

  const PartitionName& any_partition() { return part_.partitions[rng_.below(part_.partitions.size())]; }

  kafka::ProduceRequest large_request(ValueId id, const PartitionName& p) {
    const ByteVec value = value_bytes(id, static_cast<size_t>(rng_.between(options_.value_bytes.low, options_.value_bytes.high)));
    kafka::Record record;
    record.timestamp_ms = env_.clock.wall_ms();
    record.value = value;
    kafka::BatchBuilder builder{kafka::BatchProducer{}};
    builder.add(record);
    kafka::ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 2000;
    request.topic_data.push_back({.name = p.topic, .partition_data = {{.index = p.partition, .records = builder.finish()}}});
    return request;
  }

  // To whatever broker: who does not lead refuses it when all of it has come.
  void write_large(Task& task, const net::Address& broker) {
    const ValueId id{part_.client, number_++};
    const PartitionName& p = any_partition();
    const kafka::ProduceRequest request = large_request(id, p);
    TaskGroup tasks(env_.scheduler);
    auto connection = BrokerConnection::open(task, env_.network, tasks, broker, name_, task.now() + kConnectTimeout);
    if (connection) {
      const size_t index = note_send(id, p, request.acks, false, part_.history);
      SendResult result{.first_attempt = task.now(), .last_attempt = task.now(), .completed = {}, .attempts = 1};
      auto response = (*connection)->call(task, kProduceVersion, request, task.now() + kAnswerTimeout);
      if (response && response->responses.size() == 1 && response->responses[0].partition_responses.size() == 1) {
        const auto& answer = response->responses[0].partition_responses[0];
        if (answer.error_code == kafka::ErrorCode::none) result.outcome = SendOutcome::ok;
        result.base_offset = answer.base_offset;
      }
      result.completed = task.now();
      note_result(part_.history.sends[index], result, 0);
      (*connection)->close();
    }
    tasks.stop();
    tasks.join(task);
  }

  void stop_in_mid_request(Task& task, const net::Address& broker) {
    auto connection = env_.network.connect(task, broker, task.now() + kConnectTimeout);
    if (!connection) return;
    // Its record is sent by nobody: the last byte never comes.
    std::vector<SharedBytes> frame =
        kafka::request_frame(kProduceVersion, 1, name_, large_request({part_.client, number_++}, any_partition()));
    ByteVec bytes;
    for (const SharedBytes& piece : frame) bytes.insert(bytes.end(), piece.data(), piece.data() + piece.size());
    const size_t sent = static_cast<size_t>(rng_.between(4, static_cast<int64_t>(bytes.size()) - 1));
    (void)(*connection)->write(task, ByteSpan(bytes).first(sent), leaves_);
    stay(task);
  }

  std::vector<std::vector<SharedBytes>> fetches() {
    const PartitionName& p = any_partition();
    kafka::FetchRequest request;
    request.max_wait_ms = 100;
    request.min_bytes = 1;
    request.max_bytes = 1 << 20;
    kafka::FetchRequest::Partition asked;
    asked.partition = p.partition;
    asked.fetch_offset = Offset(0);
    asked.partition_max_bytes = 1 << 20;
    request.topics.push_back({.topic = p.topic, .partitions = {asked}});
    return repeated(kFetchVersion, request);
  }

  std::vector<std::vector<SharedBytes>> questions() {
    kafka::MetadataRequest request;
    request.allow_auto_topic_creation = false;
    return repeated(kMetadataVersion, request);
  }

  template <class Request>
  std::vector<std::vector<SharedBytes>> repeated(int16_t version, const Request& request) {
    std::vector<std::vector<SharedBytes>> out;
    const auto count = static_cast<int32_t>(rng_.between(options_.requests.low, options_.requests.high));
    for (int32_t id = 1; id <= count; ++id) out.push_back(kafka::request_frame(version, id, name_, request));
    return out;
  }

  void take_no_answer(Task& task, const net::Address& broker, const std::vector<std::vector<SharedBytes>>& requests) {
    auto connection = env_.network.connect(task, broker, task.now() + kConnectTimeout);
    if (!connection) return;
    for (const std::vector<SharedBytes>& frame : requests) {
      std::vector<ByteSpan> pieces;
      for (const SharedBytes& piece : frame) pieces.push_back(piece.span());
      if (!(*connection)->write(task, pieces, leaves_)) break;
    }
    stay(task);
  }

  void fall_silent(Task& task, const net::Address& broker) {
    TaskGroup tasks(env_.scheduler);
    auto connection = BrokerConnection::open(task, env_.network, tasks, broker, name_, task.now() + kConnectTimeout);
    if (connection) {
      kafka::MetadataRequest request;
      request.allow_auto_topic_creation = false;
      (void)(*connection)->call(task, kMetadataVersion, request, leaves_);
      stay(task);
      (*connection)->close();
    }
    tasks.stop();
    tasks.join(task);
  }

  ClientEnv& env_;
  const ClientPart& part_;
  const CrowdOptions& options_;
  Rng rng_;
  std::string name_;
  Time leaves_;  // the present visit ends
  int64_t number_ = 0;
};

std::shared_ptr<const Workload> read_crowd(const Table& t, const ClusterSpec&) {
  CrowdOptions out;
  out.stays = t.seconds("stays_s", out.stays);
  out.away = t.seconds("away_s", out.away);
  out.value_bytes = t.range("value_bytes", out.value_bytes, 16, 1'000'000);
  out.requests = t.range("requests", out.requests, 1, 10'000);
  return std::make_shared<Crowd>(out);
}

}  // namespace

void Crowd::run(Task& task, ClientEnv& env, const ClientPart& part) const { Visitor(env, part, options_).run(task); }

WorkloadKind crowd_kind() {
  return {"crowd",
          "come and go, and keep brokers busy: large requests, answers that nobody takes, silence",
          {"stays_s", "away_s", "value_bytes", "requests"},
          read_crowd};
}

}  // namespace sg::scenario
