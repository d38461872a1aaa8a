#include "scenarios/bench/bench.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <memory>

#include "scenarios/bench/load.h"

namespace sg::scenario {
namespace {

using Body = BenchExit (*)(Task&, BenchWorld&, const BenchOptions&);

// As they were typed.
struct Arguments {
  BenchOptions options;
  std::vector<std::string> bootstrap;
  std::string acks = "all";
  std::vector<std::string> pids;
};

template <class T>
bool parse_number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Result<BenchOptions> read_arguments(const Arguments& arguments) {
  BenchOptions out = arguments.options;
  out.acks = arguments.acks == "all" ? int16_t{-1} : arguments.acks == "1" ? int16_t{1} : int16_t{0};
  for (const std::string& text : arguments.bootstrap) {
    TRY(net::Address address, net::parse_address(text));
    out.bootstrap.push_back(std::move(address));
  }
  for (const std::string& text : arguments.pids) {
    const size_t equals = text.find('=');
    int32_t node = -1;
    pid_t pid = 0;
    // A pid of 0 or below would mean a whole group of processes to kill().
    if (equals == std::string::npos || !parse_number(std::string_view(text).substr(0, equals), node) ||
        !parse_number(std::string_view(text).substr(equals + 1), pid) || pid <= 1)
      return fail(Errc::invalid, fmt::format("--pid {}: expected NODE=PID", text));
    out.pids[NodeId(node)] = pid;
  }
  return out;
}

int run(const Arguments& arguments, Body body) {
  auto options = read_arguments(arguments);
  if (!options) {
    fmt::print(stderr, "stormglass bench: {}\n", options.error().what);
    return static_cast<int>(BenchExit::usage);
  }
  return static_cast<int>(run_in_real_world([&](Task& task, BenchWorld& world) { return body(task, world, *options); }));
}

}  // namespace

void add_bench_command(CLI::App& app, std::function<int()>& chosen) {
  CLI::App* bench = app.add_subcommand("bench", "our own client as a load generator against a real cluster");
  bench->require_subcommand(1);
  auto add = [&](const char* name, const char* about, Body body, int32_t seconds) {
    auto arguments = std::make_shared<Arguments>();
    BenchOptions& o = arguments->options;
    o.seconds = seconds;
    CLI::App* command = bench->add_subcommand(name, about);
    command->add_option("--bootstrap", arguments->bootstrap, "host:port,...")->required()->delimiter(',');
    command->add_option("--topic", o.topic, "created if it is not there")->required();
    command->add_option("--partitions", o.partitions, "partitions 0 to P-1 are written")->check(CLI::Range(1, 10'000));
    command->add_option("--size", o.size, "bytes of a value")->check(CLI::Range(1, 1'000'000));
    command->add_option("--seconds", o.seconds, "of load; failover: before the kill")->check(CLI::Range(1, 86'400));
    command->add_option("--json", o.json, "write the figures to this file");
    if (std::string_view(name) == "failover") {
      command->add_option("--pid", arguments->pids, "NODE=PID; the leader's process is killed")->required();
    } else {
      command->add_option("--acks", arguments->acks)->check(CLI::IsMember({"0", "1", "all"}));
      const bool one_by_one = body == bench_latency;
      if (one_by_one) o.in_flight = 1;
      command->add_option("--in-flight", o.in_flight, "batches per partition")->check(CLI::Range(1, one_by_one ? 1 : 1000));
    }
    command->callback([&chosen, arguments, body] { chosen = [arguments, body] { return run(*arguments, body); }; });
  };
  add("produce", "throughput: pipelined batches of up to 16 KiB or 1,000 records", bench_produce, 10);
  add("latency", "one record in flight", bench_latency, 10);
  add("failover", "kills the leader, and reports the time to the next acknowledged write", bench_failover, 3);
}

}  // namespace sg::scenario
