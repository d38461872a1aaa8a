// What a partition wants done, in the order in which to do it. Actions own their data.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "broker/replica/messages.h"
#include "broker/replica/outcome.h"
#include "broker/replica/state.h"

namespace sg::replica {

// Names a produce request's wait; chosen by the shell, unique among those under way.
using Token = Id<struct TokenTag, uint64_t>;

enum class Role : uint8_t { none, follower, leader };

// Hand the batches of the Data being handled to the journal: [from, to). Report `durable(generation, to)` when they are synced.
struct Write {
  Offset from;
  Offset to;
  uint64_t generation = 0;
};

// Hand a truncation to the journal: the log now ends at `to`. It comes before every later Write. Report `durable(generation, to)` when
// it is synced (and with it everything below `to`, since the journal is one sequence).
struct Truncate {
  Offset to;
  LeaderEpoch epoch;  // of the leader under which this happened
  uint64_t generation = 0;
};

// Subscribe, Unsubscribe and Ack go over the session that this node dialed to `to`; Diverged and Refused over the one `to` dialed. Where
// that session is down, drop it.
struct Send {
  NodeId to;
  Message message;
};

// next_to_send(to) has something now.
struct WakeSender {
  NodeId to;
};

// A wait registered by `append` is over. Outcome: ok (also for a duplicate), not_leader, controller_silent, request_timed_out or
// not_enough_replicas_after_append. `base_offset` is the batch's (for a duplicate, the original's).
struct Complete {
  Token token;
  Outcome outcome = Outcome::ok;
  Offset base_offset;
};

// Send to the controller. The answer comes back as a newer catalogue state, or as isr_refused.
struct ProposeIsr {
  IsrProposal proposal;
};

// Wake whoever waits to read.
struct HighWatermarkMoved {
  Offset high_watermark;
};

// Who waits to read is to ask again: what may be said has changed.
struct WakeReaders {};

// Role or leader epoch is a new one. Readers waiting on a leader that is none any more want an answer.
struct RoleChanged {
  Role role = Role::none;
  LeaderEpoch leader_epoch;
};

// Committed records are missing here, or would be if it went on: it is out of service until a person or a later registration decides. To be
// reported to the controller.
struct Faulted {
  std::string why;
};

using Action = std::variant<Write, Truncate, Send, WakeSender, Complete, ProposeIsr, HighWatermarkMoved, WakeReaders, RoleChanged, Faulted>;

struct Output {
  std::vector<Action> actions;

  template <class T>
  void add(T&& action) {
    actions.emplace_back(std::forward<T>(action));
  }
};

}  // namespace sg::replica
