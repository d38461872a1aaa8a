#include "broker/peer/bearers.h"

#include <algorithm>

#include "base/probe.h"

namespace sg::broker::peer {

Bearers::Bearer& Bearers::bearer(Time now, NodeId node) {
  Bearer& bearer = bearers_[node];
  const metadata::Broker* registered = catalogue_.broker(node);
  if (bearer.run.is_none() && registered)
    bearer = {.run = registered->run, .voter = registered->voter, .address = {registered->peer.host, registered->peer.port}, .heard = now};
  return bearer;
}

Result<> Bearers::admit(Time now, const Claim& claim, bool dialed) {
  const auto& [node, run, voter, address] = claim;
  Bearer& present = bearer(now, node);
  auto refuse_beside = [&](const Run& there, const net::Address& at, std::string_view what) {
    REACHED("bearers: a process is not taken for the node that it says it is");
    return fail(Errc::invalid,
                fmt::format("node {} is run {} at {}, which is there; {} run {} at {}: stop whichever was started by mistake", node, there,
                            to_string(at), what, run, to_string(address)));
  };
  auto refuse = [&](std::string_view what) { return refuse_beside(present.run, present.address, what); };
  constexpr std::string_view kEarlier = "refused as an earlier state of the same directory:";
  const metadata::Broker* registered = catalogue_.broker(node);
  if (present.run.newer_than(run)) return refuse(kEarlier);
  if (registered && registered->run.newer_than(run))
    return refuse_beside(registered->run, {registered->peer.host, registered->peer.port}, kEarlier);
  if (run == present.run) {
    present.heard = now;
    present.gone = present.closed = false;
    present.known = true;
    present.found |= dialed;
    return {};
  }
  const bool is_registered = registered && registered->run == run;
  const bool same_address = address == present.address;
  const bool restart = run.newer_than(present.run) && (same_address || present.closed);
  const bool met = dialed && (same_address || (!present.found && !(registered && registered->run == present.run)));
  auto has_place = [&](const Run& of, VoterId as) { return catalogue_.has_place({claim.node, of.directory}) || votes_(claim.node, as); };
  const bool gives_way = !has_place(present.run, present.voter) && has_place(run, voter);
  const Duration patience = run.newer_than(present.run) && !present.known ? std::min(link_timeout_, session_timeout_) : session_timeout_;
  const bool silent = present.gone || (!links_.contains({node, present.run}) && now >= present.heard + patience);
  const bool taken = present.run.is_none() || is_registered || restart || met || gives_way || silent;
  if (!taken)
    return refuse(run.directory == present.run.directory ? "refused as a copy of its directory:" : "refused as another directory:");
  present = {.run = run, .voter = voter, .address = address, .heard = now, .known = true, .found = dialed};
  return {};
}

bool Bearers::heard(Time now, NodeId node, Run run) {
  Bearer& present = bearer(now, node);
  if (present.run != run) return false;
  present.heard = now;
  present.gone = present.closed = false;
  present.known = true;
  return true;
}

void Bearers::link_opened(NodeId node, Run run) { ++links_[{node, run}]; }

void Bearers::link_closed(NodeId node, Run run) {
  auto at = links_.find({node, run});
  ENSURE(at != links_.end(), "a link of node {} ends that never stood", node);
  if (--at->second == 0) links_.erase(at);
}

void Bearers::nobody_at(NodeId node, const net::Address& address) {
  auto at = bearers_.find(node);
  if (at == bearers_.end() || at->second.address != address || links_.contains({node, at->second.run})) return;
  at->second.closed = true;
}

void Bearers::suspect(NodeId node, Run run) {
  if (auto at = bearers_.find(node); at != bearers_.end() && at->second.run == run) at->second.gone = true;
}

Run Bearers::of(NodeId node) const {
  auto at = bearers_.find(node);
  return at == bearers_.end() ? Run{} : at->second.run;
}

}  // namespace sg::broker::peer
