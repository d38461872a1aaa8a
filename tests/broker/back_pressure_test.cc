// A client cannot make a node hold more than its bounds, however slow the node's disk is (architecture, section 7): a whole broker in a
// simulated world, and a client that writes as fast as the network takes it and never listens.
#include <doctest/doctest.h>

#include "broker/kafka/produce.h"
#include "broker/kafka/record.h"
#include "scenarios/client/cluster_client.h"
#include "scenarios/world/cluster.h"

using namespace sg;

namespace {

constexpr size_t kRequests = 20'000;
constexpr int16_t kProduceVersion = 9;

std::vector<SharedBytes> produce_frame(int32_t id) {
  const ByteVec value(1000, uint8_t{'x'});
  kafka::Record record;
  record.value = value;
  kafka::BatchBuilder builder(kafka::BatchProducer{});
  builder.add(record);
  kafka::ProduceRequest request;
  request.acks = 0;
  request.timeout_ms = 60'000;
  request.topic_data.push_back({.name = "orders", .partition_data = {{.index = 0, .records = builder.finish()}}});
  return kafka::request_frame(kProduceVersion, id, "flood", request);
}

// Sends kRequests with acks=0 once `go` is set; counts those that the network has taken.
struct Flood {
  bool topic_ready = false;
  bool go = false;
  size_t sent = 0;
  std::string failed;

  void run(Task& task, sim::NodeEnv& env, const net::Address& broker) {
    scenario::ClusterClient client(env.scheduler, env.network, {.client_id = "flood", .bootstrap = {broker}});
    if (auto created = client.create_topic(task, "orders", 1, 1, 1, task.now() + 20s); !created) failed = created.error().what;
    client.close(task);
    topic_ready = true;
    while (!go)
      if (!task.sleep_for(10ms)) return;
    auto connection = env.network.connect(task, broker, task.now() + 5s);
    if (!connection) {
      failed = "cannot connect";
      return;
    }
    for (; sent < kRequests; ++sent) {
      std::vector<SharedBytes> frame = produce_frame(static_cast<int32_t>(sent));
      std::vector<ByteSpan> pieces;
      for (const SharedBytes& piece : frame) pieces.push_back(piece.span());
      if (!(*connection)->write(task, pieces)) return;
    }
    (void)task.sleep_for(60s);  // the connection stays, so that the node serves what it has
  }
};

}  // namespace

TEST_CASE("given a disk that stalls, when a client sends with acks=0 without end, then the node reads no further than its bound allows") {
  sim::Pools pools;
  sim::World world(1, {}, pools);
  scenario::Cluster cluster(world, {.nodes = 1, .topics = {}, .draw_knobs = false});
  Flood flood;
  sim::Node& client = world.add_node("client", [&](Task& task, sim::NodeEnv& env) {
    flood.run(task, env, cluster.bootstrap().front());
    return 0;
  });
  cluster.start();
  client.start();
  REQUIRE(world.run_while([&] { return !flood.topic_ready; }, world.now() + 30s));
  REQUIRE(flood.failed == "");

  sim::Node& broker = *cluster.nodes().front();
  broker.disk().stall(world.now() + 10s);
  flood.go = true;
  REQUIRE(world.run_until(world.now() + 5s));
  const size_t held = flood.sent;
  CHECK(held >= 1000);  // the bound of one connection
  CHECK(held < 2000);   // and what the network holds
  REQUIRE(world.run_until(world.now() + 4s));
  CHECK(flood.sent == held);

  // The disk goes on, and so does everything else.
  REQUIRE(world.run_while([&] { return flood.sent < kRequests; }, world.now() + 60s));
  CHECK(flood.sent == kRequests);
  CHECK(flood.failed == "");

  broker.die(sim::Death::kill);
  client.die(sim::Death::kill);
}
