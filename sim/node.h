// A node of the world: a machine with a disk, a network address and a clock, and at times a process that runs a program on it.
//
// How its process dies (architecture §2): its Life ends, which poisons every handle and disconnects it from trace and observers;
// network and disk decide what remains; every fiber is resumed with Errc::stopped and returns by ordinary means, before die() or the
// turn in which it struck returns. So a node that is down has no fiber and no handle, and its disk is all that is left of it.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/scheduler.h"
#include "sim/clock.h"
#include "sim/disk.h"
#include "sim/life.h"
#include "sim/network.h"

namespace sg::sim {

class World;

// What a program is given: the four interfaces, where its fibers run, and where its log goes.
struct NodeEnv {
  Scheduler& scheduler;
  const Clock& clock;
  net::Network& network;
  disk::Disk& disk;
  Rng rng;  // another stream for each incarnation
  Log log;
  std::string host;               // the name under which others reach it
  uint64_t incarnation;           // 1, 2, …
  std::function<void()> on_stop;  // set by the program: asks it to stop in an orderly way (SIGTERM). Must not suspend.
};

// The program's main. Its objects live on this fiber's stack; when it returns, the process has exited with that code.
using Program = std::function<int(Task&, NodeEnv&)>;

struct NodeOptions {
  DiskOptions disk;
  Time clock_origin{1'000'000'000};
  int64_t clock_drift_ppm = 0;
  Duration wall_offset{0};
  Duration wake_min = 1us;  // from an event to the turn of the fiber that waits for it
  Duration wake_max = 5us;
};

class Node final : private EventHandler, private Life::Mortal, private LogSink {
 public:
  Node(World& world, uint32_t index, std::string name, Program program, const NodeOptions& options);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const std::string& name() const { return name_; }
  // Under which name others reach it; its own unless it was moved.
  const std::string& host() const { return host_; }
  // The machine gets another address, while no process runs. Its former one leads to it too (`follows`), or to nobody.
  void move(std::string host, bool follows);
  uint32_t index() const { return index_; }
  bool running() const { return process_ != nullptr; }
  uint64_t incarnation() const { return incarnation_; }
  // Of the last process that returned by itself; nullopt after a death or while it runs.
  std::optional<int> exit_code() const { return exit_code_; }
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  SimClock& clock() { return clock_; }
  const NodeOptions& options() const { return options_; }

  // Powers the machine on if needed and starts a new process. It is not running.
  void start();
  // Asks the program to stop (NodeEnv::on_stop); it exits in its own time. No effect while it is down or without a hook.
  void stop();
  // kill, power_cut or wipe. The last two also take effect on a machine whose process is down. Also from within a call of the node.
  void die(Death death);

  // Arms a death at a crash point, beside those that are armed.
  void arm(ArmedDeath death);
  void disarm() { armed_.clear(); }

  // No process runs until then (SIGSTOP); with `stop_clock` the monotonic clock stands still too (a suspended machine). Of several ends the
  // last one counts.
  void stall(Time until, bool stop_clock);
  void end_stall();
  bool stalled() const;
  // The clock runs faster by so many parts per million than by itself, as far as a clock can.
  void set_drift(int64_t ppm);
  // Until when the last stall holds, or held.
  Time last_stall_end() const { return std::max(stalled_until_, stall_ended_); }

  // Called with each end of a process, after all its fibers have returned: (exit code, or nullopt after a death).
  void set_on_end(std::function<void(Node&, std::optional<int>)> hook) { on_end_ = std::move(hook); }

  // Lines "task: what it waits for", for a person.
  std::string describe_tasks() const;

 private:
  struct Process;

  void on_event(uint64_t ticket) override;
  void die_now(Death death) override;
  bool enabled(LogLevel level) const override;
  void write(LogLevel level, std::string_view component, std::string_view message) override;

  void schedule_turn(Time time);
  void turn();
  void after_turn();
  void await_deadline();
  void unwind();
  void finish();

  World& world_;
  uint32_t index_;
  std::string name_;
  std::string host_;
  Program program_;
  NodeOptions options_;
  Rng rng_;
  Rng wake_rng_;
  SimClock clock_;
  SimDisk disk_;
  std::vector<ArmedDeath> armed_;
  std::unique_ptr<Process> process_;
  uint64_t incarnation_ = 0;
  std::optional<int> exit_code_;
  Time turn_at_ = Time::never();  // of the one turn that counts; tickets of others are stale
  uint64_t ticket_ = 0;
  Time stalled_until_;
  Time stall_ended_;  // of the last that end_stall() has ended
  bool in_turn_ = false;
  std::function<void(Node&, std::optional<int>)> on_end_;
};

}  // namespace sg::sim
