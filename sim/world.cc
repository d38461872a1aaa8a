#include "sim/world.h"

#include <algorithm>

namespace sg::sim {

World::World(uint64_t seed, const WorldOptions& options, Pools& pools)
    : seed_(seed), options_(options), pools_(pools), root_(seed), network_(queue_, trace_, root_.split("network"), options.network) {}

World::~World() { nodes_.clear(); }

Node& World::add_node(std::string name, Program program) { return add_node(std::move(name), std::move(program), options_.node); }

Node& World::add_node(std::string name, Program program, const NodeOptions& options) {
  ENSURE(!find(name), "two nodes named '{}'", name);
  uint32_t index = network_.add_host(name);
  ENSURE(index == nodes_.size());
  nodes_.push_back(std::make_unique<Node>(*this, index, std::move(name), std::move(program), options));
  return *nodes_.back();
}

Node* World::find(std::string_view name) {
  for (auto& node : nodes_)
    if (node->name() == name) return node.get();
  return nullptr;
}

void World::schedule(Time time, std::function<void()> callback) {
  if (free_callbacks_.empty()) {
    free_callbacks_.push_back(static_cast<uint32_t>(callbacks_.size()));
    callbacks_.emplace_back();
  }
  uint32_t slot = free_callbacks_.back();
  free_callbacks_.pop_back();
  callbacks_[slot] = std::move(callback);
  queue_.at(std::max(time, now()), *this, slot);
}

void World::on_event(uint64_t slot) {
  trace_.event(now(), kNoNodeIndex, TraceKind::callback, slot);
  std::function<void()> callback = std::move(callbacks_[slot]);
  callbacks_[slot] = nullptr;
  free_callbacks_.push_back(static_cast<uint32_t>(slot));
  callback();
}

// Runs one event; false when the run has failed.
bool World::step() {
  queue_.run_one();
  int64_t ms = queue_.now().ns / 1'000'000;
  if (ms != current_ms_) {
    current_ms_ = ms;
    events_in_ms_ = 0;
  }
  if (++events_in_ms_ > options_.max_events_per_ms) [[unlikely]] {
    std::string text = fmt::format("more than {} events in one simulated ms\n", options_.max_events_per_ms);
    for (auto& node : nodes_) text += fmt::format("{}:\n{}", node->name(), node->describe_tasks());
    fail("livelock", std::move(text));
  }
  return !failure_;
}

bool World::run_until(Time time) {
  while (!failure_ && queue_.next_time() <= time) step();
  if (failure_) return false;
  queue_.advance_to(std::max(time, now()));
  return true;
}

bool World::run_while(const std::function<bool()>& pred, Time limit) {
  while (!failure_ && pred()) {
    if (queue_.next_time() > limit) {
      queue_.advance_to(std::max(limit, now()));
      return !pred();
    }
    step();
  }
  return !failure_;
}

void World::fail(std::string check, std::string text) {
  if (failure_) return;
  failure_ = Failure{std::move(check), std::move(text), now(), trace_.count()};
}

void World::heal_all() {
  effects_.clear();
  network_.heal_all();
  for (auto& node : nodes_) {
    node->disk().heal();
    node->disarm();
    if (node->stalled()) node->end_stall();
  }
}

void World::disarm() {
  for (auto& node : nodes_) {
    node->disarm();
    node->disk().disarm();
  }
}

void World::begin_liveness(std::span<Node* const> nodes) {
  phase_ = Phase::liveness;
  heal_all();
  for (Node* node : nodes)
    if (!node->running()) node->start();
}

}  // namespace sg::sim
