#include "scenarios/sweep.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <set>

#include "base/archive.h"
#include "base/probe.h"
#include "scenarios/run.h"

namespace sg::scenario {
namespace {

struct Job {
  size_t scenario;
  uint64_t seed;
};

struct Worker {
  pid_t pid = -1;
  int to = -1;
  int from = -1;
  ByteVec buffer;
  int64_t busy_with = -1;  // index of the job
};

int64_t wall_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

bool write_all(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool read_all(int fd, MutableByteSpan into) {
  while (!into.empty()) {
    ssize_t n = ::read(fd, into.data(), into.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    into = into.subspan(static_cast<size_t>(n));
  }
  return true;
}

RunRecord run_job(const Scenario& scenario, uint64_t seed, sim::Pools& pools, const SweepOptions& sweep) {
  RunOptions options;
  if (sweep.histories_only) options.judging = Judging::histories;
  RunRecord run = run_once(scenario, seed, pools, options);
  if (!sweep.twice || !run.passed()) return run;
  RunRecord again = run_once(scenario, seed, pools, options);
  if (again.hash != run.hash) {
    run.verdict = Verdict::fail;
    run.check = "determinism";
    run.text = fmt::format("the same seed gave hash {:016x} and then {:016x}", run.hash, again.hash);
  }
  return run;
}

// Signals that others send: the run itself did nothing wrong.
bool is_from_outside(int signal) { return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGHUP; }

[[noreturn]] void work(int from, int to, const std::vector<Scenario>& scenarios, const std::vector<Job>& jobs,
                       const SweepOptions& options) {
  sim::Pools pools;
  uint64_t job = 0;
  while (read_all(from, {reinterpret_cast<uint8_t*>(&job), sizeof job})) {
    ByteVec bytes(4);
    pack(bytes, run_job(scenarios[jobs[job].scenario], jobs[job].seed, pools, options));
    store_le<uint32_t>(bytes.data(), static_cast<uint32_t>(bytes.size() - 4));
    if (!write_all(to, bytes)) break;
  }
  ::_exit(0);
}

class Sweep {
 public:
  Sweep(const std::vector<Scenario>& scenarios, const SweepOptions& options, const std::vector<RunSink*>& sinks)
      : scenarios_(scenarios), options_(options), sinks_(sinks) {
    for (uint64_t seed = options.first_seed; seed <= options.last_seed; ++seed)
      for (size_t s = 0; s < scenarios.size(); ++s) jobs_.push_back({s, seed});
    wanted_ = jobs_.size();
    for (const Probe& p : probes()) unreached_.emplace(p.name);
    probes_ = unreached_.size();
  }

  Result<SweepSummary> go() {
    begun_ = wall_ns();
    workers_.resize(std::min<size_t>(static_cast<size_t>(options_.jobs), std::max<size_t>(1, jobs_.size())));
    for (Worker& w : workers_) TRY_DO(start(w));
    while (done_ < wanted_) TRY_DO(turn());
    for (Worker& w : workers_) end(w);
    if (options_.progress) fmt::print(stderr, "\r\033[K");
    summary_.wall_ns = wall_ns() - begun_;
    rusage usage{};
    getrusage(RUSAGE_CHILDREN, &usage);
    summary_.cpu_ns =
        (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000'000 + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
    summary_.unreached.assign(unreached_.begin(), unreached_.end());
    return std::move(summary_);
  }

 private:
  Result<> start(Worker& w) {
    int to[2];
    int from[2];
    if (::pipe(to) != 0 || ::pipe(from) != 0) return fail(Errc::io, fmt::format("pipe: {}", std::strerror(errno)));
    std::fflush(nullptr);
    w.pid = ::fork();
    if (w.pid < 0) return fail(Errc::io, fmt::format("fork: {}", std::strerror(errno)));
    if (w.pid == 0) {
      for (const Worker& other : workers_)
        if (&other != &w && other.to >= 0) {
          ::close(other.to);
          ::close(other.from);
        }
      ::close(to[1]);
      ::close(from[0]);
      work(to[0], from[1], scenarios_, jobs_, options_);
    }
    ::close(to[0]);
    ::close(from[1]);
    w.to = to[1];
    w.from = from[0];
    w.buffer.clear();
    w.busy_with = -1;
    give_work(w);
    return {};
  }

  void give_work(Worker& w) {
    w.busy_with = -1;
    if (next_ >= wanted_) return;
    uint64_t job = next_++;
    w.busy_with = static_cast<int64_t>(job);
    (void)write_all(w.to, {reinterpret_cast<const uint8_t*>(&job), sizeof job});
  }

  void end(Worker& w) {
    ::close(w.to);
    ::close(w.from);
    int status = 0;
    ::waitpid(w.pid, &status, 0);
  }

  Result<> turn() {
    std::vector<pollfd> fds;
    for (const Worker& w : workers_) fds.push_back({w.from, POLLIN, 0});
    ::poll(fds.data(), fds.size(), 200);
    for (size_t i = 0; i < workers_.size(); ++i)
      if (fds[i].revents != 0) TRY_DO(receive(workers_[i]));
    show_progress();
    return {};
  }

  Result<> receive(Worker& w) {
    uint8_t chunk[65536];
    ssize_t n = ::read(w.from, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) return {};
    if (n <= 0) return crashed(w);
    w.buffer.insert(w.buffer.end(), chunk, chunk + n);
    while (w.buffer.size() >= 4) {
      size_t length = load_le<uint32_t>(w.buffer.data());
      if (w.buffer.size() < 4 + length) break;
      TRY(RunRecord run, unpack<RunRecord>(ByteSpan(w.buffer).subspan(4, length)));
      w.buffer.erase(w.buffer.begin(), w.buffer.begin() + static_cast<int64_t>(4 + length));
      finish(run);
      give_work(w);
    }
    return {};
  }

  Result<> crashed(Worker& w) {
    int status = 0;
    ::close(w.to);
    ::close(w.from);
    ::waitpid(w.pid, &status, 0);
    if (w.busy_with >= 0) {
      const Job& job = jobs_[static_cast<size_t>(w.busy_with)];
      const bool signaled = WIFSIGNALED(status);
      RunRecord run;
      run.scenario = scenarios_[job.scenario].name;
      run.seed = job.seed;
      const std::string why = signaled ? fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                                       : fmt::format("exit code {}", WEXITSTATUS(status));
      if (signaled && is_from_outside(WTERMSIG(status))) {
        run.check = fmt::format("its process was ended from outside by {}", why);
      } else {
        run.verdict = Verdict::fail;
        run.check = "crash";
        run.text = fmt::format("the run ended its process: {}; what it said is on standard error above", why);
      }
      finish(run);
    }
    return start(w);
  }

  void finish(const RunRecord& run) {
    ++done_;
    ++summary_.runs;
    summary_.events += run.events;
    summary_.acked += run.acked;
    summary_.sim_ns += run.sim_ns;
    for (const auto& [check, facts] : run.judged) summary_.judged[check] += facts;
    for (const std::string& probe : run.probes) unreached_.erase(probe);
    if (!run.passed()) {
      ++summary_.failed;
      if (run.verdict == Verdict::vacuous) ++summary_.vacuous;
      if (options_.until_failure) wanted_ = next_;  // jobs are given out in order: each that comes before this one is under way
      if (options_.progress) fmt::print(stderr, "\r\033[K");
    }
    for (RunSink* sink : sinks_) sink->on_run(run);
  }

  void show_progress() {
    if (!options_.progress) return;
    const int64_t now = wall_ns();
    if (now - shown_ < 200'000'000) return;
    shown_ = now;
    const int64_t ms = std::max<int64_t>(1, (now - begun_) / 1'000'000);
    const uint64_t done = done_;
    const uint64_t eta = done == 0 ? 0 : static_cast<uint64_t>(ms) * (jobs_.size() - done) / done / 1000;
    fmt::print(stderr, "\r\033[K{}/{} runs  {} seeds/s  {} simulated s  ETA {}:{:02}  {} failed  {} of {} probes not yet reached", done,
               jobs_.size(), done * 1000 / static_cast<uint64_t>(ms), summary_.sim_ns / 1'000'000'000, eta / 60, eta % 60, summary_.failed,
               unreached_.size(), probes_);
    std::fflush(stderr);
  }

  const std::vector<Scenario>& scenarios_;
  const SweepOptions& options_;
  const std::vector<RunSink*>& sinks_;
  std::vector<Job> jobs_;
  size_t next_ = 0;
  size_t wanted_ = 0;  // jobs behind it are not begun
  size_t done_ = 0;
  std::vector<Worker> workers_;
  std::set<std::string> unreached_;  // probes
  size_t probes_ = 0;
  SweepSummary summary_;
  int64_t begun_ = 0;
  int64_t shown_ = 0;
};

}  // namespace

Result<SweepSummary> sweep(const std::vector<Scenario>& scenarios, const SweepOptions& options, const std::vector<RunSink*>& sinks) {
  return Sweep(scenarios, options, sinks).go();
}

}  // namespace sg::scenario
