// What brokers ask of the controller, and when they are answered.
#include <algorithm>
#include <set>

#include "tests/base/nth_run.h"
#include "tests/metadata/timeline.h"

namespace sg::metadata {
namespace {

CreateTopicsRequest create(std::string name, int partitions = -1, int factor = -1) {
  return {
      .topics = {{.name = std::move(name), .num_partitions = partitions, .replication_factor = factor, .assignment = {}, .configs = {}}}};
}

TEST_CASE("given a registration whose reply was lost, when it is repeated, then it is one registration") {
  Timeline t;
  t.start();
  t.apply_all();
  uint64_t first = t.request(2, Replayed::registration(2, 10));
  uint64_t again = t.request(2, Replayed::registration(2, 10));
  CHECK(t.proposed.size() == 1);
  t.apply_all();
  BrokerEpoch epoch = std::get<RegisterReply>(t.reply(first).body).broker_epoch;
  CHECK(std::get<RegisterReply>(t.reply(again).body).broker_epoch == epoch);
  uint64_t later = t.request(2, Replayed::registration(2, 10));
  CHECK(t.proposed.empty());
  auto reply = std::get<RegisterReply>(t.reply(later).body);
  CHECK(reply.broker_epoch == epoch);
  CHECK(reply.cluster_id == t.catalogue().cluster_id());
}

TEST_CASE("given a node, when it speaks for another, then it is refused") {
  ThreeNodes t;
  CHECK(t.reply(t.request(3, Replayed::registration(2, 11))).error == ControllerError::invalid_request);
  CHECK(t.reply(t.request(3, DrainBroker{NodeId(2), t.broker(2).epoch})).error == ControllerError::invalid_request);
  CHECK(t.reply(t.request(3, t.log.wish(t.stream, nodes({2})))).error == ControllerError::invalid_request);
  CHECK(t.proposed.empty());
}

TEST_CASE("given a leader's ISR wish, when it is granted or overtaken, then the reply is the partition as it is") {
  ThreeNodes t;
  ChangeIsr wish = t.log.wish(t.stream, nodes({2, 3}));
  uint64_t first = t.request(2, wish);
  uint64_t again = t.request(2, wish);
  CHECK(t.proposed.size() == 1);
  t.apply_all();
  for (uint64_t id : {first, again}) {
    ControllerReply granted = t.reply(id);
    CHECK(granted.error == ControllerError::none);
    auto body = std::get<ChangeIsrReply>(granted.body);
    CHECK(body.isr == nodes({2, 3}));
    CHECK(body.partition_epoch == PartitionEpoch(1));
  }
  uint64_t late = t.request(2, wish);
  t.apply_all();
  ControllerReply overtaken = t.reply(late);
  CHECK(overtaken.error == ControllerError::stale);
  CHECK(std::get<ChangeIsrReply>(overtaken.body).isr == nodes({2, 3}));
}

TEST_CASE("given a fenced replica, when a leader wants to add it, then the reply says that it is not eligible") {
  ThreeNodes t;
  t.take(t.controller().on_suspicion(t.now, NodeId(3), sg::test::nth_run(10)));
  t.apply_all();
  uint64_t id = t.request(2, t.log.wish(t.stream, nodes({1, 2, 3})));
  t.apply_all();
  CHECK(t.reply(id).error == ControllerError::ineligible_replica);
}

TEST_CASE("given two requests for producer ids from one broker, when they are in flight together, then each gets its own") {
  ThreeNodes t;
  AllocateProducerIds wish{NodeId(2), t.broker(2).epoch, 1000};
  uint64_t a = t.request(2, wish);
  uint64_t b = t.request(2, wish);
  CHECK(t.proposed.size() == 2);
  t.apply_all();
  CHECK(std::get<AllocateProducerIdsReply>(t.reply(a).body).first == ProducerId(0));
  auto second = std::get<AllocateProducerIdsReply>(t.reply(b).body);
  CHECK(second.first == ProducerId(1000));
  CHECK(second.count == 1000);
}

TEST_CASE("given a broker that stops, when it drains, then it hears how many leaderships have nowhere to go") {
  ThreeNodes t;
  t.ask<CreateTopicsReply>(1, CreateTopicsRequest{.topics = {{.name = "single", .assignment = {nodes({2})}, .configs = {}}}});
  auto reply = t.ask<DrainReply>(2, DrainBroker{NodeId(2), t.broker(2).epoch});
  CHECK(reply.leaderships_left == 1);
  CHECK(t.p().leader == NodeId(3));
  CHECK(t.p().isr_nodes() == nodes({3, 1}));
  uint64_t old = t.request(2, DrainBroker{NodeId(2), t.broker(2).epoch - 1});
  t.apply_all();
  CHECK(t.reply(old).error == ControllerError::stale);
}

TEST_CASE("given defaults, when a topic is created, then they are resolved, and the reply leaves when it exists") {
  ThreeNodes t;
  uint64_t id = t.request(1, create("u"));
  CHECK(std::none_of(t.replies.begin(), t.replies.end(), [&](const AddressedReply& r) { return r.reply.id == id; }));
  t.apply_all();
  auto reply = std::get<CreateTopicsReply>(t.reply(id).body);
  CHECK(reply.topics[0].error == ControllerError::none);
  CHECK(reply.topics[0].num_partitions == 1);
  CHECK(reply.topics[0].replication_factor == 3);
  CHECK(reply.applied == t.catalogue().applied());
  const Topic* topic = t.catalogue().topic("u");
  REQUIRE(topic);
  CHECK(topic->id == reply.topics[0].topic_id);
  CHECK(topic->min_insync_replicas == 2);
  t.ask<CreateTopicsReply>(1, create("v", 1, 2));
  CHECK(t.catalogue().topic("v")->min_insync_replicas == 1);
}

TEST_CASE("given a broker that is down, when topics are created, then it is a replica, the last, and out of the ISR") {
  ThreeNodes t;
  t.take(t.controller().on_suspicion(t.now, NodeId(3), sg::test::nth_run(10)));
  t.apply_all();
  CreateTopicsRequest r = create("placed", 3);
  r.topics.push_back({.name = "assigned", .assignment = {nodes({3, 1, 2})}, .configs = {}});
  auto reply = t.ask<CreateTopicsReply>(1, r);
  for (const CreateTopicResult& topic : reply.topics) {
    INFO(topic.name, " ", topic.message);
    CHECK(topic.error == ControllerError::none);
    CHECK(topic.replication_factor == 3);
  }
  for (StreamId stream : t.catalogue().topic("placed")->partitions) {
    const Partition& p = *t.catalogue().partition(stream);
    CHECK(p.replicas[2] == NodeId(3));
    CHECK(p.isr_nodes() == nodes({p.replicas[0].v, p.replicas[1].v}));
    CHECK(p.leader == p.replicas[0]);
    CHECK(p.min_isr == 2);
  }
  const Partition& assigned = *t.catalogue().partition(t.catalogue().topic("assigned")->partitions[0]);
  CHECK(assigned.replicas == nodes({3, 1, 2}));
  CHECK(assigned.isr_nodes() == nodes({1, 2}));
  CHECK(assigned.leader == NodeId(1));
}

TEST_CASE("given too few live brokers for min ISR, when topics are created, then they are refused, and those that need fewer are made") {
  ThreeNodes t;
  for (int node : {2, 3}) t.take(t.controller().on_suspicion(t.now, NodeId(node), sg::test::nth_run(10)));
  t.apply_all();
  CreateTopicsRequest r = create("u");
  r.topics.push_back({.name = "assigned", .assignment = {nodes({1, 2, 3})}, .configs = {}});
  r.topics.push_back({.name = "away", .assignment = {nodes({2})}, .configs = {}});
  r.topics.push_back({.name = "four", .replication_factor = 4, .assignment = {}, .configs = {{"min.insync.replicas", "1"}}});
  r.topics.push_back({.name = "one", .replication_factor = 3, .assignment = {}, .configs = {{"min.insync.replicas", "1"}}});
  auto reply = t.ask<CreateTopicsReply>(1, r);
  CHECK(reply.topics[0].error == ControllerError::invalid_replication_factor);
  CHECK(reply.topics[0].message == "min.insync.replicas 2 needs as many live brokers, 1 of 3 are live");
  CHECK(reply.topics[1].error == ControllerError::invalid_replica_assignment);
  CHECK(reply.topics[1].message == "min.insync.replicas 2 needs as many live replicas, 1 of 3 are on live brokers");
  CHECK(reply.topics[2].error == ControllerError::invalid_replica_assignment);
  CHECK(reply.topics[3].error == ControllerError::invalid_replication_factor);
  CHECK(reply.topics[3].message == "replication factor 4 needs as many brokers, 3 have ever registered");
  CHECK(reply.topics[4].error == ControllerError::none);
  CHECK(t.catalogue().topics().size() == 2);
}

TEST_CASE("given a topic with an id of its maker's, when it is asked for again with that id, then it is made; with another, it exists") {
  ThreeNodes t;
  CreateTopicsRequest r;
  r.topics.push_back(
      {.name = "mine", .topic_id = Uuid{7, 7}, .num_partitions = 2, .replication_factor = 3, .assignment = {}, .configs = {}});
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto reply = t.ask<CreateTopicsReply>(1, r);
    REQUIRE(reply.topics.size() == 1);
    CHECK(reply.topics[0].error == ControllerError::none);
    CHECK(reply.topics[0].topic_id == Uuid{7, 7});
    CHECK(reply.topics[0].num_partitions == 2);
    CHECK(reply.topics[0].replication_factor == 3);
  }
  r.topics[0].topic_id = Uuid{8, 8};
  CHECK(t.ask<CreateTopicsReply>(1, r).topics[0].error == ControllerError::exists);
}

TEST_CASE("given wrong topics, when they are asked for in one request, then each has its own error and the good one is made") {
  ThreeNodes t;
  auto item = [](std::string name) { return CreateTopicItem{.name = std::move(name), .topic_id = {}, .assignment = {}, .configs = {}}; };
  CreateTopicsRequest r;
  for (std::string_view name : {"t", "a/b", "good", "twice", "twice", "parts", "many", "factor", "config", "both", "assigned", "dup"}) {
    r.topics.push_back(item(std::string(name)));
  }
  r.topics[5].num_partitions = 0;
  r.topics[6].num_partitions = 1'000'000;
  r.topics[7].replication_factor = 0;
  r.topics[8].configs = {{"min.insync.replicas", "x"}};
  r.topics[9].assignment = {nodes({1})};
  r.topics[9].num_partitions = 1;
  r.topics[10].assignment = {nodes({7})};
  r.topics[11].assignment = {nodes({1, 1})};
  auto reply = t.ask<CreateTopicsReply>(1, r);
  using E = ControllerError;
  std::vector<E> expected{E::exists,
                          E::invalid_topic_name,
                          E::none,
                          E::invalid_request,
                          E::invalid_request,
                          E::invalid_partitions,
                          E::invalid_partitions,
                          E::invalid_replication_factor,
                          E::invalid_config,
                          E::invalid_request,
                          E::invalid_replica_assignment,
                          E::invalid_replica_assignment};
  REQUIRE(reply.topics.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO(reply.topics[i].name, " ", reply.topics[i].message);
    CHECK(to_string(reply.topics[i].error) == to_string(expected[i]));
    CHECK(reply.topics[i].name == r.topics[i].name);
    CHECK((expected[i] == E::none) == reply.topics[i].message.empty());
  }
  CHECK(t.catalogue().topics().size() == 2);
}

TEST_CASE("given a request that only validates, or names nothing, then it is answered at once and nothing is proposed") {
  ThreeNodes t;
  CreateTopicsRequest r = create("u");
  r.validate_only = true;
  auto reply = std::get<CreateTopicsReply>(t.reply(t.request(1, r)).body);
  CHECK(reply.topics[0].error == ControllerError::none);
  CHECK(std::get<CreateTopicsReply>(t.reply(t.request(1, CreateTopicsRequest{})).body).topics.empty());
  CHECK(std::get<DeleteTopicsReply>(t.reply(t.request(1, DeleteTopicsRequest{})).body).topics.empty());
  CHECK(t.proposed.empty());
}

TEST_CASE("given a topic that two brokers create at once, then it is made once, and the second hears that it exists") {
  ThreeNodes t;
  uint64_t a = t.request(1, create("u"));
  uint64_t b = t.request(2, create("u"));
  CHECK(t.proposed.size() == 1);
  t.apply_all();
  CHECK(std::get<CreateTopicsReply>(t.reply(a).body).topics[0].error == ControllerError::none);
  CHECK(std::get<CreateTopicsReply>(t.reply(b).body).topics[0].error == ControllerError::exists);
}

TEST_CASE("given topics created before the first is applied, when they are placed, then their leaders are on different brokers") {
  ThreeNodes t;
  for (std::string name : {"u", "v"}) t.request(1, create(name));
  t.apply_all();
  std::set<NodeId> leaders;
  for (const auto& [stream, p] : t.catalogue().partitions()) leaders.insert(p.replicas[0]);
  CHECK(leaders.size() == 3);
}

TEST_CASE("given topics, when they are deleted by name or id, then each has its own answer") {
  ThreeNodes t;
  t.ask<CreateTopicsReply>(1, create("u"));
  Uuid id = t.catalogue().topic("u")->id;
  DeleteTopicsRequest r{.topics = {{"t", {}}, {"", id}, {"nope", {}}, {"", Uuid{1, 1}}}};
  auto reply = t.ask<DeleteTopicsReply>(1, r);
  REQUIRE(reply.topics.size() == 4);
  CHECK(reply.topics[0].error == ControllerError::none);
  CHECK(reply.topics[1].error == ControllerError::none);
  CHECK(reply.topics[1].name == "u");
  CHECK(reply.topics[2].error == ControllerError::not_found);
  CHECK(reply.topics[3].error == ControllerError::not_found);
  CHECK(t.catalogue().topics().empty());
  CHECK(t.catalogue().partitions().empty());
}

TEST_CASE("given a proposal that Raft lost, when its requests are answered, then they are told to try again") {
  ThreeNodes t;
  uint64_t id = t.request(2, AllocateProducerIds{NodeId(2), t.broker(2).epoch, 1000});
  t.lose_one();
  CHECK(t.reply(id).error == ControllerError::not_controller);
  uint64_t topic = t.request(2, create("u"));
  t.lose_one();
  CHECK(std::get<CreateTopicsReply>(t.reply(topic).body).topics[0].error == ControllerError::not_controller);
  CHECK(t.catalogue().topic("u") == nullptr);
}

TEST_CASE("given as many requests in flight as there may be, when another comes, then it is told to wait") {
  ControllerOptions options = Timeline::defaults();
  options.max_in_flight = 4;
  Timeline t(options);
  t.start();
  t.apply_all();
  t.boot(2, 10);
  AllocateProducerIds wish{NodeId(2), t.broker(2).epoch, 1};
  for (int i = 0; i < 4; ++i) t.request(2, wish);
  CHECK(t.reply(t.request(2, wish)).error == ControllerError::busy);
  t.apply_all();
  uint64_t id = t.request(2, wish);
  t.apply_all();
  CHECK(t.reply(id).error == ControllerError::none);
}

}  // namespace
}  // namespace sg::metadata
