// What a registration asks for beside the one that its node id has now: who may replace whom (design: identity, Brokers and replicas).
//
// Counters compare within one directory only. So a process is known to follow another without asking anybody only if it is a later run of
// the same directory at the same address: a directory is used by one process at a time, and so is a port. Everything else may be a twin of
// a node that lives: an empty directory under its id, a copy of its directory, a backup of it. A claim is contested then, and the
// controller looks whether the registered run still answers or is heard.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "broker/metadata/catalogue.h"

namespace sg::metadata {

enum class Claim : uint8_t {
  free,       // nobody has registered under this node id
  repeated,   // this very run has
  restart,    // a later run of the same directory at the same address
  returning,  // the registered directory has no place, in an ISR or among the voters, and the claimant's has: it gives way at once
  outdated,   // not a later run of the registered directory: an earlier state or a copy of it, which may lack what that run acknowledged
  contested,  // another directory, or another address
};

// Who votes in the metadata group now.
using Voters = std::set<std::pair<NodeId, VoterId>>;

Claim claim_of(const Catalogue& catalogue, const Voters& voters, const RegisterBroker& claimant);

// Who is who, and what to do, for the operators of both processes. `registered` has registered under the id that `claimant` claims.
std::string two_bearers(const Broker& registered, const RegisterBroker& claimant);

// Connect anew to this address and ask who is there: is it still this run of this node? on_answer follows, always.
struct Inquiry {
  NodeId node{-1};
  Run run;
  Endpoint address;
};

// Who answered an inquiry.
struct Answer {
  NodeId node{-1};
  Run run;
};

}  // namespace sg::metadata
