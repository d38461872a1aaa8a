// Who bears a node's id here: of the processes that say that they are node N, the one whose messages this node takes for N's.
//
// Rule, first line that fits:
//   an earlier run of the bearer's directory, or of the registered one: no, it is gone
//   the run that bears the id already: yes
//   the run that the catalogue has registered: yes, the controller has decided
//   a later run of the bearer's directory that says it is at the bearer's address: yes, a restart; it waits for nothing
//   a later run of the bearer's directory elsewhere, once the bearer's host says that nobody listens at its address, and no link stands:
//   yes, it has moved
//   a run that answered when this node dialed the bearer's address: yes, a port is held by one process
//   a run that answered where this node looks for the id, when the bearer only greeted, and is not registered: yes; a node with an empty
//   catalogue may have been greeted by a twin first
//   a run that has a place, in an ISR or as a voter, where the bearer has none: yes
//   any other: only once the bearer has no link here and was not heard for a session, or is known to be gone (suspicion)
//
// Why it is safe: this decides whom to listen to, never what is true. Votes are counted for voter ids, acknowledgements under broker
// epochs, registrations by the controller, which asks for itself (metadata/controller_claims.cc); a wrong choice costs an election or a
// catch-up. And it is what keeps a living node from its twin: the twin cannot end the node's links, raise suspicion of it, or have a
// heartbeat counted. A bearer that was read from the catalogue counts as heard from when it was first asked for: after a start everybody
// gets a full session to be heard in; but a later run of its directory waits only for as long as a link may be silent, since whoever is up
// dials a node that starts within that.
#pragma once

#include <functional>
#include <map>
#include <utility>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "broker/metadata/catalogue.h"
#include "net/network.h"

namespace sg::broker::peer {

class Bearers {
 public:
  // Whether a node votes under this id now.
  using Votes = std::function<bool(NodeId, VoterId)>;

  // What a process says of itself.
  struct Claim {
    NodeId node;
    Run run;
    VoterId voter;
    net::Address address;
  };

  // The catalogue, and what `votes` refers to, outlive this.
  Bearers(const metadata::Catalogue& catalogue, Votes votes, Duration session_timeout, Duration link_timeout)
      : catalogue_(catalogue), votes_(std::move(votes)), session_timeout_(session_timeout), link_timeout_(link_timeout) {}

  // Somebody greets, reachable where it says. Errc::invalid: another process bears the id; the text is for
  // both operators, and the same as long as the two are.
  Result<> greeted(Time now, const Claim& claim) { return admit(now, claim, false); }
  // It answered when this node dialed that address. Errc::invalid as above.
  Result<> answered(Time now, const Claim& claim) { return admit(now, claim, true); }

  // A message came from this run. False: another process bears the id by now.
  bool heard(Time now, NodeId node, Run run);
  // A connection to or from this run, whose greeting was accepted, stands; or has ended.
  void link_opened(NodeId node, Run run);
  void link_closed(NodeId node, Run run);
  // The host at this address says that nobody listens there.
  void nobody_at(NodeId node, const net::Address& address);
  // This run seems to be gone.
  void suspect(NodeId node, Run run);

  Run of(NodeId node) const;  // none if nobody was asked for yet

 private:
  struct Bearer {
    Run run;
    VoterId voter;
    net::Address address;
    Time heard;
    bool gone = false;
    bool closed = false;  // nobody listens at its address
    bool known = false;   // by more than the catalogue
    bool found = false;   // it answered when this node dialed
  };
  Bearer& bearer(Time now, NodeId node);
  Result<> admit(Time now, const Claim& claim, bool dialed);

  const metadata::Catalogue& catalogue_;
  Votes votes_;
  Duration session_timeout_;
  Duration link_timeout_;
  std::map<NodeId, Bearer> bearers_;
  std::map<std::pair<NodeId, Run>, int> links_;  // that stand, also of runs that bear nothing any more
};

}  // namespace sg::broker::peer
