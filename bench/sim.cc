// What the simulator costs, on fixed work (bench/README.md): CPU time per event, per acknowledged record and per run, the share of the
// checks, start and memory of a run, and whether an event costs the same when the log is long. CPU time of this process only, and
// everything that is compared is run in turn, so that other work on the machine disturbs it little.
//
// usage: sim [--json]        run from anywhere; finds its scenarios beside its source
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <vector>

#include "scenarios/run.h"
#include "scenarios/scenario_file.h"

namespace {

using namespace sg;
using namespace sg::scenario;

constexpr int kRounds = 5;
constexpr uint64_t kSeeds = 20;        // of leader_kill, a round
constexpr uint64_t kSmallSeeds = 100;  // of small, a round

int64_t cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

Scenario load(const char* name) {
  const std::string path = scenario_folder() + "/../bench/" + name + ".toml";
  auto scenario = load_scenario_file(path);
  if (!scenario) {
    fmt::print(stderr, "sim: {}\n", scenario.error().what);
    std::exit(2);
  }
  return std::move(*scenario);
}

// The figures of one round of runs.
struct Sum {
  int64_t cpu = 0;
  int64_t start_cpu = 0;  // until the first event could run
  uint64_t runs = 0;
  uint64_t events = 0;
  uint64_t acked = 0;
  int64_t sim_ns = 0;
};

Sum measure(const Scenario& scenario, uint64_t seeds, bool checks, sim::Pools& pools) {
  Sum sum;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    const int64_t begun = cpu_ns();
    bool started = false;
    RunOptions options;
    options.judging = checks ? Judging::all : Judging::nothing;
    options.progress = [&](const Progress&) {
      if (!std::exchange(started, true)) sum.start_cpu += cpu_ns() - begun;
    };
    RunRecord result = run_once(scenario, seed, pools, options);
    sum.cpu += cpu_ns() - begun;
    if (!result.passed()) {
      fmt::print(stderr, "sim: {}: {}\n", verdict_line(result), result.text);
      std::exit(1);
    }
    ++sum.runs;
    sum.events += result.events;
    sum.acked += result.acked;
    sum.sim_ns += result.sim_ns;
  }
  return sum;
}

struct Row {
  std::string what;
  std::string unit;
  std::vector<double> values;  // one a round
  std::string first_mark;
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

// The cost of an event while the log grows: per simulated second of one run, (records so far, ns per event).
std::vector<std::pair<uint64_t, double>> growth(const Scenario& scenario, sim::Pools& pools) {
  std::vector<std::pair<uint64_t, double>> out;
  Progress last;
  int64_t last_cpu = 0;
  RunOptions options;
  options.progress = [&](const Progress& p) {
    const int64_t now = cpu_ns();
    if (last_cpu != 0 && p.events > last.events)
      out.emplace_back(p.sends, static_cast<double>(now - last_cpu) / static_cast<double>(p.events - last.events));
    last = p;
    last_cpu = cpu_ns();
  };
  (void)run_once(scenario, 1, pools, options);
  return out;
}

// Peak memory of a process that makes one run after the other.
double peak_mib(const Scenario& scenario, uint64_t seeds) {
  const pid_t child = ::fork();
  if (child == 0) {
    sim::Pools pools;
    (void)measure(scenario, seeds, true, pools);
    ::_exit(0);
  }
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  mallopt(M_MMAP_THRESHOLD, 256 << 20);  // as stormglass itself does
  mallopt(M_TRIM_THRESHOLD, 512 << 20);
  const Scenario kill = load("leader_kill");
  const Scenario small = load("small");
  const Scenario long_log = load("long");

  Row event{"CPU per event, leader_kill, all checks", "ns", {}, "<= 1500"};
  Row records{"acknowledged records per CPU-s, leader_kill", "/s", {}, ">= 25000"};
  Row small_runs{"small scenarios per CPU-s", "/s", {}, ">= 200"};
  Row simulated{"simulated s per CPU-s, leader_kill", "", {}, ""};
  Row start{"start of a run, CPU", "us", {}, "<= 1000"};
  Row share{"share of all checks", "%", {}, "< 40"};
  Row memory{"peak memory of a process that runs leader_kill", "MiB", {}, "< 64"};
  Row growing{"CPU per event after 100,000 records / after the first 1,000", "x", {}, ""};

  memory.values.push_back(peak_mib(kill, kSeeds));
  sim::Pools pools;
  (void)measure(kill, 2, true, pools);  // warms the pools
  for (int round = 0; round < kRounds; ++round) {
    const Sum with = measure(kill, kSeeds, true, pools);
    const Sum without = measure(kill, kSeeds, false, pools);
    const Sum tiny = measure(small, kSmallSeeds, true, pools);
    const auto cpu_s = [](const Sum& s) { return static_cast<double>(s.cpu) / 1e9; };
    event.values.push_back(static_cast<double>(with.cpu) / static_cast<double>(with.events));
    records.values.push_back(static_cast<double>(with.acked) / cpu_s(with));
    simulated.values.push_back(static_cast<double>(with.sim_ns) / 1e9 / cpu_s(with));
    start.values.push_back(static_cast<double>(with.start_cpu) / 1e3 / static_cast<double>(with.runs));
    small_runs.values.push_back(static_cast<double>(tiny.runs) / cpu_s(tiny));
    share.values.push_back(100.0 * (1 - static_cast<double>(without.cpu) / static_cast<double>(with.cpu)));
  }
  for (int round = 0; round < 3; ++round) {
    const auto costs = growth(long_log, pools);
    double early = 0, late = 0;
    for (const auto& [sent, ns] : costs) {
      if (early == 0 && sent >= 1000) early = ns;
      if (sent <= 105'000) late = ns;
    }
    growing.values.push_back(early == 0 ? 0 : late / early);
  }

  for (const Row& row : {event, records, small_runs, simulated, start, share, memory, growing}) {
    const auto [low, high] = std::minmax_element(row.values.begin(), row.values.end());
    if (json)
      fmt::print("{{\"what\": \"{}\", \"unit\": \"{}\", \"median\": {:.3f}, \"min\": {:.3f}, \"max\": {:.3f}}}\n", row.what, row.unit,
                 median(row.values), *low, *high);
    else
      fmt::print("{:<62} {:>10.2f} {:<3} [{:.2f} .. {:.2f}]  {}\n", row.what, median(row.values), row.unit, *low, *high, row.first_mark);
  }
}
