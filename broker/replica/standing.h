// Who may still speak for a partition to clients, and how (correctness E25): the one place that decides it. Handlers ask through
// Partition::may, and decide nothing by themselves.
//
// Why it is safe. A controller that hears nothing from a broker for a session gives its leaderships away, and counts from what it received;
// the broker counts from when it sent what was answered, which is earlier. So while it is `registered` nobody leads in its place because it
// was silent. Once it is `silent` somebody may: records that were committed stay committed, so those it may give to whoever takes it for
// the leader of exactly this epoch; an end, a beginning or a divergence would be news from a log that may have been left behind. acks=all
// needs the whole in-sync set, which a deposed leader no longer has; acks=1 needs nobody, so it is refused. Outside, it knows that it does
// not lead.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"
#include "broker/replica/outcome.h"

namespace sg::replica {

// What this node is to its cluster, in its own eyes.
enum class Standing : uint8_t {
  unregistered,  // this run has not been registered yet
  registered,    // and the controller was heard within a session
  silent,        // registered, but no controller was heard for a session
  fenced,        // registered, and taken for dead or not heard of yet, or told so: another may lead what it led
  superseded,    // it was registered, and another run of this node id is now: whatever it led, it leads no longer
};
std::string_view to_string(Standing standing);
// It is no member now, and speaks for nothing.
constexpr bool is_outside(Standing standing) { return standing != Standing::registered && standing != Standing::silent; }

// What it rests on.
struct Station {
  bool registered = false;      // the applied catalogue names this very run
  bool was_registered = false;  // it did at some time
  bool replaced = false;        // it names another run of this node
  bool fenced = true;           // by the applied catalogue
  LogIndex since;               // of the last change of this broker's state in the applied catalogue
  LogIndex told;                // of the newest change that a controller has told of and that left this run fenced or superseded
  Time heard;                   // when the last heartbeat left that a controller has answered
};
Standing standing_of(const Station& station, Duration session, Time now);

enum class Question : uint8_t {
  append,      // Produce with acks 0 or 1
  append_all,  // Produce with acks=all
  fetch,
  look_up,  // an offset: ListOffsets, OffsetForLeaderEpoch
  leads,    // Metadata: is it the leader?
};

struct Asked {
  Question question;
  LeaderEpoch current_epoch = kNoLeaderEpoch;  // whom the client takes for the leader; none: it does not say
  LeaderEpoch last_epoch = kNoLeaderEpoch;     // of the last record that it has read
};

struct Speaker {
  Standing standing = Standing::unregistered;
  bool damaged = false;
  bool leads = false;
  LeaderEpoch epoch;         // in which it leads
  LeaderEpoch newest_epoch;  // that any message of another node has named
};

enum class Speech : uint8_t {
  nothing,    // only the error
  committed,  // records below the known high watermark, and if there are none, an error
  as_usual,
};

struct Verdict {
  Speech speech;
  Outcome error;  // in place of what may not be said
};

Verdict may_speak(const Speaker& speaker, const Asked& asked);

}  // namespace sg::replica
