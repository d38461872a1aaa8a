// stormglassd: the production main. The one place of the broker that names production implementations.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "base/ensure.h"
#include "broker/config_file.h"
#include "broker/node.h"
#include "broker/offline.h"
#include "broker/stderr_log.h"
#include "disk/file_disk.h"
#include "net/descriptor_limit.h"
#include "net/event_loop.h"
#include "net/line_writer.h"
#include "net/poller.h"
#include "net/process_signals.h"
#include "net/socket_network.h"

namespace {

using namespace sg;

// The log of this process, for what is said when it must end at once.
net::LineWriter* g_log_lines = nullptr;

std::string lost_line(uint64_t lost) {
  return broker::log_line(LogLevel::warn, "log", fmt::format("lines_lost count={} reason=\"standard error was not read\"", lost));
}

int refuse(net::LineWriter& out, std::string_view what) {
  out.write(fmt::format("stormglassd: {}\n", what));
  return broker::kExitRefused;
}

// Seeds election timeouts and the like; nothing needs to be secret or reproducible here.
uint64_t entropy() {
  uint64_t seed = 0;
  if (std::FILE* f = std::fopen("/dev/urandom", "rb")) {
    (void)!std::fread(&seed, sizeof seed, 1, f);
    std::fclose(f);
  }
  return seed;
}

int run(broker::CommandLine& line) {
  // They outlive everything that may still have something to say.
  net::LineWriter log_lines(STDERR_FILENO, lost_line);
  net::LineWriter output(STDOUT_FILENO);
  g_log_lines = &log_lines;
  set_ensure_hook([](const std::string&) { (void)g_log_lines->flush(net::LineWriter::kFarewell); });
  auto sink = broker::make_stderr_log(line.verbose, [&](std::string_view text) { log_lines.write(text); });
  Log log(*sink, "main");
  const size_t descriptors = net::raise_descriptor_limit();
  const size_t connections = line.config.limits.connections;
  if (Result<> fits = broker::fit_to_descriptors(line.config, descriptors); !fits) return refuse(log_lines, fits.error().what);
  if (line.config.limits.connections < connections)
    log.warn("fewer_connections limit={} configured={} descriptors={}", line.config.limits.connections, connections, descriptors);
  auto poller = net::make_poller(line.no_io_uring ? net::PollerPreference::epoll : net::PollerPreference::automatic, log);
  auto signals = net::ProcessSignals::open(*poller);
  if (!signals) return refuse(log_lines, signals.error().what);
  auto disk = disk::FileDisk::open(*poller, line.config.data_dir);
  if (!disk) return refuse(log_lines, disk.error().what);
  net::SocketNetwork network(*poller);
  for (const net::Address& address : {line.config.listen.kafka, line.config.listen.peer})
    if (Result<> known = network.know(address); !known) return refuse(log_lines, known.error().what);
  SystemClock clock;
  StackPool stacks;
  Scheduler scheduler(clock, stacks, "node");

  int exit_code = broker::kExitOk;
  bool ended = false;
  broker::NodeCallbacks callbacks;
  NodeId id = line.config.node_id;
  callbacks.ready = [&, id](const net::Address& kafka, const net::Address& peer) {
    output.write(fmt::format("READY node={} kafka={} peer={}\n", id, to_string(kafka), to_string(peer)));
  };
  callbacks.failed = [&](const std::string& what) { log_lines.write(fmt::format("stormglassd: {}\n", what)); };
  broker::Node node({scheduler, clock, network, **disk, Rng(entropy()), log}, line.config, std::move(callbacks));
  TaskRef watcher = scheduler.spawn("signals", [&](Task& task) {
    if (auto signal = (*signals)->wait(task)) node.request_stop();
  });
  scheduler.spawn("node", [&](Task& task) {
    exit_code = node.run(task);
    ended = true;
    scheduler.request_stop(watcher);
  });
  net::run_event_loop(scheduler, *poller, clock, [&] { return ended && scheduler.live() == 0; });
  return exit_code;
}

// inspect, adopt, accept-damage: the node is stopped, so there is only its disk.
int run_offline(const broker::CommandLine& line) {
  const std::string& root = line.offline->directory;
  net::LineWriter log_lines(STDERR_FILENO);
  std::error_code ignored;
  if (!std::filesystem::is_directory(root, ignored)) return refuse(log_lines, fmt::format("{} is not a directory", root));
  auto sink = broker::make_stderr_log(line.verbose, [&](std::string_view text) { log_lines.write(text); });
  auto poller = net::make_poller(net::PollerPreference::epoll, Log(*sink, "main"));
  auto disk = disk::FileDisk::open(*poller, root);
  if (!disk) return refuse(log_lines, disk.error().what);
  SystemClock clock;
  StackPool stacks;
  Scheduler scheduler(clock, stacks, "offline");
  Result<std::string> said;
  scheduler.spawn("offline", [&](Task& task) { said = broker::run_offline(task, **disk, *line.offline, Rng(entropy())); });
  net::run_event_loop(scheduler, *poller, clock, [&] { return scheduler.live() == 0; });
  if (!said) return refuse(log_lines, said.error().what);
  fmt::print("{}", *said);
  return broker::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  sg::broker::CommandLine line = sg::broker::parse_command_line(argc, argv);
  if (line.exit_code) return *line.exit_code;
  if (line.offline) return run_offline(line);
  if (line.check_only) {
    fmt::print("configuration ok: node {}, {} listed voter(s), data in {}\n", line.config.node_id, line.config.voters.size(),
               line.config.data_dir);
    return 0;
  }
  return run(line);
}
