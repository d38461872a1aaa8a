// stormglass: the platform's command line (platform.md). Exit codes: 0 all passed, 1 a check failed, 2 wrong usage, 3 the platform itself
// failed; a run that cannot be judged is never a pass.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>

#include "scenarios/bench/bench.h"
#include "scenarios/campaign.h"
#include "scenarios/diff.h"
#include "scenarios/judge.h"
#include "scenarios/run.h"
#include "scenarios/scenario_file.h"
#include "scenarios/sweep.h"
#include "scenarios/workloads/workload.h"
#include "sim/trace_file.h"

namespace {

using namespace sg;
using namespace sg::scenario;

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kPlatform = 3;

int usage(const std::string& what) {
  fmt::print(stderr, "stormglass: {}\n", what);
  return kUsage;
}

int list() {
  fmt::print("Scenarios (stormglass run NAME --seed N, stormglass sweep NAME --seeds A..B):\n");
  int code = kPassed;
  for (const std::string& file : scenario_files()) {
    auto scenario = load_scenario_file(file);
    if (scenario) {
      fmt::print("  {:<26} {}\n", scenario->name, scenario->about);
    } else {
      code = usage(scenario.error().what);
    }
  }
  fmt::print("Workloads:\n");
  for (const WorkloadKind& kind : workload_kinds()) fmt::print("  {:<26} {}\n", kind.name, kind.about);
  fmt::print("Faults:");
  for (int i = 0; i < sim::kFaultKinds; ++i) fmt::print(" {}", sim::to_string(static_cast<sim::FaultKind>(i)));
  fmt::print("\nChecks:");
  for (size_t i = 0; i < kChecks; ++i) fmt::print(" {}", to_string(static_cast<Check>(i)));
  fmt::print(" {}\n", fmt::join(kChecksByName, " "));
  return code;
}

int exit_code(Verdict verdict) { return verdict == Verdict::pass ? kPassed : verdict == Verdict::fail ? kFailed : kPlatform; }

// Hands everything on to others: a file for the user, and the memory that a second run is compared with.
struct BothTraces final : sim::TraceSink {
  void on_event(const sim::TraceEvent& event, std::string_view text) override {
    for (sim::TraceSink* sink : sinks) sink->on_event(event, text);
  }
  std::vector<sim::TraceSink*> sinks;
};

bool write_file(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return (std::fclose(file) == 0) && written;
}

int run_command(const std::string& name, uint64_t seed, bool twice, bool histories_only, const std::string& trace_file,
                const std::string& history_file) {
  auto scenario = find_scenario(name);
  if (!scenario) return usage(scenario.error().what);
  sim::Pools pools;
  std::unique_ptr<sim::FileTrace> file;
  sim::MemoryTrace first;
  BothTraces traces;
  if (!trace_file.empty()) {
    auto created = sim::FileTrace::create(trace_file);
    if (!created) return usage(created.error().what);
    file = std::move(*created);
    traces.sinks.push_back(file.get());
  }
  if (twice) traces.sinks.push_back(&first);
  RunOptions options;
  if (histories_only) options.judging = Judging::histories;
  if (!traces.sinks.empty()) options.trace = &traces;
  History history;
  if (!history_file.empty()) options.history = &history;
  RunRecord run = run_once(*scenario, seed, pools, options);
  options.history = nullptr;
  if (!history_file.empty() && !write_file(history_file, to_json_lines(history)))
    return usage(fmt::format("{}: {}", history_file, std::strerror(errno)));
  fmt::print("{}", description(run));
  int code = exit_code(run.verdict);
  if (twice) {
    sim::MemoryTrace second;
    options.trace = &second;
    RunRecord again = run_once(*scenario, seed, pools, options);
    auto at = sim::first_difference(first, second);
    if (at) fmt::print("\nThe runs differ from event {} on:\n{}", *at, sim::describe_difference(first, second, *at));
    if (again.hash != run.hash) {
      fmt::print("The second run differs: hash {:016x}, then {:016x}\n", run.hash, again.hash);
      code = kFailed;
    } else {
      fmt::print("The second run was the same, event for event.\n");
    }
  }
  fmt::print("{}\n", verdict_line(run));
  return code;
}

int diff_command(const std::string& a, const std::string& b) {
  auto difference = diff_runs(a, b);
  if (!difference) return usage(difference.error().what);
  if (!difference->at) {
    fmt::print("The same, event for event: {} events.\n", difference->events_a);
    return kPassed;
  }
  fmt::print("{} and {} events; they differ from event {} on:\n{}", difference->events_a, difference->events_b, *difference->at,
             difference->text);
  return kFailed;
}

// "A..B", both included, or one seed.
bool parse_seeds(const std::string& text, uint64_t& first, uint64_t& last) {
  size_t dots = text.find("..");
  std::string_view a = std::string_view(text).substr(0, dots);
  std::string_view b = dots == std::string::npos ? a : std::string_view(text).substr(dots + 2);
  auto parse = [](std::string_view s, uint64_t& out) {
    auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), out);
    return error == std::errc() && end == s.data() + s.size();
  };
  return parse(a, first) && parse(b, last) && first <= last;
}

// A failure as it comes, and how it is seen again.
struct FailurePrinter final : RunSink {
  void on_run(const RunRecord& run) override {
    if (run.passed()) return;
    fmt::print("{}\n  {}\n  replay: stormglass run {} --seed {} --trace FILE\n", verdict_line(run), run.text, run.scenario, run.seed);
    std::fflush(stdout);
  }
};

// A line for each run.
class JsonFile final : public RunSink {
 public:
  explicit JsonFile(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "w")) {}
  ~JsonFile() override {
    if (file_) std::fclose(file_);
  }
  // What is wrong with the file; empty if nothing is.
  std::string error() const { return file_ && !std::ferror(file_) ? "" : fmt::format("{}: {}", path_, std::strerror(errno)); }
  void on_run(const RunRecord& run) override { fmt::print(file_, "{}\n", to_json_line(run)); }

 private:
  std::string path_;
  std::FILE* file_;
};

std::vector<std::string> scenario_names() {
  std::vector<std::string> out;
  for (const std::string& file : scenario_files()) out.push_back(std::filesystem::path(file).stem().string());
  return out;
}

// Everything that is known to a campaign, behind the sweep's own summary.
void print_campaign(const Campaign& campaign) {
  fmt::print("\n{}\n{}\nNever:\n", campaign.scenarios_table(), campaign.checks_table());
  for (const std::string& line : campaign.never()) fmt::print("  {}\n", line);
}

// What cannot be reached stands apart, with the reason.
void print_unreached(const std::vector<std::string>& probes) {
  std::vector<std::string_view> open;
  std::string never;
  for (const std::string& probe : probes) {
    const std::string_view why = unreachable(probe);
    if (why.empty())
      open.push_back(probe);
    else
      never += fmt::format("  {} ({})\n", probe, why);
  }
  if (!open.empty()) fmt::print("Probes that no run reached: {}\n", fmt::join(open, "; "));
  if (!never.empty()) fmt::print("Probes that no simulated run can reach:\n{}", never);
}

int sweep_command(const std::vector<std::string>& names, const std::string& seeds, const std::string& json, bool tables,
                  SweepOptions options) {
  std::vector<Scenario> scenarios;
  for (const std::string& name : names) {
    auto scenario = find_scenario(name);
    if (!scenario) return usage(scenario.error().what);
    scenarios.push_back(std::move(*scenario));
  }
  if (!parse_seeds(seeds, options.first_seed, options.last_seed)) return usage(fmt::format("--seeds {}: expected A..B with A <= B", seeds));
  if (options.jobs <= 0) options.jobs = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  options.progress = ::isatty(STDERR_FILENO) != 0;
  FailurePrinter failures;
  std::vector<RunSink*> sinks{&failures};
  std::optional<JsonFile> file;
  if (!json.empty()) {
    file.emplace(json);
    if (std::string error = file->error(); !error.empty()) return usage(error);
    sinks.push_back(&*file);
  }
  Campaign campaign;
  if (tables) sinks.push_back(&campaign);
  auto summary = sweep(scenarios, options, sinks);
  if (!summary) {
    fmt::print(stderr, "stormglass: {}\n", summary.error().what);
    return kPlatform;
  }
  const int64_t wall_ms = std::max<int64_t>(1, summary->wall_ns / 1'000'000);
  const uint64_t ns_per_event =
      summary->events == 0 ? 0 : static_cast<uint64_t>(summary->cpu_ns) / (summary->events * (options.twice ? 2 : 1));
  print_unreached(summary->unreached);
  fmt::print("{} runs, {} failed; {} s simulated, {} records acknowledged, {} events in {}.{:01} s ({} seeds/s, {} ns of CPU per event)\n",
             summary->runs, summary->failed, summary->sim_ns / 1'000'000'000, summary->acked, summary->events, wall_ms / 1000,
             wall_ms % 1000 / 100, summary->runs * 1000 / static_cast<uint64_t>(wall_ms), ns_per_event);
  if (tables) print_campaign(campaign);
  if (summary->failed == 0) return kPassed;
  return summary->failed > summary->vacuous ? kFailed : kPlatform;
}

}  // namespace

int main(int argc, char** argv) {
  // A run makes and frees buffers of a megabyte all the time: keep them, instead of asking the system for fresh pages each time.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 512 << 20);

  CLI::App app{"stormglass: deterministic simulation of a Kafka-compatible cluster, and load for real ones"};
  app.require_subcommand(1);
  std::function<int()> chosen;

  app.add_subcommand("list", "scenarios, with one line each; workloads, faults, checks")->callback([&] { chosen = list; });

  std::string name;
  uint64_t seed = 1;
  bool twice = false;
  std::string trace;
  CLI::App* run = app.add_subcommand("run", "one simulated run: what was drawn, what happened, the verdict");
  run->add_option("scenario", name, "a name (see list) or a TOML file")->required();
  run->add_option("--seed", seed, "decides everything")->required();
  run->add_flag("--twice", twice, "run it again and compare every event");
  bool histories_only = false;
  run->add_flag("--histories", histories_only, "judge by what clients saw alone: H and L, no E");
  run->add_option("--trace", trace, "write every event to this file");
  std::string history;
  run->add_option("--history", history, "write what clients observed to this file, one JSON line per operation");
  run->callback([&] { chosen = [&] { return run_command(name, seed, twice, histories_only, trace, history); }; });

  std::string a, b;
  CLI::App* diff = app.add_subcommand("diff", "the first event at which two runs differ: builds, machines, seeds");
  diff->add_option("a", a, "scenario:seed, or a file that run --trace wrote")->required();
  diff->add_option("b", b, "the other one")->required();
  diff->callback([&] { chosen = [&] { return diff_command(a, b); }; });

  std::vector<std::string> names;
  std::string seeds = "1..100";
  std::string json;
  SweepOptions sweep_options;
  sweep_options.jobs = 0;
  CLI::App* many = app.add_subcommand("sweep", "many seeds, on all cores");
  many->add_option("scenario", names, "names or TOML files")->required();
  many->add_option("--seeds", seeds, "A..B, both included");
  many->add_option("--jobs", sweep_options.jobs, "processes (default: one per core)");
  many->add_flag("--twice", sweep_options.twice, "run each seed twice and compare the hashes");
  many->add_flag("--until-failure", sweep_options.until_failure, "begin no seed behind the first that fails");
  many->add_flag("--histories", sweep_options.histories_only, "judge by what clients saw alone: H and L, no E");
  many->add_option("--json", json, "write one line per run to this file");
  many->callback([&] { chosen = [&] { return sweep_command(names, seeds, json, false, sweep_options); }; });

  CLI::App* all =
      app.add_subcommand("campaign", "every scenario over the same seeds: what was judged under which faults, and what was never reached");
  all->add_option("--seeds", seeds, "A..B, both included");
  all->add_option("--jobs", sweep_options.jobs, "processes (default: one per core)");
  all->add_flag("--until-failure", sweep_options.until_failure, "begin no seed behind the first that fails");
  all->add_option("--json", json, "write one line per run to this file");
  all->callback([&] { chosen = [&] { return sweep_command(scenario_names(), seeds, json, true, sweep_options); }; });

  add_bench_command(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kPassed : kUsage;
  }
  return chosen();
}
