#include "sim/node.h"

#include <algorithm>

#include "base/probe.h"
#include "sim/world.h"

namespace sg::sim {

// All that ends with the process. Members die in reverse order: the fibers are gone before anything they refer to.
struct Node::Process {
  Process(Node& node, uint64_t incarnation, Rng rng)
      : life(node.world_.queue_, node.world_.trace_, node.index_, node, node.armed_),
        scheduler(node.clock_, node.world_.pools_.stacks, node.name_),
        network(node.world_.network_.endpoint(node.index_, life)),
        disk(node.disk_.endpoint(life)),
        env{scheduler, node.clock_, *network, *disk, rng, Log(node, node.name_), node.host_, incarnation, nullptr} {}

  Life life;
  Scheduler scheduler;
  std::unique_ptr<net::Network> network;
  std::unique_ptr<disk::Disk> disk;
  NodeEnv env;
  std::optional<int> exit_code;  // the program has returned
};

Node::Node(World& world, uint32_t index, std::string name, Program program, const NodeOptions& options)
    : world_(world),
      index_(index),
      name_(std::move(name)),
      host_(name_),
      program_(std::move(program)),
      options_(options),
      rng_(world.rng("node").split(name_)),
      wake_rng_(rng_.split("wake")),
      clock_(world.queue_, options.clock_origin),
      disk_(world.queue_, world.trace_, world.pools_.pages, rng_.split("disk"), index, options.disk) {
  if (options_.clock_drift_ppm != 0) clock_.set_drift(options_.clock_drift_ppm);
  clock_.set_wall_offset(options_.wall_offset);
}

Node::~Node() {
  on_end_ = nullptr;
  if (process_) die(Death::kill);
}

void Node::start() {
  ENSURE(!process_, "node {} is running", name_);
  world_.network_.power_on(index_);
  ++incarnation_;
  exit_code_.reset();
  clock_.refresh();
  process_ = std::make_unique<Process>(*this, incarnation_, rng_.split("process", incarnation_));
  process_->life.trace(TraceKind::node_start, incarnation_);
  process_->scheduler.set_on_ready(
      [this] { schedule_turn(world_.now() + Duration(wake_rng_.between(options_.wake_min.count(), options_.wake_max.count()))); });
  process_->scheduler.spawn("main", [this](Task& task) {
    int code = program_(task, process_->env);
    process_->env.on_stop = nullptr;
    process_->exit_code = code;
  });
}

void Node::move(std::string host, bool follows) {
  ENSURE(!process_, "node {} is running", name_);
  host_ = std::move(host);
  world_.network_.rename_host(index_, host_, follows);
}

void Node::stop() {
  if (!process_ || !process_->env.on_stop) return;
  process_->life.trace(TraceKind::node_stop, incarnation_);
  clock_.refresh();
  process_->env.on_stop();
}

// --- turns ---------------------------------------------------------------------------------------------------------------------

void Node::schedule_turn(Time time) {
  time = std::max({time, world_.now(), stalled_until_});
  if (time >= turn_at_) return;
  turn_at_ = time;
  world_.queue_.at(time, *this, ++ticket_);
}

void Node::on_event(uint64_t ticket) {
  if (ticket != ticket_ || !process_) return;
  turn_at_ = Time::never();
  if (stalled_until_ > world_.now()) return schedule_turn(stalled_until_);
  turn();
}

void Node::turn() {
  in_turn_ = true;
  clock_.refresh();
  uint64_t resumes = process_->scheduler.run_ready();
  in_turn_ = false;
  process_->life.trace(TraceKind::turn, resumes);
  after_turn();
}

void Node::after_turn() {
  Process& p = *process_;
  if (p.life.dead()) {
    unwind();
    return finish();
  }
  if (p.exit_code) {
    // The process has exited: what it left running ends with it.
    p.life.trace(TraceKind::node_exit, incarnation_, static_cast<uint64_t>(static_cast<int64_t>(*p.exit_code)));
    return die(Death::exit);
  }
  ENSURE(p.scheduler.live() > 0);
  await_deadline();
}

void Node::await_deadline() {
  Time deadline = clock_.world_time_of(process_->scheduler.next_deadline());
  if (deadline != Time::never()) schedule_turn(deadline);
}

// --- death ---------------------------------------------------------------------------------------------------------------------

void Node::die_now(Death death) { die(death); }

void Node::die(Death death) {
  if (!process_) {
    if (death == Death::kill || death == Death::exit) return;
    world_.network_.end_process(index_, death);
    disk_.end_process(death);
    return;
  }
  Process& p = *process_;
  if (p.life.dead()) return;
  p.life.trace(TraceKind::node_death, incarnation_, static_cast<uint64_t>(death));
  p.life.end();
  g_probes_enabled = false;
  p.env.on_stop = nullptr;
  if (death == Death::exit) exit_code_ = p.exit_code;
  world_.network_.end_process(index_, death);
  disk_.end_process(death);
  p.scheduler.stop_all();
  if (in_turn_) return;  // the turn under way resumes every fiber, then finishes
  unwind();
  finish();
}

// Resumes every fiber until it has returned.
void Node::unwind() {
  Process& p = *process_;
  in_turn_ = true;
  while (p.scheduler.live() > 0) {
    uint64_t resumes = p.scheduler.run_ready();
    ENSURE(resumes > 0, "node {} is dead, and fibers do not return:\n{}", name_, p.scheduler.describe_tasks());
  }
  in_turn_ = false;
}

void Node::finish() {
  process_.reset();
  g_probes_enabled = true;
  turn_at_ = Time::never();
  ++ticket_;
  if (on_end_) on_end_(*this, exit_code_);
}

void Node::arm(ArmedDeath death) {
  ENSURE(death.countdown > 0 && death.death != Death::exit);
  armed_.push_back(std::move(death));
}

// --- time ----------------------------------------------------------------------------------------------------------------------

void Node::stall(Time until, bool stop_clock) {
  if (until <= world_.now()) return;
  world_.trace_.event(world_.now(), index_, TraceKind::node_stall, static_cast<uint64_t>((until - world_.now()).count()), stop_clock);
  stalled_until_ = std::max(stalled_until_, until);
  if (stop_clock) clock_.stop_until(until);
  turn_at_ = Time::never();
  if (process_) schedule_turn(stalled_until_);
}

void Node::set_drift(int64_t ppm) {
  constexpr int64_t kMost = SimClock::kMaxDriftPpm;
  clock_.set_drift(std::clamp(options_.clock_drift_ppm + std::clamp(ppm, -kMost, kMost), -kMost, kMost));
  if (process_) await_deadline();
}

bool Node::stalled() const { return stalled_until_ > world_.now(); }

void Node::end_stall() {
  stall_ended_ = std::max(stall_ended_, std::min(stalled_until_, world_.now()));
  stalled_until_ = Time{};
  clock_.resume();
  turn_at_ = Time::never();
  if (process_) schedule_turn(world_.now());
}

// --- log -----------------------------------------------------------------------------------------------------------------------

bool Node::enabled(LogLevel) const { return world_.trace_.recording() && process_ && !process_->life.dead(); }

void Node::write(LogLevel level, std::string_view component, std::string_view message) {
  world_.trace_.note(world_.now(), index_, level, component, message);
}

std::string Node::describe_tasks() const { return process_ ? process_->scheduler.describe_tasks() : std::string(); }

}  // namespace sg::sim
