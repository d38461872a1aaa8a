// The checks on what clients are owed and told at the answer itself: producers' sequences (E19), truthful refusals (H14), answers in time
// (L4), metadata (H13), answers that fit their requests (asked). Each story is told once with one thing wrong and once without.
#include <doctest/doctest.h>

#include "broker/kafka/record.h"
#include "scenarios/checks/asked_checks.h"
#include "scenarios/checks/metadata_checks.h"
#include "scenarios/checks/owed_checks.h"
#include "scenarios/checks/producer_checks.h"
#include "scenarios/checks/truth_checks.h"
#include "tests/scenarios/fixture.h"

using namespace sg;
using namespace sg::scenario;
using namespace sg::scenario::testing;
using kafka::ErrorCode;

namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
Time at_ms(int64_t n) { return Time{n * 1'000'000}; }

struct Judged {
  std::string names;
  Judge judge{[this](Check check, const std::string&) { add_name(names, to_string(check)); }};
};

// --- E19 -----------------------------------------------------------------------------------------------------------------------------

struct Sequences : Judged {
  // `records` of producer 7, appended on a machine.
  void append(NodeId machine, int64_t first, int32_t records, int32_t sequence, int16_t epoch = 0, int64_t producer = 7) {
    kafka::BatchBuilder builder(kafka::BatchProducer{.id = ProducerId(producer), .epoch = epoch, .base_sequence = sequence});
    for (int32_t i = 0; i < records; ++i) builder.add({});
    const SharedBytes batch = builder.finish();
    checks.on_batch(machine, kOrders, first, kafka::BatchView(batch));
  }
  ProducerChecks checks{judge};
};

std::string second_batch(int32_t sequence, int16_t epoch = 0) {
  Sequences s;
  s.append(kOne, 0, 3, 0);
  s.append(kOne, 3, 1, sequence, epoch);
  return s.names;
}

const AddPairs kProducers({
    {"E19", "a batch leaves out a sequence", [](bool broken) { return second_batch(broken ? 4 : 3); }},
    {"E19", "a batch stands twice", [](bool broken) { return second_batch(broken ? 0 : 3); }},
    {"E19", "a new epoch does not begin with 0", [](bool broken) { return second_batch(broken ? 3 : 0, 1); }},
    {"E19", "a batch of an epoch that is over",
     [](bool broken) {
       Sequences s;
       s.append(kOne, 0, 1, 0, 1);
       s.append(kOne, 1, 1, broken ? 0 : 1, broken ? 0 : 1);
       return s.names;
     }},
    {"E19", "a sequence goes on beyond the greatest instead of from 0",
     [](bool broken) {
       Sequences s;
       s.append(kOne, 0, 2, INT32_MAX - 1);
       s.append(kOne, 2, 1, broken ? 1 : 0);
       return s.names;
     }},
    {"E19", "behind a truncation, the batch that was cut is taken for one that is there",
     [](bool broken) {
       Sequences s;
       s.append(kOne, 0, 1, 0);
       s.append(kOne, 1, 1, 1);
       s.checks.on_truncate(kOne, kOrders, 1);
       s.append(kOne, 1, 1, broken ? 2 : 1);
       return s.names;
     }},
    {"E19", "a producer id is issued twice",
     [](bool broken) {
       Sequences s;
       s.checks.on_issued(kOne, ProducerId(7), 0);
       s.checks.on_issued(kTwo, ProducerId(broken ? 7 : 8), 0);
       return s.names;
     }},
});

// --- H14 -----------------------------------------------------------------------------------------------------------------------------

struct Truth : Judged {
  static constexpr uint32_t kCrc = 77;
  void answer(uint64_t request, ErrorCode code, Time arrived = at_ms(0)) {
    checks.on_answered(at_ms(10), kOne, request, arrived, kCrc, code);
  }
  TruthChecks checks{judge};
};

const AddPairs kRefusals({
    {"H14", "a batch is appended, and its producer is told that it was not",
     [](bool broken) {
       Truth t;
       t.checks.on_carried(kOne, 1, Truth::kCrc);
       t.checks.on_appended(at_ms(5), kOne, kOrders, Truth::kCrc);
       t.answer(1, broken ? ErrorCode::not_enough_replicas : ErrorCode::not_enough_replicas_after_append);
       return t.names;
     }},
    {"H14", "a batch is appended after its producer was told that it will not be",
     [](bool broken) {
       Truth t;
       t.checks.on_carried(kOne, 1, Truth::kCrc);
       t.answer(1, broken ? ErrorCode::not_enough_replicas : ErrorCode::request_timed_out);
       t.checks.on_appended(at_ms(15), kOne, kOrders, Truth::kCrc);
       return t.names;
     }},
    {"H14", "a batch is appended that no request carries any more",
     [](bool broken) {
       Truth t;
       t.checks.on_carried(kOne, 1, Truth::kCrc);
       t.checks.on_appended(at_ms(5), kOne, kOrders, Truth::kCrc);
       t.answer(1, ErrorCode::none);
       if (!broken) t.checks.on_carried(kOne, 2, Truth::kCrc);
       t.checks.on_appended(at_ms(15), kOne, kOrders, Truth::kCrc);
       return t.names;
     }},
    {"H14", "a node appends what another one was asked for",
     [](bool broken) {
       Truth t;
       t.checks.on_carried(broken ? kTwo : kOne, 1, Truth::kCrc);
       t.checks.on_appended(at_ms(5), kOne, kOrders, Truth::kCrc);
       return t.names;
     }},
});

TEST_CASE("H14: given a retry beside an attempt whose outcome is open, then a refusal of the retry says nothing about the first") {
  Truth t;
  t.checks.on_carried(kOne, 1, Truth::kCrc);
  t.checks.on_unanswerable(kOne, 1);
  t.checks.on_carried(kOne, 2, Truth::kCrc);
  t.checks.on_appended(at_ms(5), kOne, kOrders, Truth::kCrc);
  t.answer(2, ErrorCode::out_of_order_sequence_number);
  CHECK(t.names == "");
}

// --- L4 ------------------------------------------------------------------------------------------------------------------------------

struct Owed : Judged {
  static constexpr uint64_t kConnection = 4;
  Owed() {
    ask(1, 500ms);
    checks.on_arrived(kConnection, 1, at_ms(10));
  }
  void ask(uint64_t number, Duration own) {
    checks.on_request(kOne, kConnection,
                      {.number = number,
                       .header = {.api_key = kafka::ApiKey::fetch, .api_version = 4, .client_id = "c"},
                       .own = own,
                       .asked = at_ms(0),
                       .arrived = false});
  }
  void leave_unanswered(size_t batches = 2) {
    std::vector<uint32_t> crcs{1, 2};
    crcs.resize(batches);
    checks.on_unanswerable(kOne, 6, 9, crcs);
    checks.on_arrived(6, 9, at_ms(12));
  }
  std::string look(Time now, Time excused = at_ms(0)) {
    checks.look(now, [excused](MachineId) { return excused; });
    return names;
  }
  OwedChecks checks{judge};
};
constexpr Time kLate{10'000'000 + (500ms + kAnswerMargin) / 1ns + 1};

// Of two batches that nobody answers, those whose bits are set are appended.
std::string in_vain(int appended) {
  Owed o;
  o.checks.on_answer(Owed::kConnection, 1, at_ms(20));
  o.leave_unanswered(appended < 2 ? 1 : 2);
  for (uint32_t batch : {1, 2})
    if ((static_cast<uint32_t>(appended) & batch) != 0) o.checks.on_appended(kOne, batch);
  return o.look(at_ms(60'000));
}

const AddPairs kAnswers({
    {"L4", "a request is answered later than it is owed", [](bool broken) { return Owed().look(broken ? kLate : Time{kLate.ns - 1}); }},
    {"L4", "a machine stood still, but not long enough to explain it",
     [](bool broken) { return Owed().look(kLate, at_ms(broken ? 9 : 11)); }},
    {"L4", "the answer of another connection is not this one's",
     [](bool broken) {
       Owed o;
       o.checks.on_answer(broken ? 5 : Owed::kConnection, 1, at_ms(20));
       return o.look(kLate);
     }},
    {"L4", "a request behind another one has its own time from then on",
     [](bool broken) {
       Owed o;
       o.ask(2, 0ms);
       o.checks.on_arrived(Owed::kConnection, 2, at_ms(11));
       o.checks.on_answer(Owed::kConnection, 1, at_ms(2000));
       return o.look(at_ms(2000) + kAnswerMargin + (broken ? 1ms : 0ms));
     }},
    {"L4", "a batch with acks=0 is not appended, and the connection is not ended", [](bool broken) { return in_vain(broken ? 0 : 1); }},
    {"L4", "of two batches with acks=0 one is not appended", [](bool broken) { return in_vain(broken ? 2 : 3); }},
});

TEST_CASE("L4: given batches with acks=0 that nobody takes, when the connection ends or the process dies, then nothing is owed") {
  Owed ended;
  ended.checks.on_answer(Owed::kConnection, 1, at_ms(20));
  ended.leave_unanswered();
  ended.checks.on_connection_over(6);
  CHECK(ended.look(at_ms(60'000)) == "");
  Owed died;
  died.leave_unanswered();
  died.checks.on_died(kOne);
  CHECK(died.look(at_ms(60'000)) == "");
}

TEST_CASE(
    "L4: given a request that has not arrived, a connection that ended, an answer that is leaving or a process that died, "
    "then nothing is owed") {
  Owed before;
  before.checks.on_connection_over(Owed::kConnection);
  CHECK(before.look(kLate) == "");
  Owed leaving;
  leaving.checks.on_answer_begins(Owed::kConnection);
  CHECK(leaving.look(kLate) == "");
  Owed died;
  died.checks.on_died(kOne);
  CHECK(died.look(kLate) == "");
  Owed under_way;
  under_way.checks.on_answer(Owed::kConnection, 1, at_ms(20));
  under_way.ask(3, 0ms);
  CHECK(under_way.look(kLate) == "");
  CHECK(under_way.checks.outstanding(at_ms(30)) ==
        std::vector<std::string>{"Fetch v4 of c waits for machine 1 since 30 ms; it has not arrived"});
}

// --- H13 -----------------------------------------------------------------------------------------------------------------------------

struct Shown : Bench {
  Shown() {
    make_topic(1);
    told.on_catalogue_changed(LogIndex(catalogue_index), made_);
  }
  // Node 3 is fenced: it leaves the ISR. Then node 1 is: node 2 leads.
  void change() {
    for (int node : {3, 1}) {
      fence(node);
      told.on_catalogue_changed(LogIndex(catalogue_index), metadata::FenceBroker{});
    }
  }
  void remove() {
    const metadata::Record gone = metadata::DeleteTopic{id};
    record(gone);
    told.on_catalogue_changed(LogIndex(catalogue_index), gone);
  }
  kafka::MetadataResponse::Topic topic() const {
    kafka::MetadataResponse::Topic out;
    out.name = "orders";
    out.topic_id = id;
    out.partitions.push_back({.partition_index = 0,
                              .leader_id = kOne,
                              .replica_nodes = {kOne, kTwo, NodeId(3)},
                              .isr_nodes = {kOne, kTwo, NodeId(3)},
                              .offline_replicas = {}});
    out.partitions[0].leader_epoch = LeaderEpoch(0);
    return out;
  }
  // After change().
  kafka::MetadataResponse::Topic topic_now() const {
    auto out = topic();
    out.partitions[0].leader_id = kTwo;
    out.partitions[0].leader_epoch = leader_epoch();
    out.partitions[0].isr_nodes = ghost.catalogue.partition(kOrders)->isr_nodes();
    return out;
  }
  // As clients are told below version 7.
  kafka::MetadataResponse::Topic topic_of_old() const {
    auto out = topic();
    out.topic_id = {};
    out.partitions[0].leader_epoch = kNoLeaderEpoch;
    return out;
  }
  static kafka::MetadataResponse::Topic absent() {
    kafka::MetadataResponse::Topic out;
    out.name = "orders";
    out.error_code = ErrorCode::unknown_topic_or_partition;
    return out;
  }
  // The brokers as they are.
  kafka::MetadataResponse cluster() const {
    kafka::MetadataResponse out;
    for (const auto& [node, broker] : ghost.catalogue.brokers())
      if (!broker.fenced) out.brokers.push_back({node, broker.kafka.host, broker.kafka.port, std::nullopt});
    if (!out.brokers.empty()) out.controller_id = out.brokers.front().node_id;
    return out;
  }
  // A broker answers with that, or without any topic, to a request that it had read shortly before.
  void answer(const std::optional<kafka::MetadataResponse::Topic>& t, MachineId by = kOne) {
    kafka::MetadataResponse out = cluster();
    if (t) out.topics.push_back(*t);
    for (auto& topic : out.topics)
      for (auto& p : topic.partitions)
        for (const auto& [node, broker] : ghost.catalogue.brokers())
          if (broker.fenced) p.offline_replicas.push_back(node);
    say(std::move(out), by);
  }
  void say(const kafka::MetadataResponse& m, MachineId by = kOne) {
    now = now + 10ms;
    const Asked when{.left = now + -1ms, .arrived = now + -1ms, .first = {}, .version = 12};
    told.on_answer(now, by, when, {by, LogIndex(catalogue_index)}, kafka::MetadataRequest{.topics = std::nullopt}, m);
  }
  // A second answer, in which that is changed.
  static std::string told_wrong(bool broken, const std::function<void(kafka::MetadataResponse&)>& change) {
    Shown s;
    kafka::MetadataResponse m = s.cluster();
    m.topics.push_back(s.topic());
    s.say(m);
    if (broken) change(m);
    s.say(m);
    return s.all_found();
  }
  const Uuid id{5, 5};
  Time now;
  MetadataChecks told{ledgers, ghost, judge};

 private:
  const metadata::Record made_ = metadata::CreateTopic{"orders", id, {{kOne, kTwo, NodeId(3)}}, 1, {}};
};

const AddPairs kMetadata({
    {"H13", "a leader that was never committed",
     [](bool broken) {
       Shown s;
       auto t = s.topic();
       if (broken) t.partitions[0].leader_id = kTwo;
       s.answer(t);
       return s.all_found();
     }},
    {"H13", "a leader that was never committed, in a version without ids and epochs",
     [](bool broken) {
       Shown s;
       auto t = s.topic_of_old();
       if (broken) t.partitions[0].leader_id = kTwo;
       s.answer(t);
       return s.all_found();
     }},
    {"H13", "one broker goes back behind the leader that it has told, in a version without epochs",
     [](bool broken) {
       Shown s;
       const auto old = s.topic_of_old();
       s.change();
       s.answer(s.topic_now());
       s.answer(old, broken ? kOne : kTwo);
       return s.all_found();
     }},
    {"H13", "a topic that nobody has made, in a version without ids",
     [](bool broken) {
       Shown s;
       auto t = s.topic_of_old();
       if (broken) t.name = "never";
       s.answer(t);
       return s.all_found();
     }},
    {"H13", "an ISR that was never committed in that epoch",
     [](bool broken) {
       Shown s;
       auto t = s.topic();
       if (broken) t.partitions[0].isr_nodes.pop_back();
       s.answer(t);
       return s.all_found();
     }},
    {"H13", "a partition is missing",
     [](bool broken) {
       Shown s;
       auto t = s.topic();
       if (broken) t.partitions.clear();
       s.answer(t);
       return s.all_found();
     }},
    {"H13", "one broker goes back behind what it has told",
     [](bool broken) {
       Shown s;
       const auto old = s.topic();
       s.change();
       s.answer(s.topic_now());
       s.answer(old, broken ? kOne : kTwo);
       return s.all_found();
     }},
    {"H13", "a topic that was shown is there no more, and nobody has deleted it",
     [](bool broken) {
       Shown s;
       s.answer(s.topic());
       s.answer(Shown::absent(), broken ? kOne : kTwo);
       return s.all_found();
     }},
    {"H13", "a topic that was shown is missing in a list of all, and nobody has deleted it",
     [](bool broken) {
       Shown s;
       s.answer(s.topic());
       s.answer(broken ? std::nullopt : std::optional(s.topic()));
       return s.all_found();
     }},
    {"H13", "a topic whose deletion was shown is there again",
     [](bool broken) {
       Shown s;
       s.answer(s.topic());
       s.remove();
       s.answer(Shown::absent());
       s.answer(s.topic(), broken ? kOne : kTwo);
       return s.all_found();
     }},
    {"H13", "a broker at an address that it was not registered with",
     [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.brokers[1].port = 1; }); }},
    {"H13", "an open broker is left out", [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.brokers.pop_back(); }); }},
    {"H13", "a broker is told of twice",
     [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.brokers.push_back(m.brokers[0]); }); }},
    {"H13", "the controller is nobody whom the client knows",
     [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.controller_id = NodeId(9); }); }},
    {"H13", "another cluster's id", [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.cluster_id = "elsewhere"; }); }},
    {"H13", "replicas that the topic was not made with",
     [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.topics[0].partitions[0].replica_nodes.pop_back(); }); }},
    {"H13", "a replica is offline whose broker is not fenced",
     [](bool broken) { return Shown::told_wrong(broken, [](auto& m) { m.topics[0].partitions[0].offline_replicas = {kTwo}; }); }},
    {"H13", "a topic with an id that nobody has made",
     [](bool broken) {
       Shown s;
       auto t = s.topic();
       if (broken) t.topic_id = Uuid{6, 6};
       s.answer(t);
       return s.all_found();
     }},
});

// --- asked ---------------------------------------------------------------------------------------------------------------------------

SharedBytes batch_at(int64_t first, int32_t records) {
  kafka::BatchBuilder builder{kafka::BatchProducer{}};
  for (int32_t i = 0; i < records; ++i) builder.add({});
  SharedBytes batch = builder.finish();
  kafka::stamp_batch(batch.writable(), Offset(first), LeaderEpoch(0));
  return batch;
}

// Two partitions from offset 4 on, within 500 ms; of the first, records 4 to 9 are given.
struct Fetching : Judged {
  Fetching() {
    asked.max_wait_ms = 500;
    asked.min_bytes = 1;
    asked.max_bytes = 1000;
    asked.topics = {{"orders", {}}};
    answer.responses = {{"orders", {}}};
    for (int32_t i : {0, 1}) {
      asked.topics[0].partitions.push_back({.partition = i, .fetch_offset = Offset(4), .partition_max_bytes = 1000});
      kafka::FetchResponse::Partition& p = answer.responses[0].partitions.emplace_back();
      p.partition_index = i;
      p.high_watermark = p.last_stable_offset = Offset(4);
    }
    first().high_watermark = first().last_stable_offset = Offset(10);
    first().records = kafka::Records{{batch_at(3, 3), batch_at(6, 4)}};
  }
  kafka::FetchResponse::Partition& first() { return answer.responses[0].partitions[0]; }
  static std::string told_wrong(bool broken, Duration waited, const std::function<void(Fetching&)>& change) {
    Fetching f;
    if (broken) change(f);
    f.checks.on_fetched(kOne, waited, f.asked, f.answer);
    return f.names;
  }
  kafka::FetchRequest asked;
  kafka::FetchResponse answer;
  AskedChecks checks{judge};
};

const AddPairs kAsked({
    {"asked", "a Fetch is answered for another partition",
     [](bool broken) { return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.first().partition_index = 7; }); }},
    {"asked", "a Fetch gives records that begin behind what was asked for",
     [](bool broken) {
       return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.asked.topics[0].partitions[0].fetch_offset = Offset(2); });
     }},
    {"asked", "a Fetch gives records with a gap",
     [](bool broken) { return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.first().records->pieces[1] = batch_at(7, 3); }); }},
    {"asked", "a Fetch gives more bytes than were asked for",
     [](bool broken) { return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.asked.max_bytes = 100; }); }},
    {"asked", "a Fetch gives more bytes of a partition than were asked for",
     [](bool broken) {
       return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.asked.topics[0].partitions[0].partition_max_bytes = 100; });
     }},
    {"asked", "a Fetch that finds nothing does not wait",
     [](bool broken) {
       return Fetching::told_wrong(true, broken ? 20ms : 500ms, [](auto& f) {
         f.first() = f.answer.responses[0].partitions[1];
         f.first().partition_index = 0;
       });
     }},
    {"asked", "a Fetch gives nothing though there is something",
     [](bool broken) { return Fetching::told_wrong(broken, 500ms, [](auto& f) { f.first().records = kafka::Records{}; }); }},
    {"asked", "what is committed is not stable",
     [](bool broken) { return Fetching::told_wrong(broken, 0ms, [](auto& f) { f.first().last_stable_offset = Offset(9); }); }},
    {"asked", "ListOffsets is answered for another topic",
     [](bool broken) {
       Judged j;
       AskedChecks(j.judge).on_offsets(kOne, {.topics = {{"orders", {{.partition_index = 0}}}}},
                                       {.topics = {{broken ? "audit" : "orders", {{.partition_index = 0}}}}});
       return j.names;
     }},
    {"asked", "a Produce that is refused has an offset",
     [](bool broken) {
       Judged j;
       kafka::ProduceRequest asked;
       asked.topic_data = {{"orders", {kafka::ProduceRequest::Partition()}}};
       kafka::ProduceResponse answer;
       answer.responses = {{"orders", {kafka::ProduceResponse::Partition()}}};
       if (broken) answer.responses[0].partition_responses[0].error_code = ErrorCode::not_enough_replicas;
       AskedChecks(j.judge).on_produced(kOne, asked, answer);
       return j.names;
     }},
    {"asked", "Metadata tells of another topic",
     [](bool broken) {
       Judged j;
       kafka::MetadataRequest asked;
       asked.topics = {{{.topic_id = {}, .name = "orders"}}};
       kafka::MetadataResponse answer;
       answer.topics.emplace_back().name = broken ? "audit" : "orders";
       AskedChecks(j.judge).on_metadata(kOne, asked, answer);
       return j.names;
     }},
});

TEST_CASE("a batch that is larger than asked for comes alone, so that no consumer is stuck before it") {
  Fetching f;
  f.asked.max_bytes = f.asked.topics[0].partitions[0].partition_max_bytes = 10;
  f.first().records->pieces.pop_back();
  f.checks.on_fetched(kOne, 0ms, f.asked, f.answer);
  CHECK(f.names.empty());
}

}  // namespace
