// The fault plan: which faults strike when, as data. Drawn before the run from distributions, printed, saved, edited, replayed, shrunk.
//
// Invariant: a fault carries everything that decides what it does, its own random number included, so that removing one fault changes
// no other. Targets may be symbolic ("leader(orders-0)", "random"); the harness resolves them at the moment of the fault.
// What overlaps adds up (sim/effects.h). Text and JSON forms round-trip exactly. Execution: sim/fault_executor.h. Spec: architecture §8;
// correctness.md part 1, 7 and 8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "base/time.h"
#include "sim/life.h"

namespace sg::sim {

// The numbers are part of every trace: a new kind goes to the end. A duration of 0 is "until healed" where nothing else is said; a stall
// has no meaning without one.
enum class FaultKind : uint8_t {
  kill,          // target; duration = down time (0: until healed or a `start`); value > 0: once more, that many ns after it (recovery)
  power_cut,     // likewise
  wipe,          // likewise
  stop,          // orderly; likewise, but once
  start,         // target, if it is down: what has no down time has kept it so for long enough; the others still do
  pause,         // target does not run for `duration`, whatever process it has; its clock goes on (SIGSTOP)
  suspend,       // likewise, its monotonic clock stops too
  link_cut,      // target -> peer for `duration`; value 1: both ways
  link_stall,    // likewise, by delay; nothing is lost
  link_delay,    // target -> peer: latency up to `value` ns for `duration`; both ways
  link_reset,    // breaks the connections between target and peer
  disk_latency,  // target: every operation takes up to `value` ns for `duration`
  disk_stall,    // target: nothing completes for `duration`
  sync_failure,  // target: the next `value` (at least 1) syncs of files under `path` fail
  bit_flip,      // target: one bit of a file under `path`
  file_loss,     // target dies by a kill, and the file under `path` that was written last is gone; duration = down time
  disk_full,     // target: no more space than `value` bytes beyond what is used now, for `duration`
  clock_jump,    // target: the wall clock moves by `value` ns, for good
  clock_drift,   // target: `value` ppm more for `duration`
  crash_point,   // target: `death` at the `value`-th passing of `point` from now on, by whatever process; duration = down time
  // What people do wrong (sim/people.h). The target's process ends first, by `death`; each lasts for `duration` (0: until healed), then it
  // is set right. `choice` is opaque: what is wrong with the way the process is started, in the harness's words.
  operator_start,         // started as `choice` says
  operator_clock,         // the wall clock is `value` ns off; duration = down time
  operator_move,          // started under another address; value 1: the old name leads there too
  operator_restore,       // its disk is put back to what it was `value` ns before
  operator_unmount,       // started on an empty disk; its own is back afterwards
  operator_twin,          // a second process with target's identity on another machine, with an empty disk; target goes on. value 1: its
                          // name leads there
  operator_twin_copy,     // likewise, name too, with a copy of target's disk
  operator_twin_restore,  // likewise, with a copy that is `value` ns old
  operator_stale_first,   // everybody else stops `duration` later; it starts first, the others from `value` ns later on
  // Messages of the kind `choice` from target to peer, and what is behind them on their connection, wait for `duration`, or until the event
  // `until`, whichever is first. Both are words of the harness.
  link_hold,
  read_error,     // target: reads of one sector of a file under `path` fail until it is written again
  write_failure,  // target: of the next `value` (at least 1) plain writes to files under `path` a few sectors or none arrive
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::write_failure) + 1;
constexpr bool is_of_people(FaultKind kind) { return kind >= FaultKind::operator_start && kind <= FaultKind::operator_stale_first; }
// Whether it needs a copy of the target's disk from `value` ns before it strikes.
constexpr bool needs_backup(FaultKind kind) { return kind == FaultKind::operator_restore || kind == FaultKind::operator_twin_restore; }
// Whether it needs a machine beside those of the cluster.
constexpr bool needs_spare(FaultKind kind) { return kind >= FaultKind::operator_twin && kind <= FaultKind::operator_twin_restore; }
std::string_view to_string(FaultKind kind);

struct Fault {
  Time at{};  // of the world
  FaultKind kind = FaultKind::kill;
  std::string target{};
  std::string peer{};    // of a link fault; empty: every other node
  std::string path{};    // of a disk fault; a prefix
  std::string choice{};  // of people's faults, and of a hold
  std::string until{};   // of a hold; empty: nothing ends it early
  uint64_t draw = 0;     // decides every choice that is left open until the fault strikes
  Duration duration{0};
  int64_t value = 0;
  Death death = Death::kill;  // of a crash point
  CrashPoint point = CrashPoint::any_storage;
  bool operator==(const Fault&) const = default;
};

struct FaultPlan {
  std::vector<Fault> faults;  // by time
  bool operator==(const FaultPlan&) const = default;
};

// "12.345000000 kill target=leader duration=1.200000000 draw=17": one line per fault; what is default is left out.
std::string to_string(const Fault& fault);
std::string to_string(const FaultPlan& plan);
// Empty lines and lines that begin with # are skipped.  Errc::invalid with the line and what is wrong with it.
Result<FaultPlan> parse_fault_plan(std::string_view text);

// One JSON object per line, times in ns.
std::string to_json_lines(const FaultPlan& plan);
Result<FaultPlan> parse_json_lines(std::string_view text);

struct DurationRange {
  Duration low{0};
  Duration high{0};
  // Any of them, in whole grains.
  Duration draw(Rng& rng, Duration grain = Duration(1)) const { return grain * rng.between(low / grain, high / grain); }
};
struct ValueRange {
  int64_t low = 0;
  int64_t high = 0;
};

// A distribution from which faults of one kind are drawn.
struct FaultRule {
  FaultKind kind = FaultKind::kill;
  std::vector<std::string> targets{"random"};  // one is drawn per fault; with as many at once, each is struck
  std::vector<std::string> peers{};
  std::string path{};
  DurationRange every{1s, 4s};  // between two of them
  DurationRange duration{0s, 0s};
  std::vector<std::string> choices{};
  std::string until{};
  ValueRange value{0, 0};  // drawn over orders of magnitude if low > 0
  std::vector<Death> deaths{Death::kill};
  std::vector<CrashPoint> points{CrashPoint::any_storage};
  uint32_t at_most = 0;  // occasions; 0: as many as there is time for
  uint32_t at_once = 1;  // faults per occasion, each with a target of its own draw, within `spread`
  Duration spread{0};
  uint32_t enabled_percent = 100;  // swarm: whether the seed uses this rule at all
};

// Faults in [from, to). Each rule has a stream of its own: adding a rule at the end changes no other rule's faults.
FaultPlan draw_fault_plan(const Rng& rng, const std::vector<FaultRule>& rules, Time from, Time to);

}  // namespace sg::sim
