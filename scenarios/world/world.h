// Where a run takes place, as the conductor (run.cc) sees it: nodes with brokers, hosts with clients, faults, time, and what can be known
// of all that from outside. Today it is simulated (world/simulated.h).
//
// Invariant: after the first failure nothing goes on, and that failure is the run's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "scenarios/checks/liveness.h"
#include "scenarios/client/env.h"
#include "scenarios/history.h"
#include "scenarios/run_record.h"
#include "scenarios/violation.h"

namespace sg::scenario {

// A machine with one client on it; it lives as long as the world.
class ClientHost {
 public:
  virtual ~ClientHost() = default;
  virtual void start() = 0;
  // Its program ends wherever it is. No effect if it has ended.
  virtual void kill() = 0;
};

class World {
 public:
  virtual ~World() = default;

  // --- time ---
  virtual Time now() const = 0;
  // Lets time pass, to `until`, or as long as `condition` holds and to `limit` at most. False: the run has failed.
  virtual bool run_until(Time until) = 0;
  virtual bool run_while(const std::function<bool()>& condition, Time limit) = 0;
  virtual void schedule(Time time, std::function<void()> callback) = 0;
  virtual uint64_t events() const = 0;  // so far
  // An independent stream of the run's seed.
  virtual Rng rng(std::string_view name) const = 0;

  // --- what is in it ---
  // The nodes start, and the faults of the plan will strike at their times.
  virtual void start() = 0;
  // A host, down until its start().
  virtual ClientHost& add_client(std::string name, ClientProgram program) = 0;
  // No fault strikes any more; what is broken is mended, who is down starts, as far as the run's ending wants it.
  virtual void heal() = 0;
  virtual Ending ending() const = 0;
  // What the healing cannot undo at once, because something is under way: how long that may take.
  virtual Duration still_under_way() const = 0;
  // Some node is being stopped in order: how long its end may take, before it starts again. Zero: none is.
  virtual Duration still_stopping() const = 0;
  // A broker is registered under an address that leads to nobody any more: only a session's end tells.
  virtual bool somebody_moved() const = 0;
  virtual ClusterTiming timing() const = 0;
  virtual size_t faults_planned() const = 0;
  // A process whose monotonic clock had stood still may have taken itself for a leader then.
  virtual bool may_be_stale(Time time) const = 0;

  // --- what is known of it ---
  virtual ClusterView view() const = 0;
  // Every replica as it lies on its disk, for the checks on histories; the nodes are down afterwards. What faults have destroyed is left
  // out.
  virtual std::vector<ReplicaContents> read_replicas() = 0;
  // Acknowledgements of topics that were deleted; without anybody who looks at messages, none are known.
  virtual std::vector<LateAck> late_acks() const = 0;
  // What is seen from outside when everything is over: how processes ended, what journals and messages say.
  virtual std::optional<Violation> judge_outside() = 0;
  // A check that every such run owes and that never had anything to judge; empty if there is none.
  virtual std::string vacuous() const = 0;

  // Something is owed and does not come: how everything stands now is told with the run.
  virtual void note_waiting() = 0;
  virtual void fail(std::string check, std::string text) = 0;
  virtual bool failed() const = 0;
  // Ends every process.
  virtual void shut_down() = 0;
  // Writes down what the world knows of the run.
  virtual void describe(RunRecord& record) const = 0;
};

}  // namespace sg::scenario
