// Whoever looks at a simulated cluster from outside, and what all of them know. Events are told at the moment when they happen, to each
// observer in turn, in the order of checks/observers.cc; what a machine says that has formed a cluster of its own is told to nobody.
// Invariant: an observer changes nothing in the world but by failing its run, through the judge.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "broker/metadata/records.h"
#include "broker/raft/messages.h"
#include "broker/wal/format.h"
#include "scenarios/judge.h"
#include "scenarios/observe/contacts.h"
#include "scenarios/observe/ghost.h"
#include "scenarios/observe/ledgers.h"
#include "scenarios/observe/taps.h"
#include "scenarios/world/cluster.h"

namespace sg::scenario {

// How a disk keeps up with the journal.
class Pace {
 public:
  void begins(uint64_t op, Time now) { writing_.emplace(op, now); }
  void ends(uint64_t op, Time now) {
    if (stands(now)) stood_until_ = now;
    writing_.erase(op);
  }
  void died() { writing_.clear(); }
  // When it last kept somebody waiting for longer than a disk that works does.
  Time stood_until(Time now) const { return stands(now) ? now : stood_until_; }

 private:
  static constexpr Duration kPatience = 500ms;
  bool stands(Time now) const { return !writing_.empty() && now - writing_.begin()->second > kPatience; }
  std::map<uint64_t, Time> writing_;  // ops are numbered in their order
  Time stood_until_;
};

// What is known from outside. It outlives the observers.
struct Seen {
  Time now;
  const Cluster& cluster;
  Ledgers ledgers;
  Ghost ghost;
  Contacts contacts;
  std::map<MachineId, Pace> disks;
  // Started with an empty directory and told of nobody else, it forms a cluster of its own.
  std::function<bool(MachineId)> is_elsewhere;

  // What a machine means by a partition of a topic of that name: as far as it knows the catalogue, or as it is committed if nothing runs
  // there. None if there is none.
  std::optional<StreamId> stream_of(MachineId machine, std::string_view topic, int32_t index) const;
  // That machine and Raft's leader hear each other.
  bool in_contact(MachineId machine) const { return contacts.in_raft(machine, now); }
  // The catalogue of the process there, as it is now; null without one.
  const metadata::Catalogue* catalogue_of(MachineId machine) const;
};

class Observer : public MessageEvents {
 public:
  // --- journals, as the disk receives them (LedgerEvents) ---
  virtual void on_append(MachineId, StreamId, const LogEntry&, [[maybe_unused]] ByteSpan aux, [[maybe_unused]] ByteSpan payload) {}
  virtual void on_truncate(MachineId, StreamId, [[maybe_unused]] int64_t new_end, [[maybe_unused]] int64_t old_end, const wal::HardState&) {
  }
  virtual void on_durable(MachineId, StreamId) {}

  // --- what is committed ---
  // The next entry of Raft's log; `record`: of a command.
  virtual void on_committed(LogIndex, [[maybe_unused]] const std::optional<metadata::Record>& record) {}
  // It has changed the ghost's catalogue.
  virtual void on_catalogue_changed(LogIndex, const metadata::Record&) {}

  // --- machines ---
  // What the disk holds is about to leave it: it is wiped, or people exchange it.
  virtual void on_disk_leaves(MachineId, [[maybe_unused]] bool wiped) {}
  // Its process has died, and the ledger knows what is left.
  virtual void on_died(MachineId) {}
  // A wiped or an exchanged disk is in the machine now, and the ledger knows what is on it.
  virtual void on_disk_changed(MachineId) {}

  // Something has just happened on some connection: whoever has to look at the clock now and then does it here.
  virtual void on_any_event() {}

  // The run is over and everything is healed: what is judged at the end.
  virtual void finish() {}
};

}  // namespace sg::scenario
