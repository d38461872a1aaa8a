// A node's configuration: every key from text, from a TOML file and from the command line, which overrides the file; and what is refused.
#include "broker/config_file.h"

#include <doctest/doctest.h>

#include "tests/base/temp_file.h"

using namespace sg;
using namespace sg::broker;
using sg::test::TempFile;

namespace {

bool has(const std::string& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

std::string refused(std::string_view key, std::string_view value) {
  Config config;
  Result<> set = set_config_value(config, key, value);
  return set ? "" : set.error().what;
}

// What is wrong with a default configuration in which one thing was changed; empty if nothing is.
template <class F>
std::string invalid(F&& change) {
  Config config;
  change(config);
  Result<> valid = validate(config);
  if (!valid) CHECK(valid.is(Errc::invalid));
  return valid ? "" : valid.error().what;
}

CommandLine command_line(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "stormglassd");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

std::vector<Voter> voters(int count) {
  std::vector<Voter> out;
  for (int32_t i = 1; i <= count; ++i) out.push_back({NodeId(i), {"127.0.0.1", 9192}});
  return out;
}

}  // namespace

TEST_CASE("given a key of each type, when it is set from text, then the value is there") {
  Config c;
  auto set = [&](std::string_view key, std::string_view value) {
    Result<> done = set_config_value(c, key, value);
    std::string error = done ? "" : done.error().what;
    CHECK(error == "");
  };
  set("node_id", "7");
  CHECK(c.node_id == NodeId(7));
  set("data_dir", "/somewhere/else");
  CHECK(c.data_dir == "/somewhere/else");
  set("rack", "");
  CHECK(c.rack.empty());
  set("voters", "1@127.0.0.1:9192, 2@[::1]:9292,3@three:9392");
  REQUIRE(c.voters.size() == 3);
  CHECK(c.voters[0].id == NodeId(1));
  CHECK(c.voters[1].address.port == 9292);
  CHECK(c.voters[2].address == net::Address{"three", 9392});
  set("listen.kafka", "127.0.0.1:1");
  CHECK(c.listen.kafka.port == 1);
  CHECK(c.advertised().port == 1);
  set("listen.advertise", "outside:2");
  CHECK(c.advertised() == net::Address{"outside", 2});
  set("broker.auto.create.topics.enable", "false");
  CHECK_FALSE(c.broker.auto_create_topics_enable);
  set("broker.default.replication.factor", "-1");
  CHECK(c.broker.default_replication_factor == -1);
  set("broker.num.partitions", "12");
  CHECK(c.broker.num_partitions == 12);
  set("broker.max.connections", "77");
  CHECK(c.limits.connections == 77);
  set("broker.connections.max.idle.ms", "1500");
  CHECK(c.limits.connection_max_idle == 1500ms);
  set("broker.socket.request.max.bytes", "2000000");
  CHECK(c.limits.request_max_bytes == 2'000'000);
  set("broker.fetch.max.bytes", "3000000");
  CHECK(c.limits.answer_max_bytes == 3'000'000);
  set("timing.heartbeat_ms", "20");
  CHECK(c.timing.heartbeat == 20ms);
  set("timing.link_timeout_ms", "700");
  CHECK(c.timing.link_timeout == 700ms);
  set("timing.election_timeout_ms", "300, 600");
  CHECK(c.timing.election_min == 300ms);
  CHECK(c.timing.election_max == 600ms);
  set("journal.segment_mib", "8");
  CHECK(c.journal.segment_bytes == 8u << 20);
  CHECK(c.journal.copy_check);
  set("journal.copy_check", "false");
  CHECK_FALSE(c.journal.copy_check);
}

TEST_CASE("given a value that its key cannot take, when it is set, then key, value and reason are named") {
  CHECK(refused("node_id", "one") == "node_id = one: 'one' is not an integer");
  CHECK(refused("node_id", "1x") == "node_id = 1x: '1x' is not an integer");
  CHECK(has(refused("node_id", "-1"), "-1 is not between 0 and"));
  CHECK(has(refused("node_id", "99999999999999999999"), "not an integer"));
  CHECK(has(refused("voters", "127.0.0.1:9192"), "is not id@host:port"));
  CHECK(has(refused("voters", "x@127.0.0.1:9192"), "not an integer"));
  CHECK(refused("listen.kafka", "nowhere").starts_with("listen.kafka = nowhere: "));
  CHECK(refused("listen.peer", "host:65536").starts_with("listen.peer = host:65536: "));
  CHECK(has(refused("broker.auto.create.topics.enable", "yes"), "neither true nor false"));
  CHECK(has(refused("journal.copy_check", "no"), "neither true nor false"));
  CHECK(has(refused("broker.num.partitions", "0"), "not between 1 and"));
  CHECK(has(refused("timing.heartbeat_ms", "0"), "not between 1 and"));
  CHECK(has(refused("timing.election_timeout_ms", "500"), "expected two values"));
  CHECK(has(refused("journal.segment_mib", "0"), "not between 1 and"));
}

TEST_CASE("given an unknown key, when it is set, then the nearest one is named") {
  Config c;
  CHECK(set_config_value(c, "node.id", "1").is(Errc::not_found));
  CHECK(refused("node.id", "1") == "unknown key 'node.id'; did you mean 'node_id'?");
  CHECK(refused("broker.num.partition", "1") == "unknown key 'broker.num.partition'; did you mean 'broker.num.partitions'?");
  CHECK(refused("timing.heartbeat", "1") == "unknown key 'timing.heartbeat'; did you mean 'timing.heartbeat_ms'?");
}

TEST_CASE("given the defaults, then they are valid, with each permitted number of voters") {
  CHECK(invalid([](Config&) {}) == "");
  for (int count : {0, 1, 3, 5, 7}) CHECK(invalid([&](Config& c) { c.voters = voters(count); }) == "");
}

TEST_CASE("given a configuration that cannot work, when it is validated, then the key is named") {
  CHECK(has(invalid([](Config& c) { c.node_id = NodeId(-1); }), "node_id"));
  CHECK(has(invalid([](Config& c) { c.data_dir.clear(); }), "data_dir"));
  for (int count : {2, 4, 6, 8, 9}) CHECK(has(invalid([&](Config& c) { c.voters = voters(count); }), "use 1, 3, 5 or 7"));
  CHECK(has(invalid([](Config& c) {
              c.voters = voters(3);
              c.voters[2].id = c.voters[0].id;
            }),
            "appears twice"));
  CHECK(has(invalid([](Config& c) { c.timing.heartbeat = 0ms; }), "timing.heartbeat_ms"));
  CHECK(has(invalid([](Config& c) { c.timing.election_max = c.timing.election_min - 1ms; }), "must not exceed"));
  CHECK(has(invalid([](Config& c) { c.timing.election_min = 2 * c.timing.heartbeat - 1ms; }), "must be at least twice"));
  CHECK(invalid([](Config& c) { c.timing.election_min = 2 * c.timing.heartbeat; }) == "");
  CHECK(has(invalid([](Config& c) { c.timing.session_timeout = 2 * c.timing.heartbeat - 1ms; }), "timing.session_timeout_ms"));
  CHECK(has(invalid([](Config& c) { c.timing.link_timeout = 3 * c.timing.heartbeat - 1ms; }), "timing.link_timeout_ms"));
  CHECK(invalid([](Config& c) { c.timing.link_timeout = 3 * c.timing.heartbeat; }) == "");
  CHECK(has(invalid([](Config& c) { c.timing.replica_lag_time_max = 0ms; }), "timing.replica_lag_time_max_ms"));
  for (int32_t n : {0, -2}) {
    CHECK(has(invalid([&](Config& c) { c.broker.default_replication_factor = n; }), "broker.default.replication.factor"));
    CHECK(has(invalid([&](Config& c) { c.broker.min_insync_replicas = n; }), "broker.min.insync.replicas"));
  }
  CHECK(has(invalid([](Config& c) { c.broker.num_partitions = 0; }), "broker.num.partitions"));
  CHECK(has(invalid([](Config& c) { c.limits.request_max_bytes = 1'000'000; }), "broker.socket.request.max.bytes"));
  CHECK(has(invalid([](Config& c) { c.broker.message_max_bytes = 1023; }), "broker.message.max.bytes"));
  CHECK(has(invalid([](Config& c) { c.journal.segment_bytes = 6000; }), "journal.segment_mib"));
  CHECK(has(invalid([](Config& c) { c.journal.budget_bytes = 4 * c.journal.segment_bytes - 1; }), "journal.budget_mib"));
}

TEST_CASE("given a TOML file, when it is loaded, then tables, dotted keys and lists reach their keys") {
  TempFile file(R"(node_id = 3
voters = ["1@a:1", "2@b:2", "3@c:3"]
[listen]
kafka = "0.0.0.0:9000"
[broker]
num.partitions = 4
auto.create.topics.enable = false
[timing]
election_timeout_ms = [700, 900]
)");
  Config c;
  Result<> loaded = load_config_file(c, file.path());
  std::string error = loaded ? "" : loaded.error().what;
  REQUIRE(error == "");
  CHECK(c.node_id == NodeId(3));
  CHECK(c.voters.size() == 3);
  CHECK(c.listen.kafka == net::Address{"0.0.0.0", 9000});
  CHECK(c.broker.num_partitions == 4);
  CHECK_FALSE(c.broker.auto_create_topics_enable);
  CHECK(c.timing.election_max == 900ms);
}

TEST_CASE("given a TOML file with a mistake, when it is loaded, then file and line are named") {
  auto wrong = [](std::string_view text) {
    TempFile file(text);
    Config c;
    Result<> loaded = load_config_file(c, file.path());
    REQUIRE(loaded.is(Errc::invalid));
    REQUIRE(loaded.error().what.starts_with(file.path()));
    return loaded.error().what.substr(file.path().size());
  };
  CHECK(wrong("node_id = 1\n\nrak = \"a\"\n") == ":3: unknown key 'rak'; did you mean 'rack'?");
  CHECK(wrong("[timing]\nheartbeat_ms = \"soon\"\n") == ":2: timing.heartbeat_ms = soon: 'soon' is not an integer");
  CHECK(wrong("[timing]\n\nheartbeat_ms = 1.5\n").starts_with(":3: expected a string, an integer"));
  CHECK(wrong("node_id = 1\nnode_id = 2\n").starts_with(":2: "));
  CHECK(wrong("rack = \n").starts_with(":1: "));
}

TEST_CASE("given no such file, when it is loaded, then it is not found") {
  Config c;
  CHECK(load_config_file(c, "/nonexistent/stormglass.toml").is(Errc::not_found));
}

TEST_CASE("given file, flag and --set for one key, when the command line is parsed, then --set beats the flag and the flag the file") {
  TempFile file("node_id = 1\nrack = \"file\"\ndata_dir = \"file\"\n");
  CommandLine line =
      command_line({"--set", "node_id=3", "--set", "broker.num.partitions=5", "--node-id", "2", "--rack", "flag", "--config", file.path()});
  CHECK_FALSE(line.exit_code.has_value());
  CHECK(line.config.node_id == NodeId(3));
  CHECK(line.config.rack == "flag");
  CHECK(line.config.data_dir == "file");
  CHECK(line.config.broker.num_partitions == 5);
  CHECK_FALSE(line.check_only);
}

TEST_CASE("given switches, when the command line is parsed, then they are set") {
  CommandLine line = command_line({"--check", "--verbose", "--no-io-uring"});
  CHECK_FALSE(line.exit_code.has_value());
  CHECK(line.check_only);
  CHECK(line.verbose);
  CHECK(line.no_io_uring);
}

TEST_CASE("given a command line that cannot be followed, when it is parsed, then the program is to end with 2, and with 0 after help") {
  CHECK(command_line({"--no-such-flag"}).exit_code == 2);
  CHECK(command_line({"--set", "node_id"}).exit_code == 2);
  CHECK(command_line({"--set", "node_id=x"}).exit_code == 2);
  CHECK(command_line({"--set", "broker.num.partitions=0"}).exit_code == 2);
  CHECK(command_line({"--voters", "1@a:1,2@b:2"}).exit_code == 2);
  CHECK(command_line({"--config", "/nonexistent/stormglass.toml"}).exit_code == 2);
  CHECK(command_line({"--help"}).exit_code == 0);
}

TEST_CASE(
    "given a limit on descriptors, when the configuration is fitted to it, then connections leave room for the journal and the peers") {
  Config roomy;
  REQUIRE(fit_to_descriptors(roomy, 100'000));
  CHECK(roomy.limits.connections == Config().limits.connections);
  CHECK(roomy.limits.peer_connections == Config().limits.peer_connections);

  Config tight;
  tight.voters = voters(3);
  REQUIRE(fit_to_descriptors(tight, 1024));
  const size_t segments = tight.journal.budget_bytes / tight.journal.segment_bytes;
  CHECK(tight.limits.connections + tight.limits.peer_connections + segments < 1024);
  CHECK(tight.limits.connections > 500);
  CHECK(tight.limits.peer_connections > 100);

  Config none;
  Result<> fits = fit_to_descriptors(none, 64);
  REQUIRE(fits.is(Errc::invalid));
  CHECK(has(fits.error().what, "ulimit -n"));
}
