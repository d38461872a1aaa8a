// What every handle of a simulated node asks before it acts: is my node still alive?
//
// Invariant: once dead, every handle refuses (Errc::stopped) and changes nothing, and nothing that the node does is seen: its events
// reach neither trace nor observers. A fiber that goes on calling is caught by Task::kMaxRefusedWaits. One Life is one incarnation of
// a node. It also carries the crash points: places in disk and network at which an armed death strikes, exactly there.
// Spec: architecture §2 "How a node dies"; correctness.md part 1, 7.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "sim/event_queue.h"
#include "sim/trace.h"

namespace sg::sim {

enum class Death : uint8_t {
  exit,       // the program returned; what it left open is closed
  kill,       // the process vanishes; page cache and accepted bytes stay
  power_cut,  // the machine vanishes; the disk alone decides what was kept
  wipe,       // power cut, and the disk comes back empty
};
inline constexpr int kDeaths = static_cast<int>(Death::wipe) + 1;
std::string_view to_string(Death death);

// Where a death may be armed. "storage" and "any" count every point of their group.
enum class CrashPoint : uint8_t {
  after_write,     // a write has landed (synced or not), its caller does not know yet
  during_write,    // the disk has just received a write
  before_sync,     // a sync was asked for and has not begun
  during_sync,     // a sync is under way
  after_sync,      // a sync (or a synced write) is done, its caller does not know yet
  after_name,      // create, rename or remove done, the directory not synced
  after_truncate,  // truncated, not synced
  after_send,      // the network has accepted bytes
  any_storage,     // one of the above on the disk
  any,             // one of the above
};
std::string_view to_string(CrashPoint point);
inline constexpr int kCrashPoints = static_cast<int>(CrashPoint::any) + 1;

// A death that waits for its crash point: it strikes when a point that matches is passed for the countdown-th time from now on (1 = the
// next), whichever process passes it.
struct ArmedDeath {
  CrashPoint point = CrashPoint::any;
  Death death = Death::kill;
  uint64_t countdown = 1;
  std::function<void()> on_strike{};  // just before
};

class Life {
 public:
  // Who dies when an armed point is hit.
  class Mortal {
   public:
    virtual void die_now(Death death) = 0;

   protected:
    ~Mortal() = default;
  };

  // `armed` is the machine's, and outlives the life.
  Life(EventQueue& queue, Trace& trace, uint32_t node, Mortal& mortal, std::vector<ArmedDeath>& armed)
      : queue_(queue), trace_(trace), mortal_(mortal), armed_(armed), node_(node) {}

  bool dead() const { return dead_; }
  void end() { dead_ = true; }
  uint32_t node() const { return node_; }
  Time now() const { return queue_.now(); }

  // What a handle of a dead node returns. Counts the call: ENSURE when the task does not give up.
  std::unexpected<Error> refuse(Task& task);
  std::unexpected<Error> refuse();

  // Passes a crash point; after a call that returns true the node is dead (the armed death struck here).
  bool pass(CrashPoint point) {
    if (dead_) return true;
    if (armed_.empty()) [[likely]]
      return false;
    return strike(point);
  }

  void trace(TraceKind kind, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0, uint64_t d = 0) {
    if (!dead_) trace_.event(queue_.now(), node_, kind, a, b, c, d);
  }
  Trace& trace_stream() { return trace_; }

 private:
  bool strike(CrashPoint point);

  EventQueue& queue_;
  Trace& trace_;
  Mortal& mortal_;
  std::vector<ArmedDeath>& armed_;
  uint32_t node_;
  bool dead_ = false;
  int refusals_ = 0;
};

}  // namespace sg::sim
